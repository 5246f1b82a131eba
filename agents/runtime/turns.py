"""The transaction before each model call and the one after it, for many steps at a time.

A turn costs a dozen small statements; of fifty steps that turn at once they are the same dozen.
Each step is fenced by its attempt number in every one of them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction

from agents import fan_in, meters
from agents.breakers import providers, reserving
from agents.events import Kind
from agents.models import Event, Task, ToolCall
from agents.recording import record_all
from agents.runtime import chains, checkpoints
from agents.runtime.batching import Together, to_the_end
from agents.runtime.checkpoints import Outlook
from agents.runtime.contract import TryAgain
from agents.runtime.halting import Halted, superseded
from agents.runtime.redaction import capped, clean
from projects.connections import sent_together
from projects.failpoints import failpoint
from projects.ids import uuid7

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Sequence

    from agents.runtime.checkpoints import Progress, Turn
    from agents.runtime.contract import Work

logger = logging.getLogger(__name__)

_MESSAGE_CHARACTERS = 20_000
_THINKING_CHARACTERS = 4_000
_REST_SECONDS = 0.5  # between two tries
# Steps before tasks and both by id: the lock order of the whole floor.
# Locked by their keys alone: of the index of leased steps, the other thousands would be read too.
_HELD = """
SELECT id, attempt, task_id, state FROM agents_step WHERE id = ANY(%s)
ORDER BY id FOR NO KEY UPDATE
"""
# With what people wrote since. What was written while this waited for the rows, the next turn reads:
# a person who writes to a step at its last turn may be too late in any case.
_HELD_AND_TOLD = f"""
WITH held AS MATERIALIZED ({_HELD})
SELECT held.id, held.attempt, (
    SELECT jsonb_agg(jsonb_build_array(event.seq, event.step_id, event.data) ORDER BY event.seq)
    FROM agents_event event
    WHERE event.task_id = held.task_id AND event.seq > asked.after
      AND event.kind = 'message' AND event.data ->> 'from' = 'person'
)::text
FROM held JOIN unnest(%b::uuid[], %b::int[], %b::bigint[]) AS asked(id, attempt, after)
    USING (id, attempt)
WHERE held.state = 'leased'
"""  # noqa: S608  # made of our own constants
# The array is complete, all steps locked, before the first task is.
_HELD_WITH_TASKS = f"""
WITH held AS MATERIALIZED ({_HELD}), locked AS MATERIALIZED (
    SELECT id FROM agents_task
    WHERE id = ANY(ARRAY(SELECT task_id FROM held WHERE state = 'leased'))
    ORDER BY id FOR NO KEY UPDATE
)
SELECT held.id, held.attempt FROM held CROSS JOIN (SELECT count(*) FROM locked) tasks
WHERE held.state = 'leased'
"""  # noqa: S608  # made of our own constants
# A turn is kept once: one whose commit nobody heard of is found kept already.
_KEEP = f"""
WITH given AS (
    SELECT * FROM unnest(%b::uuid[], %b::jsonb[], %b::int[], %b::bigint[], %b::text[], %b::bigint[],
                         %b::bigint[], %b::numeric[], %b::uuid[], %b::int[], %b::uuid[],
                         %b::float8[], %b::float8[], %b::int[])
        AS given(id, checkpoint, turns, seen_seq, model, asked, answered, usd, task_id, calls,
                 call_id, began_ago, ended_ago, repairs)
), kept AS (
    UPDATE agents_attempt attempt
    SET checkpoint = given.checkpoint, turns = given.turns, seen_seq = given.seen_seq,
        model = given.model, input_tokens = attempt.input_tokens + given.asked,
        output_tokens = attempt.output_tokens + given.answered,
        usd = attempt.usd + coalesce(given.usd, 0),
        {", ".join(f"{name} = {value}" for name, value in reserving.SETTLED.items())}
    FROM given WHERE attempt.id = given.id AND attempt.turns < given.turns RETURNING attempt.id
), called AS (
    INSERT INTO agents_modelcall (id, attempt_id, response, model, input_tokens, output_tokens, usd,
                                  repairs, started_at, finished_at)
    SELECT call_id, id, turns - 1, model, asked, answered, usd, repairs,
           statement_timestamp() - began_ago * interval '1 second',
           statement_timestamp() - ended_ago * interval '1 second'
    FROM given JOIN kept USING (id)
), billed AS (
    UPDATE agents_task task
    SET input_tokens = task.input_tokens + used.asked, model_calls = task.model_calls + used.calls,
        output_tokens = task.output_tokens + used.answered, usd = task.usd + used.usd
    FROM (
        SELECT task_id, sum(asked) AS asked, sum(answered) AS answered, sum(coalesce(usd, 0)) AS usd,
               sum(calls) AS calls
        FROM given JOIN kept USING (id) GROUP BY task_id
    ) used WHERE task.id = used.task_id
)
SELECT id FROM kept
"""  # noqa: S608  # made of our own constants


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """A step about to turn, and what its call may cost (None: a rehearsal calls nobody)."""

    work: Work
    progress: Progress
    call: reserving.Asking | None = None
    behind: tuple[str, ...] = ()  # the providers of which one must let it through
    probe_seconds: float = providers.OPEN_SECONDS


@dataclass(frozen=True, kw_only=True, eq=False)
class Save:
    """A turn that is finished."""

    work: Work
    progress: Progress
    turn: Turn


def look(looks: Sequence[Look]) -> list[Outlook | Exception]:
    """Return what happened to each task since the step's last turn, its next call reserved.

    Halted for a step that is lost, or whose provider is left alone. Locks the steps, then the
    tasks: the reservations of a task's steps are one sum.
    """
    admitted = _admitted(looks)
    let_in = [each for each in looks if id(each) in admitted.probing]
    with transaction.atomic():
        told = _told(let_in)
        ours = [each for each in let_in if id(each) in told]
        tasks, used = _standing(ours)
        pairs = [(each, tasks[each.work.step.task_id]) for each in ours]
        trips = {id(each): meters.check(task, used[task.pk]) for each, task in pairs}
        reserved = _reserved([pair for pair in pairs if trips[id(pair[0])] is None], used)
        seen: dict[int, Outlook | Halted] = dict(admitted.waiting)
        for each in ours:
            seen[id(each)] = Outlook(
                trip=trips[id(each)],
                notes=told[id(each)][0],
                seen_seq=told[id(each)][1],
                reserved=reserved.get(id(each)),
                probing=admitted.probing[id(each)],
            )
    failpoint("turn.begun")
    return [seen.get(id(each)) or superseded() for each in looks]


def _standing(ours: Sequence[Look]) -> tuple[dict[uuid.UUID, Task], dict[uuid.UUID, meters.Used]]:
    """Lock the tasks of these and return them with what each has used, both by id."""
    if not ours:
        return {}, {}
    ids = {each.work.step.task_id for each in ours}
    with sent_together():
        asked = fan_in.ask_tasks(ids)
        standing = meters.ask_used(ids, but=[each.work.attempt.pk for each in ours])
    tasks = {task.pk: task for task in asked()}
    return tasks, standing(tasks.values())


def save(saves: Sequence[Save]) -> list[bool | Exception]:
    """Store finished turns, what they cost and what they said; True for each that is stored.

    Twice: once, for the attempt says which turn it is at.
    """
    dumped = {id(each): checkpoints.dumped(each.turn.messages) for each in saves}
    with transaction.atomic():
        leased = lock_held(each.work for each in saves)
        ours = [each for each in saves if id(each.work) in leased]
        new = _keep(ours, dumped)
        _tell(new)
    for each in ours:
        warned = [rule for rule, _ in checkpoints.near(each.work, each.progress, each.turn)]
        each.progress.count(each.turn, warned)
    kept = {id(each) for each in ours}
    return [True if id(each) in kept else superseded() for each in saves]


@dataclass(frozen=True)
class _Admitted:
    """Whom the providers let through, by the look's identity."""

    probing: dict[int, tuple[str, ...]] = field(default_factory=dict)
    waiting: dict[int, Halted] = field(default_factory=dict)


def _admitted(looks: Sequence[Look]) -> _Admitted:
    """Ask for each; while all is well, once for all that are behind the same providers."""
    found = _Admitted()
    well: set[tuple[str, ...]] = {()}
    for each in looks:
        if each.behind in well:
            found.probing[id(each)] = ()
            continue
        answer = providers.admit(each.behind, probe_seconds=each.probe_seconds)
        if isinstance(answer, providers.Waiting):
            waits = TryAgain(reason=answer.reason, after_seconds=answer.seconds, counts=False)
            found.waiting[id(each)] = Halted(waits)
            continue
        found.probing[id(each)] = answer.probing
        if not answer.probing:
            well.add(each.behind)
    return found


def lock_held(works: Iterable[Work]) -> set[int]:
    """Lock the steps of these, and their tasks; return the works that still hold theirs, by identity."""
    asked = list(works)
    with connection.cursor() as cursor:
        cursor.execute(_HELD_WITH_TASKS, [[work.step.pk for work in asked]])
        numbers = dict(cursor.fetchall())
    return {id(work) for work in asked if numbers.get(work.step.pk) == work.attempt.number}


def _reserved(
    looks: Sequence[tuple[Look, Task]], used: dict[uuid.UUID, meters.Used]
) -> dict[int, reserving.Reserved | reserving.Refused]:
    """Reserve the calls of these steps, by the look's identity; a rehearsal makes none."""
    wishes = {
        id(each): reserving.Wish(
            attempt=each.work.attempt,
            task=task,
            used=used[task.pk],
            own=checkpoints.own(each.work, each.progress),
            call=each.call,
        )
        for each, task in looks
        if each.call is not None
    }
    return dict(zip(wishes, reserving.reserve(list(wishes.values())), strict=True))


def _told(looks: Sequence[Look]) -> dict[int, tuple[tuple[str, ...], int]]:
    """Lock the steps and return what people wrote to those still held, by the look's identity.

    With the last event looked at.
    """
    if not looks:
        return {}
    works = [each.work for each in looks]
    steps = [work.step.pk for work in works]
    given: list[list[Any]] = [steps, steps, [work.attempt.number for work in works]]
    with connection.cursor() as cursor:
        cursor.execute(_HELD_AND_TOLD, [*given, [each.progress.seen_seq for each in looks]])
        held = {(step, attempt): said for step, attempt, said in cursor.fetchall()}
    return {
        id(each): _notes(each, json.loads(held[key] or "[]"))
        for each in looks
        if (key := (each.work.step.pk, each.work.attempt.number)) in held
    }


def _notes(
    look: Look, said: list[tuple[int, str | None, dict[str, Any]]]
) -> tuple[tuple[str, ...], int]:
    mine = (None, str(look.work.step.pk))
    notes = [
        f"{data.get('author') or 'a person'}: {data.get('text', '')}"
        for _, step, data in said
        if step in mine
    ]
    return tuple(notes), max((seq for seq, _, _ in said), default=look.progress.seen_seq)


def _keep(saves: Sequence[Save], dumped: dict[int, str]) -> list[Save]:
    """Write checkpoints and costs; return those that were not written already."""
    if not saves:
        return []
    now = time.monotonic()
    given: list[list[Any]] = [
        [each.work.attempt.pk for each in saves],
        [dumped[id(each)] for each in saves],
        [each.progress.turns + 1 for each in saves],
        [each.progress.seen_seq for each in saves],
        [each.turn.model for each in saves],
        [each.turn.input_tokens for each in saves],
        [each.turn.output_tokens for each in saves],
        [each.turn.usd for each in saves],
        [each.work.step.task_id for each in saves],
        [int(each.turn.paid) for each in saves],
        [uuid7() for _ in saves],
        [now - each.turn.took.began for each in saves],
        [now - each.turn.took.ended for each in saves],
        [each.turn.took.repairs for each in saves],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, given)
        kept = {attempt for (attempt,) in cursor.fetchall()}
    return [each for each in saves if each.work.attempt.pk in kept]


def _tell(saves: Sequence[Save]) -> None:
    """Write the messages of the turns and what came beside; cache what was said and called."""
    messages = [_said(each) for each in saves if each.turn.text.strip() or each.turn.thinking]
    refused = [call for each in saves for call in each.turn.refused]
    if refused:
        ToolCall.objects.bulk_create(refused, ignore_conflicts=True)
    told = (checkpoints.beside(each.work, each.progress, each.turn) for each in saves)
    beside = list(chain.from_iterable(told))
    record_all([*messages, *beside])
    chains.remember_all([*messages, *(each for each in beside if each.kind == Kind.TOOL_FINISHED)])


def _said(each: Save) -> Event:
    step = each.work.step
    said: dict[str, Any] = {"from": "agent", "agent": step.agent.slug}
    said["turn"] = each.progress.turns + 1
    said["text"] = capped(clean(each.turn.text), _MESSAGE_CHARACTERS)
    if each.turn.thinking:
        said["thinking"] = capped(clean(each.turn.thinking), _THINKING_CHARACTERS)
    return Event(task=step.task, kind=Kind.MESSAGE, step=step, data=said)


looked = Together(look)
_saved = Together(save)


async def saved(work: Work, progress: Progress, turn: Turn) -> None:
    """Store a finished turn; while the database is away, try as long as the lease may hold.

    What is being written when the caller is cancelled is written to the end: a paid answer that is
    lost would be paid again. Raises Halted when the step is lost.
    """
    give_up = time.monotonic() + settings.LEASE_SECONDS
    done = Save(work=work, progress=progress, turn=turn)
    while True:
        try:
            await to_the_end(_saved(done))
            return
        except (OperationalError, InterfaceError) as error:
            if time.monotonic() > give_up:
                raise
            logger.warning("a turn of step %s is not stored, again: %s", work.step.pk, error)
        await asyncio.sleep(_REST_SECONDS)
