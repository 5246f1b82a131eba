"""Puts a person's edit on top of what was proposed, as a step of theirs, and has it assembled anew."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from agents import branches, cautions, dispatch, planning, storable
from agents.events import Kind
from agents.lifecycle import AttemptState, StepKind, StepState, TaskState
from agents.messages import StepResult
from agents.models import Attempt, Step, StepDependency
from agents.takeovers import WORKER
from agents.workspace.listings import TreeEntry
from projects import characters
from projects.exceptions import InvalidInput

if TYPE_CHECKING:
    from agents.models import Hunk, Proposal, Task
    from agents.workspace.git import Store
    from projects.models import User

MAX_BYTES = 200_000  # of a file; a larger change is work for an agent
_SUMMARY = 2_000  # characters; see agents.messages


@dataclass(frozen=True, kw_only=True)
class Text:
    """A file of what is proposed, as it can be edited."""

    entry: TreeEntry
    words: str  # with plain newlines
    newline: str  # between its lines
    ends: bool  # with a newline

    def bytes_of(self, typed: str) -> bytes:
        """Return what was typed in the file's own line endings; raises InvalidInput."""
        if "\x00" in typed or any("\ud800" <= letter <= "\udfff" for letter in typed):
            raise InvalidInput("text", "This holds characters that are not text. Remove them.")
        words = typed.replace("\r\n", "\n").replace("\r", "\n")
        if words and self.ends and not words.endswith("\n"):
            words += "\n"
        if self.words and not self.ends:
            words = words.removesuffix("\n")
        content = words.replace("\n", self.newline).encode()
        if len(content) > MAX_BYTES:
            raise InvalidInput("text", f"A file edited here has at most {MAX_BYTES:,} bytes.")
        return content


def read(store: Store, head: str, path: str) -> Text:
    """Return a file of a commit to be edited; raises InvalidInput that says why it cannot be."""
    entry = next((one for one in store.paths(head) if cautions.shown(one.path) == path), None)
    if entry is None:
        raise InvalidInput("path", "There is no such file in what is proposed.")
    if not entry.regular:
        raise InvalidInput("path", "This is a link to something else, so it has no lines to edit.")
    if entry.size > MAX_BYTES:
        raise InvalidInput("path", f"This file is larger than {MAX_BYTES:,} bytes. Ask an agent.")
    [content] = store.blobs([entry.blob])
    if b"\x00" in content:
        raise InvalidInput("path", "This is a binary file, so it cannot be edited as text.")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise InvalidInput("path", "Its bytes are not UTF-8, so a page cannot keep them.") from None
    return _text(entry, text)


def _text(entry: TreeEntry, text: str) -> Text:
    pairs, all_of_them = text.count("\r\n"), text.count("\n")
    if text.count("\r") != pairs or pairs not in {0, all_of_them}:
        raise InvalidInput("path", "It mixes line endings, and a page would make them all alike.")
    words = text.replace("\r\n", "\n")
    newline = "\r\n" if pairs else "\n"
    return Text(entry=entry, words=words, newline=newline, ends=words.endswith("\n"))


def commit(store: Store, head: str, file: Text, content: bytes, *, task: Task, by: User) -> str:
    """Commit new bytes of a file on top of a commit, as a person's work. Blocks: git."""
    entries = [one for one in store.paths(head) if one.path != file.entry.path]
    blob = store.write_blob(content)
    entries.append(TreeEntry(file.entry.path, file.entry.mode, blob, len(content)))
    entries.sort(key=lambda one: one.path.encode(errors="surrogateescape"))
    tree = store.write_tree(entries, like=head)
    shown = characters.reveal(cautions.shown(file.entry.path))
    message = f"Edit {shown}\n\nEdited in the review of {task.label} by {by.display_name}."
    message += f"\n\nCountersign-Task: {task.pk}"
    author = by.display_name
    return store.commit(tree, parents=[head], message=storable.text(message), author=author)


def put_on_top(
    task: Task, proposal: Proposal, hunk: Hunk | None, *, path: str, made: str, by: User
) -> Step:
    """Write a person's step and the step that assembles it; the task goes back to work.

    It follows on the step that wrote `hunk`: what is asked of those lines later goes to that agent.
    In the caller's transaction, with the task locked. Raises TransitionRefused unless it is in review.
    """
    old = _followed(task, hunk)
    step = _step(task, old, path)
    step.save()
    lease = timezone.now() + timedelta(minutes=1)  # nobody sees it: it is done when this commits
    step.move(StepState.LEASED, attempt=1, lease_owner=WORKER, lease_until=lease)
    Attempt.objects.create(
        step=step, number=1, worker=WORKER, state=AttemptState.FINISHED, finished_at=Now()
    )
    result = _result(old, path, by)
    step.move(
        StepState.DONE,
        kind=Kind.STEP_FINISHED,
        data={"status": "done", "summary": result["summary"], "by": by.display_name},
        result=result,
        base_commit=proposal.head_commit,
        result_commit=made,
        lease_owner="",
        lease_until=None,
        finished_at=Now(),
    )
    why = {"why": "edited", "round": task.round, "by": by.display_name, "path": path}
    task.move(TaskState.WORKING, data=why)
    count = task.steps.filter(round=task.round, key__startswith=planning.EDITED).count()
    last = planning.assemble_step(task, waits=0, key=f"{planning.EDITED}-{count + 1}")
    last.save()
    StepDependency.objects.create(step=last, needs=step)
    transaction.on_commit(dispatch.ring, robust=True)
    return step


def _followed(task: Task, hunk: Hunk | None) -> Step:
    if hunk and hunk.author_step:
        return hunk.author_step
    if work := planning.done_work(task):
        return work[-1]
    raise InvalidInput("path", "No agent worked on this, so there is nothing to edit here.")


def _step(task: Task, old: Step, path: str) -> Step:
    return Step(
        task=task,
        project_id=task.project_id,
        priority=task.priority,
        round=task.round,
        key=branches.next_key(task, old.key),
        kind=StepKind.WORK,
        agent_id=old.agent_id,
        version_id=old.version_id,
        title=old.title,
        instructions=old.instructions,
        acceptance=old.acceptance,
        files=[*old.files, path] if old.files else [],
        state=StepState.READY,
        available_at=Now(),
    )


def _result(old: Step, path: str, by: User) -> dict[str, Any]:
    """Return the agent's result, with what it claims, and a word on who edited it."""
    said = f"{by.display_name} edited {path}. "
    before = StepResult.model_validate(old.result or {"status": "done", "summary": "Done."})
    summary = (said + before.summary)[:_SUMMARY]
    kept = before.model_copy(update={"summary": summary, "extra_steps": []})
    return dict(storable.dumped(kept))
