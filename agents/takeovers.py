"""Takes a step's result from a person: their words, and optionally a commit of the repository."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Exists, OuterRef, Value
from django.db.models.functions import Coalesce, Now

from agents import (
    cautions,
    delegating,
    fan_in,
    materials,
    omissions,
    planning,
    storable,
)
from agents.events import Kind
from agents.lifecycle import AttemptState, StepKind, StepState
from agents.messages import Answer, StepResult
from agents.models import Attempt, Escalation, Step
from agents.models.tasks import Choice
from agents.workspace.exceptions import GitFailed, NoSuchBranch
from agents.workspace.git import Store
from projects import characters
from projects.exceptions import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from django.db.models import QuerySet

    from projects.models import User

MAX_TEXT = 20_000  # characters; what a report may have
MAX_COMMIT = 200  # characters of a branch's name
WORKER = "person"  # of an attempt that no worker made
_SUMMARY, _ANSWER = 2_000, 6_000  # characters; see agents.messages


@dataclass(frozen=True, kw_only=True)
class HandedIn:
    """A person's result, checked: nothing is left to look up while rows are locked."""

    text: str
    by: User
    base_commit: str = ""
    result_commit: str = ""  # empty: the files stay as they are


def prepare(step: Step, *, text: str, commit: str, by: User) -> HandedIn:
    """Check what a person hands in and make the commit that is the step's result.

    Blocks: git, and the repository when there is a commit. Raises InvalidInput,
    RepositoryUnreachable.
    """
    if characters.says_nothing(text):
        raise InvalidInput("note", "Say what you did or found; the others go on from it.")
    name = commit.strip()
    if len(name) > MAX_COMMIT:
        raise InvalidInput("commit", f"A commit or branch has at most {MAX_COMMIT} characters.")
    if not name:
        return HandedIn(text=text, by=by)
    if step.kind != StepKind.WORK:
        raise InvalidInput("commit", "An answer to another agent changes no files.")
    try:
        base, result = _committed(step, name, by)
    except GitFailed as error:
        if "unrelated histories" in str(error):
            raise InvalidInput("commit", f"{name!a} has no history in common with main.") from error
        raise InvalidInput("commit", f"Git cannot use {name!a}: {str(error)[:300]}") from error
    return HandedIn(text=text, by=by, base_commit=base, result_commit=result)


def hand_in(step: Step, result: HandedIn, dependents: Iterable[Step]) -> None:
    """Finish a step with a person's result, as an attempt of theirs.

    In the caller's transaction, with the step and its dependents locked. Without a commit the step
    changed nothing; one that never began has no commit, and what it built on shows through.
    """
    if step.kind == StepKind.ANSWER:
        said = f"{result.by.display_name} answers: {result.text.strip()}"[:_ANSWER]
        delegating.answer(step, Answer(status="answered", answer=said), dependents)
        return
    number = step.attempt + 1
    Attempt.objects.create(
        step=step,
        number=number,
        worker=WORKER,
        state=AttemptState.FINISHED,
        finished_at=Now(),
    )
    base = step.base_commit or result.base_commit
    message = _as_result(step, result)
    step.move(
        StepState.DONE,
        kind=Kind.STEP_FINISHED,
        data={"status": "done", "summary": message.summary, "by": result.by.display_name},
        attempt=number,
        result=storable.dumped(message),
        base_commit=base,
        result_commit=result.result_commit or base,
        reason="",
    )
    if not step.result_commit:
        omissions.bypass(step)
    fan_in.count_down(dependents)


def people(steps: Iterable[UUID | None]) -> dict[UUID, User]:
    """Return who took these steps over, by step; agents did the others."""
    answered = Escalation.objects.filter(step__in=list(steps), choice=Choice.TAKE_OVER)
    found = answered.select_related("resolved_by")
    return {one.step_id: one.resolved_by for one in found if one.step_id and one.resolved_by}


def taken_over_by(by: User, task: UUID) -> str:
    """Return the title of a step of this task that this person did, or an empty text."""
    first = of(by, task).first()
    return first.title if first else ""


def of(by: User, task: UUID) -> QuerySet[Any]:
    """Return the takeovers of this person in this task, each with the `title` of its step."""
    mine = Escalation.objects.filter(task=task, choice=Choice.TAKE_OVER, resolved_by=by)
    return mine.annotate(title=Coalesce("step__title", Value(""))).only("pk").order_by("pk")


def did_part(by: User, *, task: str) -> Exists:
    """Return the condition "this person did a part of the task", by the path to it."""
    mine = Escalation.objects.filter(choice=Choice.TAKE_OVER, resolved_by=by)
    return Exists(mine.filter(task=OuterRef(task)))


def by_whom(task: UUID | OuterRef) -> QuerySet[Any, Any]:
    """Return the keys of those who did a part of this task."""
    done = Escalation.objects.filter(task=task, choice=Choice.TAKE_OVER)
    return done.filter(resolved_by__isnull=False).values_list("resolved_by", flat=True)


def _as_result(step: Step, handed_in: HandedIn) -> StepResult:
    text = handed_in.text.strip()
    head = f"{handed_in.by.display_name} took this step over: "
    room = _SUMMARY - len(head)
    reports = planning.plan_of(step.task).get("outcome") == "report" or len(text) > room
    return StepResult(
        status="done", summary=head + text[:room].strip(), report=text if reports else ""
    )


def _committed(step: Step, name: str, by: User) -> tuple[str, str]:
    """Return the base and the result: the person's commit, on top of or merged onto the base."""
    store = Store.of(step.task.project)
    try:
        commit = store.fetch_named(name, into=str(step.pk))
    except NoSuchBranch as error:
        raise InvalidInput(
            "commit", f"The repository has no branch or commit {name!a}. Push it there first."
        ) from error
    base = step.base_commit or _base(step, store)
    if store.is_ancestor(commit, base):
        raise InvalidInput("commit", f"{name!a} holds nothing that this step does not begin with.")
    parents, tree = [commit], store.tree_of(commit)
    if not store.is_ancestor(base, commit):
        merge = store.merge(base, commit)
        if merge.conflicts:
            files = ", ".join(cautions.shown(path) for path in merge.conflicts[:3])
            raise InvalidInput(
                "commit",
                f"{name!a} does not fit on what this step builds on: both change {files}. "
                f"Build it on {base} or on a main that holds it.",
            )
        parents, tree = [base, commit], merge.tree
    message = f"{step.title}\n\nTaken over by {by.display_name}.\n\nCountersign-Step: {step.pk}"
    made = store.commit(
        tree, parents=parents, message=storable.text(message), author=by.display_name
    )
    return base, made


def _base(step: Step, store: Store) -> str:
    """Return what a step that never began would have begun with; conflicts stay marked."""
    needs = step.needs.exclude(result_commit="").order_by("id")
    heads = list(dict.fromkeys(needs.values_list("result_commit", flat=True)))
    if not heads:
        heads = [materials.heads_before([step])[step.pk] or step.task.base_commit or store.fetch()]
    merged, *others = heads
    for head in others:
        if not store.is_ancestor(head, merged):
            merge = store.merge(merged, head)
            message = f"Merge what “{storable.text(step.title)}” builds on"
            merged = store.commit(
                merge.tree, parents=[merged, head], message=message, at=step.created_at
            )
    return merged
