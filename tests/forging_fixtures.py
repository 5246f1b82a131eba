"""Rows as somebody with the database would write them, so that a signature counts for something else."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from approvals import effects, origins, sealing
from approvals.canonical import digest_of
from approvals.models import Approval, Effect, Signature
from tests.approval_fixtures import approve, first_parents, make_change, past_triggers
from tests.holding_fixtures import fall_stale, merge_again

if TYPE_CHECKING:
    from pathlib import Path

    from projects.models import Project, User


@dataclass(kw_only=True)
class Scene:
    """A change that was approved on a main which has moved, and everybody who might be used."""

    project: Project
    requester: User
    lead: User
    second: User
    bare: Path
    folder: Path
    root: Approval


@pytest.fixture
def scene(project, requester, lead, second_lead, bare, tmp_path) -> Scene:
    root = sealing.seal(make_change(project, requester, tmp_path))
    approve(root, lead)
    root.refresh_from_db()
    return Scene(
        project=project,
        requester=requester,
        lead=lead,
        second=second_lead,
        bare=bare,
        folder=tmp_path,
        root=root,
    )


def held(scene: Scene) -> Approval:
    """Let main move and the same change be sealed again, as it is meant."""
    fall_stale(scene.root, scene.bare)
    again = merge_again(scene.root, scene.folder)
    assert (again.state, again.follows) == ("approved", scene.root)
    return again


def forge(root: Approval, again: Approval) -> None:
    """Write by hand, digests and all, that what was sealed follows what was signed, and is approved."""
    given = root.signatures.get()
    signed_for = given.digest
    snapshot = dict(again.snapshot)
    snapshot.pop("asked_again", None)
    snapshot["follows"] = {
        "approval": str(root.pk),
        "digest": root.digest,
        "times": 1,
        "signed_for": {str(given.signer_id): signed_for},
    }
    digest = digest_of(snapshot)
    past_triggers(
        "UPDATE approvals_approval SET snapshot = %s, digest = %s, follows_id = %s, "
        "state = 'approved', decided_at = now(), decided_by_id = %s WHERE id = %s",
        *(json.dumps(snapshot), digest, root.pk, given.signer_id, again.pk),
    )
    copy(given, again.pk, digest, again.nonce)
    plan(again.pk, snapshot["effects"][0], again.task_id)


def rewrite(root: Approval, again: Approval) -> None:
    """Write by hand that what was signed had been another change; the signature stays as it is."""
    own = {name: root.snapshot[name] for name in ("nonce", "expires_at")}
    proposal = {**again.snapshot["proposal"], "id": str(root.proposal_id)}
    snapshot = {**again.snapshot, **own, "proposal": proposal}
    snapshot.pop("asked_again", None)
    past_triggers(
        "UPDATE approvals_approval SET snapshot = %s, digest = %s WHERE id = %s",
        *(json.dumps(snapshot), digest_of(snapshot), root.pk),
    )
    root.refresh_from_db()


def copy(given: Signature, onto: uuid.UUID, digest: str, nonce: str, **others: object) -> None:
    """Insert a row that looks like a copy of a signature."""
    facts = {name: getattr(given, name) for name in origins.COPIED} | others
    facts["on_behalf_of"] = json.dumps(facts["on_behalf_of"])
    facts |= {"id": uuid.uuid4(), "approval_id": onto, "digest": digest, "nonce": nonce}
    facts.setdefault("carried_from_id", given.pk)
    names, marks = ", ".join(facts), ", ".join(["%s"] * len(facts))
    past_triggers(
        f"INSERT INTO approvals_signature ({names}) VALUES ({marks})",  # noqa: S608 - our own names
        *facts.values(),
    )


def plan(approval: uuid.UUID, arguments: dict[str, object], task: uuid.UUID) -> None:
    past_triggers(
        "INSERT INTO approvals_effect (id, approval_id, position, kind, arguments, state, not_before,"
        " worker, result, error) VALUES (%s, %s, 0, %s, %s, 'planned', now(), '', '{}', '')",
        *(uuid.uuid4(), approval, arguments["kind"], json.dumps(arguments)),
    )
    past_triggers("UPDATE agents_task SET state = 'executing' WHERE id = %s", task)


def nothing_lands(scene: Scene, said: str) -> None:
    """Let workers try; tell what the effect says."""
    before = first_parents(scene.bare)
    done = set(Effect.objects.filter(state="done").values_list("pk", flat=True))
    effects.carry_out_due("worker")
    effects.carry_out_due("another")
    assert first_parents(scene.bare) == before
    assert set(Effect.objects.filter(state="done").values_list("pk", flat=True)) == done
    errors = list(Effect.objects.exclude(error="").values_list("error", flat=True))
    assert any(said in error for error in errors), errors


def sealed_as(approval: Approval, path: str, value: object) -> None:
    """Change the stored snapshot at a path, and all that goes with it."""
    past_triggers(
        "UPDATE approvals_approval SET snapshot = jsonb_set(snapshot, %s, %s) WHERE id = %s",
        *(path.split("."), json.dumps(value), approval.pk),
    )
    approval.refresh_from_db()
    digest = digest_of(approval.snapshot)
    past_triggers("UPDATE approvals_approval SET digest = %s WHERE id = %s", digest, approval.pk)
    past_triggers(
        "UPDATE approvals_signature SET digest = %s WHERE approval_id = %s", digest, approval.pk
    )
    past_triggers(
        "UPDATE approvals_effect SET arguments = %s WHERE approval_id = %s",
        *(json.dumps(approval.snapshot["effects"][0]), approval.pk),
    )
