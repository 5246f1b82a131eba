"""No call begins before its undo window is over, whichever process makes it; when it was decided stays."""

from __future__ import annotations

from django.db import migrations

# The time of holds, which comes on top, is asked of rows by whoever makes the call.
WINDOW = """
CREATE FUNCTION await_undo_window() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NEW.decided_at + make_interval(secs => coalesce((NEW.snapshot #>> '{policy,undo_seconds}')::int, 0))
            > clock_timestamp()
        AND NOT EXISTS (SELECT FROM approvals_standinguse WHERE approval_id = NEW.id) THEN
        RAISE EXCEPTION 'the undo window of this call is not over'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER after_its_undo_window BEFORE UPDATE OF state ON approvals_callapproval FOR EACH ROW
    WHEN (OLD.state = 'allowed' AND NEW.state = 'calling' AND NOT NEW.free)
    EXECUTE FUNCTION await_undo_window();
"""
DECIDED = """
CREATE TRIGGER decided_once BEFORE UPDATE OF decided_at ON approvals_callapproval FOR EACH ROW
    WHEN (OLD.decided_at IS NOT NULL AND OLD.decided_at IS DISTINCT FROM NEW.decided_at)
    EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("approvals", "0045_undo_calls")]
    operations = [
        migrations.RunSQL(WINDOW, "DROP FUNCTION await_undo_window() CASCADE"),
        migrations.RunSQL(DECIDED, "DROP TRIGGER decided_once ON approvals_callapproval"),
    ]
