"""Makes the `Work` of a claimed step: its brief, its workspace, its scope, its deadline."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents import assembling, cautions, delegating, meters, reconciling, storable
from agents.lifecycle import StepKind, StepState
from agents.limits import Limits
from agents.messages import Answer, Plan, ProposalDraft, StepResult
from agents.models import Grant, Step, Task, ToolCall
from agents.models.tasks import Rule
from agents.runtime import briefs
from agents.runtime.contract import NeedsHuman, Work
from agents.runtime.database import in_db
from agents.runtime.files import in_files
from agents.workspace.files import Workspace
from agents.workspace.git import Store
from agents.workspace.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.assembling import Assembly
    from agents.models import Attempt
    from agents.runtime.claims import Claimed

_OUTPUT: dict[str, type[Plan] | type[StepResult] | type[Answer] | type[ProposalDraft]] = {
    StepKind.ROUTE: Plan,
    StepKind.WORK: StepResult,
    StepKind.ANSWER: Answer,
    StepKind.ASSEMBLE: ProposalDraft,
}


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The work of an attempt, and for an assemble step what will be proposed."""

    work: Work
    assembly: Assembly | None = None


@dataclass(frozen=True, kw_only=True)
class _Facts:
    scope: Scope
    seconds: float
    tree: str  # where a resumed attempt left its files, or empty


async def prepare(claimed: Claimed, *, draining: Callable[[], bool]) -> Prepared | NeedsHuman:
    """Return what the attempt needs to begin, or what only a person can clear up.

    Raises RepositoryUnreachable, NoSuchBranch, GitFailed, DangerousPath.
    """
    step, attempt = claimed.step, claimed.attempt
    facts = await in_db(_facts, step, attempt)
    assembly: Assembly | None = None
    brief: Any
    match step.kind:
        case StepKind.ROUTE:
            base = await in_files(Store.of(step.task.project).fetch)
            await in_db(_begin_on, step, base)
            paths = await in_files(_paths, step, base)
            brief = await in_db(briefs.route, step, paths)
        case StepKind.WORK:
            started = await _base_of(step)
            if isinstance(started, NeedsHuman):
                return started
            base = started
            brief = await in_db(briefs.work, step)
        case StepKind.ANSWER:
            base = step.base_commit or step.task.base_commit
            brief = await in_db(briefs.answer, step)
        case _:
            material = await in_db(assembling.gather, step)
            made = await in_files(assembling.prepare, material)
            if isinstance(made, NeedsHuman):
                return made
            assembly, base = made, made.head
            brief = await in_db(briefs.assemble, step, made)
    work = Work(
        step=step,
        attempt=attempt,
        output=_OUTPUT[step.kind],
        brief=brief,
        workspace=await _workspace(step, facts, base),
        scope=facts.scope,
        deadline=time.monotonic() + facts.seconds,
        draining=draining,
    )
    return Prepared(work=work, assembly=assembly)


def scope_of(step: Step) -> Scope:
    """Return what the step's agent was granted; reads rows."""
    grants = Grant.objects.filter(
        agent_id=step.agent_id, tool__enabled=True, tool__server__enabled=True
    )
    usable = delegating.usable(step, grants).values_list("tool__name", "paths")
    allowed = {name: tuple(paths) for name, paths in usable}
    return Scope(
        tools=frozenset(allowed), writes={name: globs for name, globs in allowed.items() if globs}
    )


def _facts(step: Step, attempt: Attempt) -> _Facts:
    left = Limits.frozen(step.task.limits).seconds - meters.used(step.task).seconds
    own = step.version.max_seconds + step.extra_seconds
    return _Facts(scope=scope_of(step), seconds=max(1.0, min(own, left)), tree=_tree_of(attempt))


def _tree_of(attempt: Attempt) -> str:
    """Return the newest tree recorded along the attempts this one goes on from."""
    before = attempt.resumes
    while before is not None:
        calls = ToolCall.objects.filter(attempt=before).exclude(tree="").order_by("-finished_at")
        if tree := calls.values_list("tree", flat=True).first():
            return tree
        before = before.resumes
    return ""


def _begin_on(step: Step, base: str) -> None:
    Task.objects.filter(pk=step.task_id).update(base_commit=base)
    step.task.base_commit = base


def _paths(step: Step, base: str) -> list[str]:
    entries = Store.of(step.task.project).paths(base)
    return [cautions.shown(entry.path) for entry in entries]


async def _base_of(step: Step) -> str | NeedsHuman:
    """Return the commit the step's workspace begins with; once chosen it stays."""
    if step.base_commit:
        return step.base_commit
    heads = await in_db(_heads, step)
    marks = await in_db(reconciling.may_hold_marks, step)
    base = await in_files(_merged, step, heads, marks=marks)
    if isinstance(base, str):
        await in_db(_keep_base, step, base)
    return base


def _heads(step: Step) -> list[str]:
    needs = step.needs.exclude(result_commit="").order_by("id")
    if commits := list(needs.values_list("result_commit", flat=True)):
        return list(dict.fromkeys(commits))
    material = assembling.gather(step)
    return [material.head_before or step.task.base_commit]


def _merged(step: Step, heads: list[str], *, marks: bool) -> str | NeedsHuman:
    """Merge what the step builds on; with `marks` a conflict stays in the files, to be resolved."""
    store = Store.of(step.task.project)
    merged, *others = heads
    if step.key.startswith(reconciling.KEY):
        others.append(store.fetch())  # the conflict may be with a main that has moved
    for head in others:
        if store.is_ancestor(head, merged):
            continue
        merge = store.merge(merged, head)
        if merge.conflicts and not marks:
            return _conflict(step, merge.conflicts, merged, head)
        message = f"Merge what “{storable.text(step.title)}” builds on"
        merged = store.commit(
            merge.tree, parents=[merged, head], message=message, at=step.created_at
        )
    return merged


def _conflict(step: Step, paths: list[str], ours: str, theirs: str) -> NeedsHuman:
    files = [cautions.shown(path) for path in paths]
    return NeedsHuman(
        rule=Rule.CONFLICT,
        detail=f"The steps that “{step.title}” builds on change the same lines in "
        f"{', '.join(files[:3])}. Nothing was thrown away.",
        evidence={"files": files, "ours": ours, "theirs": theirs},
    )


def _keep_base(step: Step, base: str) -> None:
    mine = Step.objects.filter(pk=step.pk, attempt=step.attempt, state=StepState.LEASED)
    mine.update(base_commit=base)
    step.base_commit = base


async def _workspace(step: Step, facts: _Facts, base: str) -> Workspace | None:
    if not facts.scope.tools and step.kind != StepKind.WORK:
        return None
    workspace = Workspace.for_step(step)
    await in_files(workspace.materialise, facts.tree or base)
    return workspace
