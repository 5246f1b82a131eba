"""Whether main is still where it was when a change was sealed."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from django.db import transaction
from django.db.models.functions import Now

from agents.events import Kind
from agents.workspace.exceptions import GitFailed, NoSuchBranch, RepositoryUnreachable
from agents.workspace.git import Store
from approvals.exceptions import StaleApproval
from approvals.lifecycle import ApprovalState
from approvals.models import EffectKind
from projects import audit
from projects.exceptions import TransitionRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from approvals.models import Approval
    from projects.models import Project, User

A = TypeVar("A")

ANSWER_SECONDS = 3.0  # a slow repository must not block a decision; the executor looks again
FETCH_SECONDS = 30.0  # nobody waits for it


def main_moved(approval: Approval) -> str | None:
    """Return where main is now if it is not the sealed base, empty if it is; None: nobody can tell."""
    bases = [
        effect["base"]
        for effect in approval.snapshot["effects"]
        if effect["kind"] == EffectKind.GIT_MERGE
    ]
    if not bases:
        return ""
    actual = head_of(approval.project)
    if not actual:
        return None
    return actual if actual != bases[0] else ""


def head_of(project: Project) -> str:
    """Return main's head, or nothing when the repository does not answer in time."""
    return _ask(lambda: Store.of(project).main_now(), seconds=ANSWER_SECONDS) or ""


def contained(project: Project, commits: Collection[str]) -> set[str] | None:
    """Return which of these commits main contains; None when nobody can tell in time."""

    def ask() -> set[str]:
        store = Store.of(project)
        main = store.fetch()
        return {commit for commit in commits if store.is_ancestor(commit, main)}

    return _ask(ask, seconds=FETCH_SECONDS)


def _ask(question: Callable[[], A], *, seconds: float) -> A | None:
    """Return the answer, or None when the repository gives none in time."""
    answers: list[A] = []

    def ask() -> None:
        with suppress(RepositoryUnreachable, NoSuchBranch, GitFailed):
            answers.append(question())

    # A daemon: git may take minutes to give up, and a process must be able to end meanwhile.
    asking = threading.Thread(target=ask, name="main-now", daemon=True)
    asking.start()
    asking.join(seconds)
    return answers[0] if answers else None


def require_unmoved_main(approval: Approval, *, by: User, address: str | None = None) -> None:
    """Make the approval stale and raise StaleApproval when main has moved since the seal.

    `by` is whose act led to the look; the audit log names them.
    """
    actual = main_moved(approval)
    if not actual:
        return
    try:
        with transaction.atomic():
            reason = fall_stale(approval, actual, by=by, address=address)
    except TransitionRefused:
        return  # somebody decided meanwhile; the caller's own update says who
    raise StaleApproval(reason)


def fall_stale(
    approval: Approval, main: str, *, by: User | None, address: str | None = None
) -> str:
    """Make a pending approval stale because main has moved; return the sentence that says so.

    In the caller's transaction. Raises TransitionRefused when it is not pending any more.
    """
    reason = moved_sentence(approval, main)
    approval.move(ApprovalState.STALE, decided_at=Now(), main_moved=True, reason=reason)
    approval.task.record(
        Kind.APPROVAL_DECIDED,
        {"approval": str(approval.pk), "state": ApprovalState.STALE, "reason": reason},
    )
    audit.record(
        "approval.stale",
        subject=approval,
        actor=by,
        project=approval.project,
        address=address,
        task=approval.task.label,
        main=main,
    )
    return reason


def moved_sentence(approval: Approval, actual: str) -> str:
    """Say that main moved, in words for the review page."""
    branch = approval.project.main_branch
    return (
        f"{branch} has moved to {actual[:9]} since this was sealed. Nothing was merged; "
        "the work is put onto it, and asked for again where it is not the same change."
    )
