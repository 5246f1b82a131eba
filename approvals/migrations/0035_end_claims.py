"""A claim leaves nobody unasked once it is over what it was of: so few are left that clocks are read of."""

from django.db import migrations

END = """
CREATE FUNCTION end_claim() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE approvals_assignment SET alone_until = NULL
    WHERE approval_id = NEW.id AND alone_until IS NOT NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER claimed_over AFTER UPDATE OF decided_at ON approvals_approval FOR EACH ROW
    WHEN (OLD.decided_at IS NULL AND NEW.decided_at IS NOT NULL) EXECUTE FUNCTION end_claim();
"""
ENDED = """
UPDATE approvals_assignment assigned SET alone_until = NULL
FROM approvals_approval approval
WHERE approval.id = assigned.approval_id AND approval.decided_at IS NOT NULL
    AND assigned.alone_until IS NOT NULL
"""


class Migration(migrations.Migration):
    dependencies = [("approvals", "0034_standing_grants")]
    operations = [
        migrations.RunSQL(END, "DROP FUNCTION end_claim() CASCADE"),
        migrations.RunSQL(ENDED, migrations.RunSQL.noop),
    ]
