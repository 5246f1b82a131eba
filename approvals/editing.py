"""Edit, then approve: a person's edit ends the approval, and a new one is sealed once it is checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models.functions import Now

from agents import editing
from agents.events import Kind
from agents.lifecycle import TaskState
from agents.models import Hunk, Task
from agents.workspace.exceptions import GitFailed
from agents.workspace.git import Store
from approvals import deadlines, deciding, routing
from approvals.exceptions import NotAllowed, RepositoryAway, StaleApproval
from approvals.lifecycle import ApprovalState
from approvals.models import Approval, Edit
from approvals.rights import why_not
from projects import audit
from projects.exceptions import InvalidInput, TransitionRefused

if TYPE_CHECKING:
    from projects.models import User

REGULAR = frozenset({"100644", "100755"})


def why_not_editable(file: dict[str, Any]) -> str:
    """Return why a sealed file cannot be edited, from the seal alone; or an empty text."""
    if file["status"] == "deleted":
        return "It is deleted by this change."
    if file["new_mode"] not in REGULAR:
        return "It is no plain file."
    return "It is a binary file." if file["binary"] else ""


def open_file(approval: Approval, path: str, *, by: User, via: str = "session") -> editing.Text:
    """Return a file of what is sealed, to be edited. Blocks: git.

    Raises NotAllowed, InvalidInput that says why it cannot be edited, or RepositoryAway.
    """
    if refusal := why_not(approval, by, via=via):
        raise NotAllowed(refusal)
    file = next((each for each in approval.snapshot["files"] if each["path"] == path), None)
    if file is None:
        raise InvalidInput("path", "This file is not part of the change, so it is not edited here.")
    if why := why_not_editable(file):
        raise InvalidInput("path", why)
    if refusal := _alone(approval, by):
        raise NotAllowed(refusal)
    try:
        return editing.read(Store.of(approval.project), _head(approval), path)
    except GitFailed as error:
        raise RepositoryAway(
            "Git could not read this file. Nothing was changed, and it can still be decided. Try again; "
            f"if it stays so, an admin can look at the project's repository. ({str(error)[:200]})"
        ) from error


def _alone(approval: Approval, by: User) -> str:
    """Return why an edit would lead nowhere, or an empty text: nobody could sign it."""
    if routing.may_sign_edited(approval, by):
        return ""
    return (
        f"Nobody else may sign this, and at {approval.risk} risk who edited a change does not sign it "
        "alone. Nothing was changed. Request changes instead, ask an admin for another tech lead, or "
        "for a policy under which who edited may sign alone."
    )


def edit(
    approval: Approval,
    *,
    by: User,
    digest: str,
    path: str,
    text: str,
    address: str | None = None,
    via: str = "session",
) -> Edit:
    """Commit an edit on top of what is sealed, end this approval and have the whole checked anew.

    Locks the approval, then its task. Raises NotAllowed, InvalidInput, DigestMismatch, RepositoryAway, and
    DecisionConflict when somebody decided or edited meanwhile: then nothing was changed.
    """
    try:
        file = open_file(approval, path, by=by, via=via)
    except NotAllowed:
        # That nobody else may sign it may be so only since somebody was faster.
        if not why_not(approval, by, via=via):
            require_open(approval, digest)
        raise
    require_open(approval, digest)
    content = file.bytes_of(text)
    if content == file.bytes_of(file.words):
        raise InvalidInput("text", "Nothing is different. Approve it as it is, or change a line.")
    store, head = Store.of(approval.project), _head(approval)
    try:
        made = editing.commit(store, head, file, content, task=approval.task, by=by)
    except GitFailed as error:
        raise RepositoryAway(
            "Git could not keep the edit. Nothing was changed; what you wrote is still here. Try again. "
            f"({str(error)[:200]})"
        ) from error
    with transaction.atomic():
        done = _write(approval, digest, path, made, by)
        _record(done, by, address)
    return done


def require_open(approval: Approval, digest: str) -> None:
    """Raise what says why this cannot be edited any more; the conditional UPDATE is what counts."""
    in_time = {"expires_at__gt": deadlines.deciding_now()}
    waits = Approval.objects.filter(pk=approval.pk, state=ApprovalState.PENDING, **in_time)
    if digest != approval.digest or not waits.exists():
        raise deciding.explain(approval, digest=digest, nonce=approval.nonce)


def _head(approval: Approval) -> str:
    heads = [each["head"] for each in approval.snapshot["effects"] if "head" in each]
    if not heads:
        raise InvalidInput("path", "A report changes no files.")
    return str(heads[0])


def _write(approval: Approval, digest: str, path: str, made: str, by: User) -> Edit:
    reason = f"{by.display_name} edited {path}. It is checked anew and waits for a signature again."
    guard = {"digest": digest, "expires_at__gt": deadlines.deciding_now()}
    try:
        approval.move(ApprovalState.STALE, guard=guard, decided_at=Now(), reason=reason)
    except TransitionRefused as error:
        raise deciding.explain(approval, digest=digest, nonce=approval.nonce) from error
    locked = Task.objects.select_for_update(no_key=True, of=("self",))
    task = locked.select_related("project", "requester").get(pk=approval.task_id)
    if task.state != TaskState.REVIEW:
        raise StaleApproval(
            f"{task.label}: {task.get_state_display().lower()}. Nothing was changed."
        )
    approval.task = task
    facts = {"approval": str(approval.pk), "state": ApprovalState.STALE, "reason": reason}
    task.record(Kind.APPROVAL_DECIDED, facts)
    hunks = Hunk.objects.filter(file__proposal=approval.proposal_id, file__path=path)
    hunk = hunks.select_related("author_step").exclude(author_step=None).first()
    step = editing.put_on_top(task, approval.proposal, hunk, path=path, made=made, by=by)
    head = approval.proposal.head_commit
    return Edit.objects.create(
        approval=approval, step=step, person=by, path=path, head_commit=head, result_commit=made
    )


def _record(edit: Edit, by: User, address: str | None) -> None:
    audit.record(
        "approval.edited",
        subject=edit.approval,
        actor=by,
        project=edit.approval.project,
        address=address,
        task=edit.approval.task.label,
        path=edit.path,
        head=edit.head_commit,
        commit=edit.result_commit,
    )
