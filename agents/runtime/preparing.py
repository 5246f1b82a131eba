"""Makes the `Work` of a claimed step: its brief, its workspace, its scope, its deadline."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from agents import assembling, cautions, clocks, delegating, grants, reconciling, storable
from agents.lifecycle import StepKind
from agents.messages import Answer, Plan, ProposalDraft, StepResult
from agents.models import ToolCall
from agents.models.tasks import Rule
from agents.runtime import briefs, gathering, ledger
from agents.runtime.batching import Together
from agents.runtime.contract import NeedsHuman, Work
from agents.runtime.database import in_db
from agents.runtime.files import in_files, in_repository
from agents.workspace.files import Workspace
from agents.workspace.git import Store
from agents.workspace.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.assembling import Assembly
    from agents.grants import Granted, Pinned
    from agents.materials import Material
    from agents.models import Attempt, Step
    from agents.runtime.claims import Claimed
    from agents.runtime.gathering import Gathered, Roster
    from agents.runtime.ledger import Known

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
    known: dict[str, Known]
    own_seconds: float  # that are left to the attempt
    until: float  # what its task has left, on time.monotonic()'s clock
    tree: str  # where a resumed attempt left its files, or empty
    roster: Roster
    remembers: bool
    outside: dict[str, Pinned]
    brief: Any = None  # of a work step or an answer
    ground: str | _Ground = ""  # the commit such a step begins with, or what makes it
    material: Material | None = None  # of an assemble step


async def prepare(claimed: Claimed, *, draining: Callable[[], bool]) -> Prepared | NeedsHuman:
    """Return what the attempt needs to begin, or what only a person can clear up.

    Raises RepositoryUnreachable, NoSuchBranch, GitFailed, DangerousPath.
    """
    step, attempt = claimed.step, claimed.attempt
    facts, main = await _read(claimed)
    assembly: Assembly | None = None
    brief: Any = facts.brief
    if facts.material is not None:
        made = await assembled(facts.material)
        if isinstance(made, NeedsHuman):
            return made
        assembly, base = made, made.head
        brief = briefs.assemble(step, made)
    elif main is not None:
        base, paths = main
        step.task.base_commit = base  # written with the plan
        brief = briefs.route(step, paths, facts.roster)
    else:
        based = await _based(step, facts.ground)
        if isinstance(based, NeedsHuman):
            return based
        base = based
    workspace = await _workspace(step, facts, base)
    work = Work(
        step=step,
        attempt=attempt,
        output=_OUTPUT[step.kind],
        brief=brief,
        workspace=workspace,
        scope=facts.scope,
        known=facts.known,
        deadline=_deadline(facts),
        remembers=facts.remembers,
        draining=draining,
        outside=facts.outside,
    )
    return Prepared(work=work, assembly=assembly)


async def _read(claimed: Claimed) -> tuple[_Facts, tuple[str, list[str]] | None]:
    """Return what the rows say and, of a plan, what main is, read side by side."""
    main = asyncio.create_task(_main_of(claimed.step))
    try:
        facts = await _facts_of(claimed)
    except BaseException:
        main.add_done_callback(lambda done: done.cancelled() or done.exception())  # heard
        main.cancel()
        raise
    return facts, await main


def _deadline(facts: _Facts) -> float:
    """Return when an attempt that begins now must end: fetching and checking is not its own time."""
    now = time.monotonic()
    return max(min(now + facts.own_seconds, facts.until), now + 1.0)


def _facts_together(all_claimed: list[Claimed]) -> list[_Facts]:
    """Read what steps begin with that begin at the same moment."""
    gathered = gathering.gather([each.step for each in all_claimed])
    facts = [_facts(each, gathered) for each in all_claimed]
    # Only now: were one of them refused, all would be read again, each by itself.
    gathering.keep_bases(
        [
            (each.step, fact.ground)
            for each, fact in zip(all_claimed, facts, strict=True)
            if isinstance(fact.ground, str) and _chosen_now(each.step)
        ]
    )
    return facts


_facts_of = Together(_facts_together)


def _chosen_now(step: Step) -> bool:
    """Tell whether the commit it begins with is not on its row yet; once chosen it stays."""
    return step.kind == StepKind.WORK and not step.base_commit


def _facts(claimed: Claimed, gathered: Gathered) -> _Facts:
    step, attempt = claimed.step, claimed.attempt
    own = step.version.max_seconds + step.extra_seconds - clocks.seconds_before(attempt)
    scope = _scope(step, gathered)
    facts = _Facts(
        scope=scope,
        known=ledger.known_tools(scope, gathered.roster.granted(step.agent_id)),
        own_seconds=own,
        until=claimed.at + claimed.seconds_left,
        tree=_tree_of(attempt),
        roster=gathered.roster,
        remembers=step.pk in gathered.reminded,
        outside=_pinned(scope, gathered.roster.granted(step.agent_id)),
    )
    match step.kind:
        case StepKind.WORK:
            brief, ground = briefs.work(step, gathered), _ground(step, gathered)
            return replace(facts, brief=brief, ground=ground)
        case StepKind.ANSWER:
            base = step.base_commit or step.task.base_commit
            return replace(facts, brief=briefs.answer(step, gathered.roster), ground=base)
        case StepKind.ASSEMBLE:
            return replace(facts, material=gathered.materials[step.pk])
    return facts


def _pinned(scope: Scope, granted: list[Granted]) -> dict[str, Pinned]:
    return grants.pinned(each for each in granted if each.tool in scope.tools)


def _scope(step: Step, gathered: Gathered) -> Scope:
    granted = gathered.roster.granted(step.agent_id)
    usable = delegating.usable(step, granted, asked=gathered.questions.get(step.task_id, 0))
    return Scope(
        tools=frozenset(each.tool for each in usable),
        writes={each.tool: each.paths for each in usable if each.paths},
    )


def _tree_of(attempt: Attempt) -> str:
    """Return the newest tree recorded along the attempts this one goes on from."""
    before = attempt.resumes
    while before is not None:
        calls = ToolCall.objects.filter(attempt=before).exclude(tree="").order_by("-finished_at")
        if tree := calls.values_list("tree", flat=True).first():
            return tree
        before = before.resumes
    return ""


async def _main_of(step: Step) -> tuple[str, list[str]] | None:
    """Return the newest commit and the paths of main, which a plan begins with; else nothing."""
    if step.kind != StepKind.ROUTE:
        return None
    return await in_repository(step.project_id, _main, step)


def _main(step: Step) -> tuple[str, list[str]]:
    store = Store.of(step.task.project)
    base = store.fetch()
    return base, [cautions.shown(entry.path) for entry in store.paths(base)]


async def assembled(material: Material) -> Assembly | NeedsHuman:
    """Put the material together on a file thread; cancelled, the checks end as well."""
    stopped = threading.Event()
    try:
        return await in_repository(
            material.step.project_id, assembling.prepare, material, stopped=stopped.is_set
        )
    except asyncio.CancelledError:
        stopped.set()  # a thread cannot be cancelled: it is told, or the checks would run on
        raise


async def _based(step: Step, ground: str | _Ground) -> str | NeedsHuman:
    """Return the commit the step's workspace begins with; once chosen it stays."""
    if isinstance(ground, str):
        return ground
    base = await in_repository(step.project_id, _merged, step, ground.heads, marks=ground.marks)
    if isinstance(base, str):
        await in_db(gathering.keep_bases, [(step, base)])
    return base


def _ground(step: Step, gathered: Gathered) -> str | _Ground:
    """Return the commit a step begins with, or what has to be merged for it."""
    if step.base_commit:
        return step.base_commit
    needs = gathered.needs.get(step.pk, [])
    heads = list(dict.fromkeys(need.result_commit for need in needs if need.result_commit))
    if not heads:
        heads = [gathered.heads.get(step.pk) or step.task.base_commit]
    if len(heads) == 1 and not step.key.startswith(reconciling.KEY):
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


async def _workspace(step: Step, facts: _Facts, base: str) -> Workspace | None:
    if not facts.scope.tools and step.kind != StepKind.WORK:
        return None
    workspace = Workspace.for_step(step)
    await in_files(workspace.begin_with, facts.tree or base)
    return workspace
