"""The transaction before each tool call and the one after it, for many calls at a time.

Each call is fenced by its step's attempt number; what it did is in the ledger (see `ledger`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models.functions import Now

from agents.events import Kind
from agents.lifecycle import CALL_OPEN, ToolCallState
from agents.models import Event, ToolCall
from agents.recording import record_all
from agents.runtime import chains
from agents.runtime.batching import Together
from agents.runtime.halting import Halted, superseded
from agents.runtime.ledger import Answer, cut_off, recorded, told, warn_once
from agents.runtime.redaction import cleaned, excerpt
from agents.runtime.turns import lock_held
from projects.inserting import insert_all
from projects.prepared import Given, Prepared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agents.breakers.calls import Warned
    from agents.runtime.checkpoints import Progress
    from agents.runtime.contract import Work
    from agents.runtime.ledger import Asked

_COUNT = """
UPDATE agents_task task SET tool_calls = task.tool_calls + given.calls
FROM (SELECT id, count(*) AS calls FROM unnest(%b::uuid[]) AS given(id) GROUP BY id) given
WHERE task.id = given.id
"""
_FINISH = """
UPDATE agents_toolcall call
SET state = given.state, result = given.result, result_fingerprint = given.fingerprint,
    error = given.error, summary = given.summary, sandbox = given.sandbox, tree = given.tree,
    finished_at = statement_timestamp()
FROM unnest(%b::uuid[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[],
            %b::text[])
    AS given(id, state, result, fingerprint, error, summary, sandbox, tree)
WHERE call.id = given.id AND call.state = 'started' RETURNING call.id
"""
_EARLIER = Prepared(
    lambda: ToolCall.objects.filter(
        attempt__any=Given("attempts"), call_id__any=Given("keys")
    ).order_by("attempt__number")
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Beginning:
    """A call about to act, and how many its attempt may make."""

    work: Work
    progress: Progress
    asked: Asked
    most: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Ending:
    """What a call gave. A warning is stored with it, so that a resumed attempt reads the same."""

    work: Work
    row: ToolCall
    answer: Answer
    seconds: float
    warned: Warned | None = None


def begin(beginnings: Sequence[Beginning]) -> list[Answer | ToolCall | Exception | None]:
    """Return for each the recorded answer of a call that already ran, or a new `started` row.

    Calls of one attempt come one after the other, never together.
    None: `most` calls were made already. Halted when the step is lost, or when the call was cut off
    by a crash and may not be repeated. Locks the steps and their tasks.
    """
    with transaction.atomic():
        answers = _begun(beginnings)
    for each in beginnings:
        each.progress.tool_calls += isinstance(answers[id(each)], ToolCall)
    return [answers[id(each)] for each in beginnings]


def _begun(beginnings: Sequence[Beginning]) -> dict[int, Answer | ToolCall | Exception | None]:
    leased = lock_held(each.work for each in beginnings)
    answers: dict[int, Answer | ToolCall | Exception | None] = {
        id(each): superseded() for each in beginnings if id(each.work) not in leased
    }
    ours = [each for each in beginnings if id(each) not in answers]
    earlier = _earlier(ours)
    unknown: list[ToolCall] = []
    rows: list[tuple[Beginning, ToolCall]] = []
    for each in ours:
        before = earlier.get(id(each))
        if before is not None and _is_just_begun(before, each):
            answers[id(each)] = before
            continue
        answer = None if before is None else recorded(before, each.asked)
        if before is not None and answer is None:
            unknown.append(before)
        if answer is None and (before is None or each.asked.tool.repeatable):
            if before is None and each.progress.tool_calls >= each.most:
                answers[id(each)] = None
                continue
            rows.append((each, _row(each)))
        answers[id(each)] = answer or Halted(cut_off(each.asked))
    _close(unknown)
    _start(rows)
    return answers | {id(each): row for each, row in rows}


def _is_just_begun(row: ToolCall, each: Beginning) -> bool:
    """Tell whether the row is this beginning's own: committed, but nobody heard of it.

    Of a tool outside also an earlier attempt's that has no answer yet: it still waits.
    """
    if row.state in CALL_OPEN:
        return True
    return row.attempt_id == each.work.attempt.pk and row.state == ToolCallState.STARTED


def _earlier(beginnings: Sequence[Beginning]) -> dict[int, ToolCall]:
    """Return the newest row of each call along its attempts, by the beginning's identity."""
    if not beginnings:
        return {}
    attempts = {attempt for each in beginnings for attempt in each.progress.chain}
    keys = {each.asked.key for each in beginnings}
    rows = _EARLIER(attempts=list(attempts), keys=list(keys))
    found: dict[int, ToolCall] = {}
    for each in beginnings:
        for row in rows:
            same = (row.response, row.call_id) == (each.asked.response, each.asked.key)
            if same and row.attempt_id in each.progress.chain:
                found[id(each)] = row  # the last of them is the newest attempt's
    return found


def _row(each: Beginning) -> ToolCall:
    asked = each.asked
    return ToolCall(
        attempt=each.work.attempt,
        response=asked.response,
        call_id=asked.key,
        server=asked.tool.server,
        tool=asked.tool.name,
        arguments=cleaned(asked.arguments),
        fingerprint=asked.fingerprint,
        state=ToolCallState.WAITING if asked.tool.outside else ToolCallState.STARTED,
    )


def _close(unknown: Sequence[ToolCall]) -> None:
    if unknown:
        rows = ToolCall.objects.filter(pk__in=[row.pk for row in unknown])
        rows.update(state=ToolCallState.UNKNOWN, finished_at=Now())


def _start(rows: Sequence[tuple[Beginning, ToolCall]]) -> None:
    if not rows:
        return
    insert_all([row for _, row in rows])
    record_all(_event(each.work, Kind.TOOL_STARTED, _facts(row)) for each, row in rows)
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [[each.work.step.task_id for each, _ in rows]])


def finish(endings: Sequence[Ending]) -> list[Exception | None]:
    """Store what calls gave; a lost attempt leaves its row `started` and gets Halted.

    Twice: once. Locks the steps and their tasks.
    """
    with transaction.atomic():
        leased = lock_held(each.work for each in endings)
        ours = [each for each in endings if id(each.work) in leased]
        for each in ours:
            if each.warned is not None:
                warn_once(each.work, each.warned)
        new = _finished(ours)
        events = [_event(each.work, Kind.TOOL_FINISHED, _said(each)) for each in new]
        record_all(events)
        chains.remember_all(events)
    return [None if id(each.work) in leased else superseded() for each in endings]


def _finished(endings: Sequence[Ending]) -> list[Ending]:
    """Write the rows; return those that were not written already."""
    if not endings:
        return []
    columns = [list(column) for column in zip(*map(_given, endings), strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(_FINISH, columns)
        written = {row for (row,) in cursor.fetchall()}
    return [each for each in endings if each.row.pk in written]


def _given(each: Ending) -> tuple[Any, ...]:
    answer = each.answer
    return (
        each.row.pk,
        _state(answer).value,
        told(answer, each.warned),
        answer.fingerprint,
        answer.error[:80],
        answer.summary[:300],
        answer.sandbox[:20],
        answer.tree,
    )


def _state(answer: Answer) -> ToolCallState:
    return ToolCallState.FAILED if answer.failed else ToolCallState.DONE


def _said(each: Ending) -> dict[str, Any]:
    answer = each.answer
    facts = _facts(each.row) | {"summary": answer.summary[:300], "state": _state(answer).value}
    return facts | {"seconds": round(each.seconds, 2), "sandbox": answer.sandbox}


def _facts(row: ToolCall) -> dict[str, Any]:
    facts = {"call": str(row.pk), "tool": row.tool, "server": row.server}
    return {**facts, "arguments": excerpt(row.arguments)}


def _event(work: Work, kind: Kind, data: dict[str, Any]) -> Event:
    return Event(task=work.step.task, step=work.step, kind=kind, data=data)


begun = Together(begin)
finished = Together(finish)
