"""A call is made with as many permissions as its sealed policy asks for, whichever process makes it."""

from __future__ import annotations

from django.db import migrations

# A worker of before there were several proves one. What needs none is not counted: a tool that is
# free, and what a standing grant lets through.
ENOUGH = """
CREATE FUNCTION require_permissions() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM approvals_standinguse WHERE approval_id = NEW.id) AND (
        SELECT count(DISTINCT signer_id) FROM approvals_callsignature
        WHERE approval_id = NEW.id AND verdict = 'allow' AND nonce = NEW.nonce
    ) < coalesce((NEW.snapshot #>> '{policy,signatures_needed}')::int, 1) THEN
        RAISE EXCEPTION 'fewer have allowed this call than were asked for'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER allowed_by_enough BEFORE UPDATE OF state ON approvals_callapproval FOR EACH ROW
    WHEN (OLD.state = 'allowed' AND NEW.state = 'calling' AND NOT NEW.free)
    EXECUTE FUNCTION require_permissions();
"""


class Migration(migrations.Migration):
    dependencies = [("approvals", "0041_remind_of_calls")]
    operations = [migrations.RunSQL(ENOUGH, "DROP FUNCTION require_permissions() CASCADE")]
