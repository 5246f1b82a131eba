"""Carries one claimed step from its claim to a settled outcome."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import InterfaceError, OperationalError

from agents import assembling, finishing, redrafting, reverting, telemetry
from agents.messages import ProposalDraft, StepResult
from agents.models.tasks import Rule
from agents.runtime.batching import Together
from agents.runtime.contract import Finished, Interrupted, NeedsHuman, TryAgain
from agents.runtime.database import in_db
from agents.runtime.files import in_files
from agents.runtime.performing import perform as think
from agents.runtime.preparing import prepare
from agents.workspace import exceptions as trouble
from projects.exceptions import CountersignError
from projects.failpoints import failpoint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from agents.assembling import Assembly
    from agents.runtime.claims import Claimed
    from agents.runtime.contract import Outcome, Work
    from agents.runtime.preparing import Prepared
    from agents.workspace.files import Workspace

logger = logging.getLogger(__name__)

_LATE_SECONDS = 30.0  # after its deadline an attempt that does not end by itself is ended


@dataclass(frozen=True, kw_only=True)
class _Ending:
    """An outcome with what was made of it outside the transaction."""

    outcome: Outcome
    result_commit: str = ""
    publish: finishing.Publish | None = None


async def carry(
    claimed: Claimed,
    *,
    draining: Callable[[], bool],
    perform: Callable[[Work], Awaitable[Outcome]] | None = None,
) -> None:
    """Prepare, perform and settle one attempt. Cancelled, it gives the step back if it is ours."""
    workspaces: list[Workspace] = []
    try:
        failpoint("claim.committed")
        ending = await _attempt(claimed, draining, perform or think, workspaces)
    except asyncio.CancelledError:
        ending = _Ending(outcome=Interrupted())
    except trouble.RepositoryUnreachable as error:
        ending = _Ending(outcome=TryAgain(reason=str(error), rule=Rule.FAULT))
    except CountersignError as error:
        ending = _Ending(outcome=NeedsHuman(rule=Rule.FAULT, detail=str(error)))
    except Exception as error:
        logger.exception("step %s failed", claimed.step.pk)
        reason = f"A fault in Countersign: {type(error).__name__}"
        ending = _Ending(outcome=TryAgain(reason=reason, rule=Rule.FAULT))
    await _surely(_settle(claimed, ending))
    telemetry.ended(claimed.step.pk, claimed.attempt.number)
    for workspace in workspaces:
        await _surely(in_files(workspace.remove))


async def _attempt(
    claimed: Claimed,
    draining: Callable[[], bool],
    perform: Callable[[Work], Awaitable[Outcome]],
    workspaces: list[Workspace],
) -> _Ending:
    prepared = await prepare(claimed, draining=draining)
    if isinstance(prepared, NeedsHuman):
        return _Ending(outcome=prepared)
    if prepared.work.workspace is not None:
        workspaces.append(prepared.work.workspace)
    failpoint("work.prepared")
    if (said := await _said_before(prepared)) is not None:
        return await _end(prepared, Finished(output=said))
    left = prepared.work.deadline - time.monotonic()
    try:
        async with asyncio.timeout(max(0.0, left) + _LATE_SECONDS) as clock:
            outcome = await perform(prepared.work)
    except TimeoutError:
        if not clock.expired():
            raise
        detail = f"{claimed.step.agent.name} did not end in time. What was stored is kept."
        return _Ending(outcome=NeedsHuman(rule=Rule.WALL_CLOCK, detail=detail))
    failpoint("work.performed")
    return await _end(prepared, outcome)


async def _said_before(prepared: Prepared) -> ProposalDraft | None:
    assembly = prepared.assembly
    return await in_db(_drafted, assembly) if assembly is not None else None


def _drafted(assembly: Assembly) -> ProposalDraft | None:
    return reverting.draft(assembly) or redrafting.earlier_draft(assembly)


async def _end(prepared: Prepared, outcome: Outcome) -> _Ending:
    match outcome:
        case Finished(output=StepResult(status="done")):
            commit = await in_files(_commit, prepared.work)
            failpoint("work.handed_in")
            return _Ending(outcome=outcome, result_commit=commit)
        case Finished(output=ProposalDraft() as draft) if prepared.assembly is not None:
            failpoint("proposal.drafted")
            assembly = prepared.assembly
            verified = await in_files(assembling.verify, assembly, draft)
            failpoint("proposal.verified")
            write = partial(assembling.publish, assembly=assembly, draft=draft, verified=verified)
            return _Ending(outcome=outcome, publish=write)
    return _Ending(outcome=outcome)


def _commit(work: Work) -> str:
    """Keep what the step left in its workspace as a commit; nothing changed: its base."""
    step, workspace = work.step, work.workspace
    if workspace is None:
        return step.base_commit
    tree = workspace.snapshot()
    if tree == workspace.store.tree_of(step.base_commit):
        return step.base_commit
    message = f"{step.title}\n\nCountersign-Step: {step.pk}"
    return workspace.store.commit(
        tree, parents=[step.base_commit], message=message, author=step.agent.name
    )


async def _surely(last: Coroutine[Any, Any, None]) -> None:
    """Await to the end: the watch cancels again and again what has left the lease, as this does."""
    task = asyncio.ensure_future(last)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    task.result()


async def _settle(claimed: Claimed, ending: _Ending) -> None:
    """Write the ending; while the database is away, try as long as the lease may hold."""
    give_up = time.monotonic() + settings.LEASE_SECONDS
    while True:
        try:
            await _write(claimed, ending)
            failpoint("settle.committed")
            return
        except (OperationalError, InterfaceError) as error:
            if time.monotonic() > give_up:
                raise
            logger.warning("step %s not settled, trying again: %s", claimed.step.pk, error)
            await asyncio.sleep(0.5)


async def _write(claimed: Claimed, ending: _Ending) -> None:
    settled = finishing.Settlement(
        attempt=claimed.attempt,
        outcome=ending.outcome,
        result_commit=ending.result_commit,
        publish=ending.publish,
        base=claimed.step.task.base_commit,
    )
    try:
        if settled.planned:
            await _settled(settled)
        else:
            # A transaction each, so side by side: a thousand are given back while a worker drains.
            await in_db(finishing.settle_one, settled)
    except CountersignError as error:
        # What came out cannot be written as it is (no aggregator, say); a person can mend that.
        fault = NeedsHuman(rule=Rule.FAULT, detail=str(error))
        await in_db(finishing.settle, claimed.attempt, fault)


_settled = Together(finishing.settle_all)
