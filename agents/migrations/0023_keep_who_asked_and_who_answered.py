"""Who asked for a task, and who answered what, is said once: by it is known who may sign."""

from __future__ import annotations

from django.db import migrations

SAID_ONCE = """
CREATE FUNCTION refuse_to_say_anew() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER asked_once BEFORE UPDATE ON agents_task FOR EACH ROW WHEN (
    (OLD.requester_id, OLD.project_id) IS DISTINCT FROM (NEW.requester_id, NEW.project_id)
) EXECUTE FUNCTION refuse_to_say_anew('who asked for a task, and where, never changes');
CREATE TRIGGER answered_once BEFORE UPDATE ON agents_escalation FOR EACH ROW WHEN (
    OLD.resolved_by_id IS NOT NULL
    AND (OLD.task_id, OLD.step_id, OLD.resolved_by_id, OLD.choice)
        IS DISTINCT FROM (NEW.task_id, NEW.step_id, NEW.resolved_by_id, NEW.choice)
) EXECUTE FUNCTION refuse_to_say_anew('what a person answered never changes');
"""


class Migration(migrations.Migration):
    dependencies = [("agents", "0022_let_models_raise_the_risk")]
    operations = [
        migrations.RunSQL(SAID_ONCE, "DROP FUNCTION refuse_to_say_anew() CASCADE"),
    ]
