"""Signatures hold for what follows the very approval they were given to, as copies and nothing else.

A worker may not write signatures. What it may is have the database copy one: `carry_signature` runs
with the rights of its owner and takes nothing from its caller but which, and a key for the copy.
"""

from __future__ import annotations

from django.db import migrations

FOLLOWS = """
CREATE FUNCTION follow_what_fell_stale() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM approvals_approval fallen
        WHERE fallen.id = NEW.follows_id AND fallen.state = 'stale' AND fallen.main_moved
          AND (fallen.project_id, fallen.task_id, fallen.requester_id, fallen.policy_id, fallen.single_person)
            = (NEW.project_id, NEW.task_id, NEW.requester_id, NEW.policy_id, NEW.single_person)
          AND NEW.snapshot #>> '{follows,approval}' = fallen.id::text
          AND NEW.snapshot #>> '{follows,digest}' = fallen.digest
          AND fallen.snapshot #> '{policy,signatures_hold}' = 'true'
    ) THEN
        RAISE EXCEPTION 'it does not follow an approval of the same task that is stale as main moved'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER follows BEFORE INSERT ON approvals_approval FOR EACH ROW WHEN (
    NEW.follows_id IS NOT NULL OR NEW.snapshot ? 'follows'
) EXECUTE FUNCTION follow_what_fell_stale();
CREATE TRIGGER follows_kept BEFORE UPDATE ON approvals_approval FOR EACH ROW WHEN (
    OLD.follows_id IS DISTINCT FROM NEW.follows_id
) EXECUTE FUNCTION refuse_change();
"""
NOT_FOLLOWS = """
DROP FUNCTION follow_what_fell_stale() CASCADE;
DROP TRIGGER follows_kept ON approvals_approval;
"""
COPIES = """
CREATE FUNCTION copy_as_given() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM approvals_signature given
        JOIN approvals_approval approval ON approval.follows_id = given.approval_id
        WHERE given.id = NEW.carried_from_id AND approval.id = NEW.approval_id
          AND (NEW.digest, NEW.nonce) = (approval.digest, approval.nonce)
          AND given.verdict = 'approve'
          AND (given.signer_id, given.requester_id, given.single_person, given.verdict, given.note,
               given.every_file_viewed, given.on_behalf_of, given.at, given.key, given.mark)
            = (NEW.signer_id, NEW.requester_id, NEW.single_person, NEW.verdict, NEW.note,
               NEW.every_file_viewed, NEW.on_behalf_of, NEW.at, NEW.key, NEW.mark)
          AND given.address IS NOT DISTINCT FROM NEW.address
    ) THEN
        RAISE EXCEPTION 'it is no copy of a signature given to what its approval follows'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER as_given BEFORE INSERT ON approvals_signature
    FOR EACH ROW WHEN (NEW.carried_from_id IS NOT NULL) EXECUTE FUNCTION copy_as_given();
"""
# The names are written out, and temporary tables come last: the caller chooses none of them.
CARRY = """
CREATE FUNCTION carry_signature(copy uuid, given uuid, onto uuid) RETURNS void
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
REVOKE ALL ON FUNCTION carry_signature(uuid, uuid, uuid) FROM PUBLIC;
"""


class Migration(migrations.Migration):
    dependencies = [("approvals", "0032_hold_signatures"), ("projects", "0002_append_only")]
    operations = [
        migrations.RunSQL(FOLLOWS, NOT_FOLLOWS),
        migrations.RunSQL(COPIES, "DROP FUNCTION copy_as_given() CASCADE"),
        migrations.RunSQL(CARRY, "DROP FUNCTION carry_signature(uuid, uuid, uuid)"),
    ]
