"""A signature is copied only while what it was given to is what it covers, and fell stale as main moved.

Triggers read the house's own tables, whatever a session calls by their names.
"""

from __future__ import annotations

from django.db import migrations

NAMES = ("follow_what_fell_stale", "copy_as_given", "count_standing_use")
FIX = "ALTER FUNCTION {}() SET search_path = pg_catalog, public, pg_temp"
FREE = "ALTER FUNCTION {}() RESET search_path"
CARRY = """
CREATE OR REPLACE FUNCTION carry_signature(copy uuid, given uuid, onto uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO public.approvals_signature (
        id, approval_id, carried_from_id, digest, nonce, signer_id, requester_id, single_person,
        verdict, note, address, every_file_viewed, on_behalf_of, at, key, mark)
    SELECT carry_signature.copy, approval.id, original.id, approval.digest, approval.nonce,
           original.signer_id, original.requester_id, original.single_person, original.verdict,
           original.note, original.address, original.every_file_viewed, original.on_behalf_of,
           original.at, original.key, original.mark
    FROM public.approvals_signature original
    JOIN public.approvals_approval approval ON approval.follows_id = original.approval_id
    JOIN public.approvals_approval fallen ON fallen.id = original.approval_id
    WHERE original.id = carry_signature.given AND approval.id = carry_signature.onto
      AND approval.state = 'pending' AND original.verdict = 'approve'
      AND fallen.state = 'stale' AND fallen.main_moved
      AND (fallen.task_id, fallen.requester_id) = (approval.task_id, approval.requester_id)
      AND (original.digest, original.nonce) = (fallen.digest, fallen.nonce);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such signature that could hold for this approval'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("approvals", "0036_let_editors_sign_alone")]
    operations = [
        *(migrations.RunSQL(FIX.format(name), FREE.format(name)) for name in NAMES),
        migrations.RunSQL(CARRY, migrations.RunSQL.noop),
    ]
