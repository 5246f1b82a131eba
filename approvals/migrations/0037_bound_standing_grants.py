"""A project has at most a hundred standing grants in force, however many tech leads make one at once.

Who makes one waits for who makes another in the same project, and then counts what was committed.
"""

from django.db import migrations

BOUND = """
CREATE FUNCTION bound_standing_grants() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1406, hashtext(NEW.project_id::text));
    IF (
        SELECT count(*) FROM approvals_standinggrant kept
        WHERE kept.project_id = NEW.project_id AND kept.revoked_at IS NULL
          AND kept.hits < kept.max_hits AND kept.expires_at > statement_timestamp()
    ) >= 100 THEN
        RAISE EXCEPTION 'a project has at most 100 standing grants in force'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER bounded BEFORE INSERT ON approvals_standinggrant
    FOR EACH ROW EXECUTE FUNCTION bound_standing_grants();
"""


class Migration(migrations.Migration):
    dependencies = [("approvals", "0036_let_editors_sign_alone")]
    operations = [migrations.RunSQL(BOUND, "DROP FUNCTION bound_standing_grants() CASCADE")]
