"""The transaction before each model call and the one after it, for many steps at a time.

A turn costs a dozen small statements; of fifty steps that turn at once they are the same dozen.
Each step is fenced by its attempt number in every one of them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction

from agents import meters
from agents.breakers import providers, reserving
from agents.events import Kind
from agents.models import Attempt, Event, Task
from agents.recording import record_all
from agents.runtime import chains, checkpoints
from agents.runtime.batching import Together, to_the_end
from agents.runtime.checkpoints import Outlook
from agents.runtime.contract import TryAgain
from agents.runtime.halting import Halted, superseded
from agents.runtime.redaction import capped, clean
from projects.failpoints import failpoint
from projects.prepared import Given, Prepared

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Sequence

    from agents.runtime.checkpoints import Progress, Turn
    from agents.runtime.contract import Work

logger = logging.getLogger(__name__)

_MESSAGE_CHARACTERS = 20_000
_REST_SECONDS = 0.5  # between two tries
# Steps before tasks and both by id: the lock order of the whole floor.
_LEASED = """
SELECT id, attempt FROM agents_step WHERE id = ANY(%s) AND state = 'leased'
ORDER BY id FOR NO KEY UPDATE
"""
_LOCKED_TASKS = Prepared(
    lambda: (
        Task.objects.select_for_update(no_key=True)
        .defer("request", "context")
        .filter(pk__any=Given("tasks"))
        .order_by("pk")
    )
)
_TASKS = "SELECT 1 FROM agents_task WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"
_NOTES = """
SELECT asked.number, event.seq, event.step_id, event.data
FROM unnest(%s::int[], %s::uuid[], %s::bigint[]) AS asked(number, task_id, after)
JOIN agents_event event ON event.task_id = asked.task_id AND event.seq > asked.after
WHERE event.kind = 'message' AND event.data ->> 'from' = 'person'
ORDER BY asked.number, event.seq
"""
_KEEP = f"""
UPDATE agents_attempt attempt
SET checkpoint = given.checkpoint, turns = given.turns, seen_seq = given.seen_seq,
    model = given.model, input_tokens = attempt.input_tokens + given.asked,
    output_tokens = attempt.output_tokens + given.answered, usd = attempt.usd + given.usd,
    {", ".join(f"{name} = {value}" for name, value in reserving.SETTLED.items())}
FROM unnest(%s::uuid[], %s::jsonb[], %s::int[], %s::bigint[], %s::text[], %s::bigint[],
            %s::bigint[], %s::numeric[])
    AS given(id, checkpoint, turns, seen_seq, model, asked, answered, usd)
WHERE attempt.id = given.id
"""  # noqa: S608  # made of our own constants
_BILL = """
UPDATE agents_task task
SET input_tokens = task.input_tokens + used.asked, model_calls = task.model_calls + used.calls,
    output_tokens = task.output_tokens + used.answered, usd = task.usd + used.usd
FROM (
    SELECT id, sum(asked) AS asked, sum(answered) AS answered, sum(usd) AS usd, sum(calls) AS calls
    FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::numeric[], %s::int[])
        AS given(id, asked, answered, usd, calls) GROUP BY id
) used WHERE task.id = used.id
"""


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
    again: bool = False  # the connection broke: it may be stored already


def look(looks: Sequence[Look]) -> list[Outlook | Exception]:
    """Return what happened to each task since the step's last turn, its next call reserved.

    Halted for a step that is lost, or whose provider is left alone. Locks the steps, then the tasks: the reservations of a task's
    steps are one sum.
    """
    admitted = _admitted(looks)
    let_in = [each for each in looks if id(each) in admitted.probing]
    with transaction.atomic():
        held = _held(each.work for each in let_in)
        ours = [each for each in let_in if _is_ours(each.work, held)]
        tasks = {task.pk: task for task in _LOCKED_TASKS(tasks=_tasks_of(ours))}
        used = meters.used_by(list(tasks.values())) if tasks else {}
        notes = _notes(ours)
        pairs = [(each, tasks[each.work.step.task_id]) for each in ours]
        trips = {id(each): meters.check(task, used[task.pk]) for each, task in pairs}
        reserved = _reserved([pair for pair in pairs if trips[id(pair[0])] is None])
        seen: dict[int, Outlook | Halted] = dict(admitted.waiting)
        for each in ours:
            seen[id(each)] = Outlook(
                trip=trips[id(each)],
                notes=notes[id(each)][0],
                seen_seq=notes[id(each)][1],
                reserved=reserved.get(id(each)),
                probing=admitted.probing[id(each)],
            )
    failpoint("turn.begun")
    return [seen.get(id(each)) or superseded() for each in looks]


def save(saves: Sequence[Save]) -> list[bool | Exception]:
    """Store finished turns, what they cost and what they said; True for each that is stored."""
    dumped = {id(each): checkpoints.dumped(each.turn.messages) for each in saves}
    with transaction.atomic():
        held = _held(each.work for each in saves)
        ours = [each for each in saves if _is_ours(each.work, held)]
        stored = _stored([each for each in ours if each.again])
        if new := [each for each in ours if each.work.attempt.pk not in stored]:
            _lock_tasks(new)
            _keep(new, dumped)
            _tell(new)
            for each in new:
                checkpoints.record_beside(each.work, each.progress, each.turn)
    for each in ours:
        each.progress.count(each.turn)
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


def _held(works: Iterable[Work]) -> dict[uuid.UUID, int]:
    with connection.cursor() as cursor:
        cursor.execute(_LEASED, [[work.step.pk for work in works]])
        return dict(cursor.fetchall())


def _stored(saves: Sequence[Save]) -> set[uuid.UUID]:
    """Return the attempts whose turn was committed although nobody heard of it."""
    counted = {each.work.attempt.pk: each.progress.turns for each in saves}
    rows = Attempt.objects.filter(pk__in=counted).values_list("pk", "turns") if counted else []
    return {pk for pk, turns in rows if turns > counted[pk]}


def _is_ours(work: Work, held: dict[uuid.UUID, int]) -> bool:
    return held.get(work.step.pk) == work.attempt.number


def _tasks_of(items: Iterable[Look | Save]) -> list[uuid.UUID]:
    return list({item.work.step.task_id for item in items})


def _reserved(
    looks: Sequence[tuple[Look, Task]],
) -> dict[int, reserving.Reserved | reserving.Refused]:
    """Reserve the calls of these steps, by the look's identity; a rehearsal makes none."""
    wishes = {
        id(each): reserving.Wish(
            attempt=each.work.attempt,
            task=task,
            own=checkpoints.own(each.work, each.progress),
            call=each.call,
        )
        for each, task in looks
        if each.call is not None
    }
    return dict(zip(wishes, reserving.reserve(list(wishes.values())), strict=True))


def _notes(looks: Sequence[Look]) -> dict[int, tuple[tuple[str, ...], int]]:
    """Return what people wrote since, and the last event looked at, by the look's identity."""
    found = [(list[str](), each.progress.seen_seq) for each in looks]
    columns: list[list[Any]] = [
        list(range(len(looks))),
        [each.work.step.task_id for each in looks],
        [each.progress.seen_seq for each in looks],
    ]
    rows = []
    if looks:
        with connection.cursor() as cursor:
            cursor.execute(_NOTES, columns)
            rows = cursor.fetchall()
    for number, seq, step_id, data in rows:
        notes, _ = found[number]
        found[number] = notes, seq
        if step_id in (None, looks[number].work.step.pk):
            said = json.loads(data) if isinstance(data, str) else data
            notes.append(f"{said.get('author') or 'a person'}: {said.get('text', '')}")
    return {id(each): (tuple(notes), seq) for each, (notes, seq) in zip(looks, found, strict=True)}


def _lock_tasks(saves: Sequence[Save]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_TASKS, [_tasks_of(saves)])


def _keep(saves: Sequence[Save], dumped: dict[int, str]) -> None:
    asked = [each.turn.input_tokens for each in saves]
    answered = [each.turn.output_tokens for each in saves]
    usd = [each.turn.usd or Decimal(0) for each in saves]
    attempts: list[list[Any]] = [
        [each.work.attempt.pk for each in saves],
        [dumped[id(each)] for each in saves],
        [each.progress.turns + 1 for each in saves],
        [each.progress.seen_seq for each in saves],
        [each.turn.model for each in saves],
        *(asked, answered, usd),
    ]
    tasks: list[list[Any]] = [
        [each.work.step.task_id for each in saves],
        *(asked, answered, usd),
        [int(each.turn.paid) for each in saves],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, attempts)
        cursor.execute(_BILL, tasks)


def _tell(saves: Sequence[Save]) -> None:
    """Write the messages of the turns, and cache them when they are committed."""
    speaking = [each for each in saves if each.turn.text.strip()]
    events = [_said(each) for each in speaking]
    record_all(events)
    chains.remember_all(events, [each.work.step.agent.slug for each in speaking])


def _said(each: Save) -> Event:
    step = each.work.step
    said: dict[str, Any] = {"from": "agent", "agent": step.agent.slug}
    said["turn"] = each.progress.turns + 1
    said["text"] = capped(clean(each.turn.text), _MESSAGE_CHARACTERS)
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
        done = replace(done, again=True)
        await asyncio.sleep(_REST_SECONDS)
