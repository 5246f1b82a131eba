"""A time to decide is put off by what was sealed, and by nothing else."""

from __future__ import annotations

from django.db import migrations

AS_SEALED = """
CREATE FUNCTION extend_as_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.extends IS DISTINCT FROM (
        SELECT (snapshot #>> '{policy,reminders,extend_hours}')::int * interval '1 hour'
        FROM approvals_approval WHERE id = NEW.approval_id
    ) THEN
        RAISE EXCEPTION 'the time to decide is put off otherwise than was sealed'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER as_sealed BEFORE INSERT ON approvals_reminder
    FOR EACH ROW WHEN (NEW.extends IS NOT NULL) EXECUTE FUNCTION extend_as_sealed();
"""
KEPT = """
CREATE TRIGGER sealed BEFORE UPDATE ON approvals_reminder FOR EACH ROW WHEN (
    OLD.extends IS DISTINCT FROM NEW.extends OR OLD.approval_id <> NEW.approval_id
    OR OLD.share <> NEW.share
) EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("approvals", "0025_keep_calls"), ("projects", "0002_append_only")]
    operations = [
        migrations.RunSQL(AS_SEALED, "DROP FUNCTION extend_as_sealed() CASCADE"),
        migrations.RunSQL(KEPT, "DROP TRIGGER sealed ON approvals_reminder"),
    ]
