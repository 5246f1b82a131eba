"""Everything an approval was sealed with stays, and no approval is removed."""

from django.db import migrations

OLD = """
CREATE TRIGGER sealed BEFORE UPDATE ON approvals_approval FOR EACH ROW WHEN (
    OLD.snapshot IS DISTINCT FROM NEW.snapshot OR OLD.digest <> NEW.digest OR OLD.nonce <> NEW.nonce
    OR OLD.proposal_id <> NEW.proposal_id OR OLD.requester_id <> NEW.requester_id
    OR OLD.single_person <> NEW.single_person
) EXECUTE FUNCTION refuse_change();
"""
SEAL = """
CREATE TRIGGER sealed BEFORE UPDATE ON approvals_approval FOR EACH ROW WHEN (
    (OLD.id, OLD.project_id, OLD.task_id, OLD.proposal_id, OLD.policy_id, OLD.requester_id,
     OLD.single_person, OLD.risk, OLD.snapshot, OLD.digest, OLD.nonce, OLD.requested_at,
     OLD.expires_at)
    IS DISTINCT FROM
    (NEW.id, NEW.project_id, NEW.task_id, NEW.proposal_id, NEW.policy_id, NEW.requester_id,
     NEW.single_person, NEW.risk, NEW.snapshot, NEW.digest, NEW.nonce, NEW.requested_at,
     NEW.expires_at)
) EXECUTE FUNCTION refuse_change();
"""
KEPT = """
CREATE TRIGGER never_removed BEFORE DELETE ON approvals_approval
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""
DROP = "DROP TRIGGER sealed ON approvals_approval;"


class Migration(migrations.Migration):
    dependencies = [("approvals", "0004_index_what_is_due")]
    operations = [
        migrations.RunSQL(DROP + SEAL, DROP + OLD),
        migrations.RunSQL(KEPT, "DROP TRIGGER never_removed ON approvals_approval"),
    ]
