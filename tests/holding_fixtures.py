"""A change that was signed, fell stale because main moved, and was merged onto it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.lifecycle import TaskState
from agents.models import Proposal, Task
from agents.workspace.git import Store
from approvals import effects, sealing
from approvals.models import Effect
from tests.approval_fixtures import make_change, move_main

if TYPE_CHECKING:
    from pathlib import Path

    from approvals.models import Approval


def fall_stale(approval: Approval, bare: Path, **moved: str) -> None:
    """Let main move, and the executor find out when it carries the approved change out."""
    move_main(bare, **moved)
    assert effects.carry_out_due("worker") == 1
    approval.refresh_from_db()
    assert (approval.state, approval.main_moved) == ("stale", True)


def merge_again(approval: Approval, folder: Path, **facts: object) -> Approval:
    """Put the work up again on the main of now, as agents would, and seal it."""
    return sealing.seal(propose_again(approval, folder, **facts))


def propose_again(approval: Approval, folder: Path, **facts: object) -> Proposal:
    """Merge the work onto the main of now, as agents would."""
    task = Task.objects.get(pk=approval.task_id)
    Task.objects.filter(pk=task.pk).update(state=TaskState.REVIEW)
    task.refresh_from_db()
    version = approval.proposal.version + 1
    task.round = 20 + version  # only so that the steps of the fixture get keys of their own
    given = {"task": task, "version": version, "round": approval.proposal.round, **facts}
    proposal = make_change(approval.project, approval.requester, folder, **given)
    parents = [approval.proposal.head_commit, proposal.base_commit]
    store = Store.of(approval.project)
    proposal.head_commit = store.commit(proposal.tree, parents=parents, message="Merge the work")
    proposal.save()
    return proposal


def effect_of(approval: Approval) -> Effect:
    """Return its one effect."""
    return Effect.objects.select_related("approval").get(approval=approval)


def signed(approval: Approval) -> list[tuple[str, str]]:
    """Return who signed it, and what, in the order of time."""
    rows = approval.signatures.order_by("at").values_list("signer__username", "verdict")
    return list(rows)
