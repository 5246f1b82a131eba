"""Makes the `Work` of a claimed step: its brief, its workspace, its scope, its deadline."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from agents import assembling, cautions, clocks, delegating, reconciling, storable
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

    from agents.assembling import Assembly, Material
    from agents.models import Attempt
    from agents.runtime.claims import Claimed
    from agents.runtime.contract import RouteBrief

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
class _Ground:
    """What has to be merged before a step can begin."""

    heads: list[str]
    marks: bool  # a conflict stays in the files, to be resolved


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """All that is read from rows, in one visit to the database."""

    scope: Scope
    seconds: float
    tree: str  # where a resumed attempt left its files, or empty
    brief: Any = None  # of a work step or an answer
    ground: str | _Ground = ""  # the commit such a step begins with, or what makes it
    material: Material | None = None  # of an assemble step


async def prepare(claimed: Claimed, *, draining: Callable[[], bool]) -> Prepared | NeedsHuman:
    """Return what the attempt needs to begin, or what only a person can clear up.

    Raises RepositoryUnreachable, NoSuchBranch, GitFailed, DangerousPath.
    """
    step, attempt = claimed.step, claimed.attempt
    facts = await in_db(_facts, step, attempt)
    assembly: Assembly | None = None
    brief: Any = facts.brief
    if facts.material is not None:
        made = await assembled(facts.material)
        if isinstance(made, NeedsHuman):
            return made
        assembly, base = made, made.head
        brief = await in_db(briefs.assemble, step, made)
    elif step.kind == StepKind.ROUTE:
        base, paths = await in_files(_main, step)
        brief = await in_db(_begin_on, step, base, paths)
    else:
        based = await _based(step, facts.ground)
        if isinstance(based, NeedsHuman):
            return based
        base = based
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
    left = Limits.frozen(step.task.limits).seconds - clocks.seconds_of([step.task_id])[step.task_id]
    own = step.version.max_seconds + step.extra_seconds - clocks.seconds_before(attempt)
    facts = _Facts(scope=scope_of(step), seconds=max(1.0, min(own, left)), tree=_tree_of(attempt))
    match step.kind:
        case StepKind.WORK:
            needs = list(step.needs.select_related("agent").order_by("id"))
            return replace(facts, brief=briefs.work(step, needs), ground=_ground(step, needs))
        case StepKind.ANSWER:
            base = step.base_commit or step.task.base_commit
            return replace(facts, brief=briefs.answer(step), ground=base)
        case StepKind.ASSEMBLE:
            return replace(facts, material=assembling.gather(step))
    return facts


def _tree_of(attempt: Attempt) -> str:
    """Return the newest tree recorded along the attempts this one goes on from."""
    before = attempt.resumes
    while before is not None:
        calls = ToolCall.objects.filter(attempt=before).exclude(tree="").order_by("-finished_at")
        if tree := calls.values_list("tree", flat=True).first():
            return tree
        before = before.resumes
    return ""


def _main(step: Step) -> tuple[str, list[str]]:
    store = Store.of(step.task.project)
    base = store.fetch()
    return base, [cautions.shown(entry.path) for entry in store.paths(base)]


def _begin_on(step: Step, base: str, paths: list[str]) -> RouteBrief:
    Task.objects.filter(pk=step.task_id).update(base_commit=base)
    step.task.base_commit = base
    return briefs.route(step, paths)


async def assembled(material: Material) -> Assembly | NeedsHuman:
    """Put the material together on a file thread; cancelled, the checks end as well."""
    stopped = threading.Event()
    try:
        return await in_files(assembling.prepare, material, stopped=stopped.is_set)
    except asyncio.CancelledError:
        stopped.set()  # a thread cannot be cancelled: it is told, or the checks would run on
        raise


async def _based(step: Step, ground: str | _Ground) -> str | NeedsHuman:
    """Return the commit the step's workspace begins with; once chosen it stays."""
    if isinstance(ground, str):
        return ground
    base = await in_files(_merged, step, ground.heads, marks=ground.marks)
    if isinstance(base, str):
        await in_db(_keep_base, step, base)
    return base


def _ground(step: Step, needs: list[Step]) -> str | _Ground:
    if step.base_commit:
        return step.base_commit
    heads = list(dict.fromkeys(need.result_commit for need in needs if need.result_commit))
    if not heads:
        heads = [assembling.head_before(step) or step.task.base_commit]
    if len(heads) == 1 and not step.key.startswith(reconciling.KEY):
        _keep_base(step, heads[0])
        return heads[0]
    return _Ground(heads=heads, marks=reconciling.may_hold_marks(step))


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
    await in_files(workspace.begin_with, facts.tree or base)
    return workspace
