"""Signatures are append-only; what was sealed stays as it was sealed."""

from django.db import migrations

SIGNATURES = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON approvals_signature
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""
SEAL = """
CREATE TRIGGER sealed BEFORE UPDATE ON approvals_approval FOR EACH ROW WHEN (
    OLD.snapshot IS DISTINCT FROM NEW.snapshot OR OLD.digest <> NEW.digest OR OLD.nonce <> NEW.nonce
    OR OLD.proposal_id <> NEW.proposal_id OR OLD.requester_id <> NEW.requester_id
    OR OLD.single_person <> NEW.single_person
) EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("approvals", "0002_initial"), ("projects", "0002_append_only")]
    operations = [
        migrations.RunSQL(SIGNATURES, "DROP TRIGGER append_only ON approvals_signature"),
        migrations.RunSQL(SEAL, "DROP TRIGGER sealed ON approvals_approval"),
    ]
