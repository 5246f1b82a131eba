"""Every approval stands in the lists of its agents and of its requester, from its first moment on."""

from django.db import migrations

# Of the outline, which is short: a snapshot would be unpacked for it.
NAMES = """
    SELECT 'requester:' || {0}.requester_id AS under
    UNION SELECT 'agent:' || (worked ->> 'slug')
    FROM jsonb_array_elements({0}.outline -> 'agents') worked
"""
COLUMNS = "(approval_id, under, project_id, risk_rank, expires_at, decided_at)"
FILL = f"""
INSERT INTO approvals_listed {COLUMNS}
SELECT approval.id, named.under, approval.project_id, approval.risk_rank, approval.expires_at,
    approval.decided_at
FROM approvals_approval approval CROSS JOIN LATERAL ({NAMES.format("approval")}) named
"""
KEEP = f"""
CREATE FUNCTION list_approval() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO approvals_listed {COLUMNS}
    SELECT NEW.id, named.under, NEW.project_id, NEW.risk_rank, NEW.expires_at, NEW.decided_at
    FROM ({NAMES.format("NEW")}) named;
    RETURN NULL;
END $$;
CREATE TRIGGER listed AFTER INSERT ON approvals_approval
    FOR EACH ROW EXECUTE FUNCTION list_approval();
CREATE FUNCTION move_listed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE approvals_listed SET decided_at = NEW.decided_at WHERE approval_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER listed_over AFTER UPDATE OF decided_at ON approvals_approval FOR EACH ROW
    WHEN (OLD.decided_at IS DISTINCT FROM NEW.decided_at) EXECUTE FUNCTION move_listed();
"""
FORGET = """
DROP FUNCTION list_approval() CASCADE;
DROP FUNCTION move_listed() CASCADE;
"""


class Migration(migrations.Migration):
    dependencies = [("approvals", "0028_list_by_name")]
    # The triggers first: they hold back whoever seals or decides until all of it is filled.
    operations = [
        migrations.RunSQL(KEEP, FORGET),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
