"""Keeps the conversation and what it cost on the attempt, so that a finished turn is never paid twice.

The answer of a model is stored before its tool calls act. Tool results are not stored with it: the
ledger answers them again, one by one, so a half-filled request never reaches the model.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import Sum
from pydantic_ai.conversation import Conversation, ConversationTypeAdapter
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from agents.breakers import reserving
from agents.events import Kind
from agents.lifecycle import AttemptState, ToolCallState
from agents.limits import warns
from agents.models import Attempt, Event, ToolCall
from agents.runtime.halting import superseded
from agents.runtime.redaction import cleaned, is_clean_json

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Iterator, Sequence

    from agents.limits import Trip
    from agents.runtime.contract import Work

_GOES_ON = (
    "A person looked at this and lets you go on. Continue the work from here; "
    "what you reported above is not final."
)

_LEASED = """
SELECT 1 FROM agents_step WHERE id = %s AND attempt = %s AND state = 'leased' FOR NO KEY UPDATE
"""


@dataclass(kw_only=True, slots=True)
class Progress:
    """Counters of an attempt together with the attempts it goes on from."""

    chain: tuple[uuid.UUID, ...]
    turns: int = 0
    tokens: int = 0
    tool_calls: int = 0
    seen_seq: int = 0
    usd: Decimal = field(default_factory=Decimal)
    warned: set[str] = field(default_factory=set)  # rules told of in this attempt, not before it

    def count(self, turn: Turn, warned: Iterable[str]) -> None:
        """Add a turn that is stored, and the limits it warned of."""
        self.warned.update(warned)
        self.turns += 1
        self.tokens += turn.input_tokens + turn.output_tokens
        self.usd += turn.usd or Decimal(0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Took:
    """When a model was asked and when its answer was there, on time.monotonic()'s clock."""

    began: float
    ended: float
    repairs: int = 0  # answers before it that could not be used


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One finished answer of a model and what it used."""

    messages: Sequence[ModelMessage]  # the conversation, this answer included
    text: str
    model: str
    input_tokens: int
    output_tokens: int
    usd: Decimal | None  # None: the price is not known
    paid: bool  # False in rehearsal: no model was called
    took: Took
    thinking: str = ""  # for people alone
    refused: tuple[ToolCall, ...] = ()  # calls of tools that were not granted, not yet stored


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What a turn must know before it begins."""

    trip: Trip | None  # a limit of the whole task
    notes: tuple[str, ...]  # what people wrote since
    seen_seq: int
    reserved: reserving.Reserved | reserving.Refused | None = None  # None: a rehearsal calls nobody
    probing: tuple[str, ...] = ()  # providers of which this call tries whether they answer again


@contextmanager
def leased(work: Work) -> Iterator[None]:
    """Lock the step for one short transaction; raises Halted when this attempt lost it."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_LEASED, [work.step.pk, work.attempt.number])
            if cursor.fetchone() is None:
                raise superseded()
        yield


def begin(work: Work) -> tuple[list[ModelMessage], Progress]:
    """Return the conversation to go on with (empty: none yet) and its counters."""
    if begins_anew(work):
        return [], Progress(chain=(work.attempt.pk,), seen_seq=work.attempt.seen_seq)
    chain = _chain(work.attempt)
    spent = Attempt.objects.filter(pk__in=chain).aggregate(
        asked=Sum("input_tokens"), answered=Sum("output_tokens"), usd=Sum("usd")
    )
    progress = Progress(
        chain=chain,
        turns=work.attempt.turns,
        tokens=(spent["asked"] or 0) + (spent["answered"] or 0),
        tool_calls=_made(chain),
        seen_seq=work.attempt.seen_seq,
        usd=spent["usd"] or Decimal(0),
    )
    return _conversation(work.attempt), progress


def begins_anew(work: Work) -> bool:
    """Tell whether there is no conversation yet: nothing is to be read of it."""
    return work.attempt.resumes_id is None and not work.attempt.turns


def _made(chain: tuple[uuid.UUID, ...]) -> int:
    rows = ToolCall.objects.filter(attempt_id__in=chain)
    return rows.exclude(state=ToolCallState.REFUSED).count()


def own(work: Work, progress: Progress) -> reserving.Own:
    """Return what the attempt has used of its own limits."""
    version, extra = work.step.version, work.step.extra_tokens
    # Tokens granted by a person bring the same share of money.
    more = 1 + Decimal(extra) / max(1, version.max_tokens)
    return reserving.Own(
        tokens=progress.tokens,
        max_tokens=version.max_tokens + extra,
        usd=progress.usd,
        max_usd=None if version.max_usd is None else version.max_usd * more,
    )


def beside(work: Work, progress: Progress, turn: Turn) -> list[Event]:
    """Return the events a turn brings beside its message: refused calls and limits that are near.

    Before `progress` counts the turn.
    """
    task, step = work.step.task, work.step
    refused = [(Kind.TOOL_FINISHED, _refusal(call)) for call in turn.refused]
    warned = [(Kind.LIMIT_WARNED, _warning(work, *each)) for each in near(work, progress, turn)]
    return [Event(task=task, kind=kind, step=step, data=data) for kind, data in [*refused, *warned]]


def _refusal(call: ToolCall) -> dict[str, Any]:
    what = {"call": str(call.pk), "tool": call.tool, "server": "", "arguments": {}}
    return {**what, "state": "refused", "summary": call.summary, "seconds": 0.0, "sandbox": ""}


def _warning(work: Work, rule: str, detail: str) -> dict[str, Any]:
    return {"rule": rule, "attempt": work.attempt.number, "detail": detail}


def near(work: Work, progress: Progress, turn: Turn) -> list[tuple[str, str]]:
    """Return what to warn of after a turn, by rule: nothing that was told in this attempt."""
    version, turns = work.step.version, progress.turns + 1
    most_turns, most_tokens = work.step.max_turns, version.max_tokens + work.step.extra_tokens
    tokens = progress.tokens + turn.input_tokens + turn.output_tokens
    found: list[tuple[str, str]] = []
    if turn.usd is None:
        found.append(("price", f"The price of {turn.model} is not known: its cost counts as 0."))
    if warns(used=turns, limit=most_turns) and most_turns > turns:
        found.append(("max_turns", f"{turns} of {most_turns} turns used"))
    if warns(used=tokens, limit=most_tokens):
        found.append(("budget", f"{tokens} of {most_tokens} tokens used"))
    return [each for each in found if each[0] not in progress.warned]


def _chain(attempt: Attempt) -> tuple[uuid.UUID, ...]:
    chain, before = [attempt.pk], attempt.resumes_id
    while before is not None and before not in chain:
        chain.append(before)
        before = Attempt.objects.values_list("resumes_id", flat=True).get(pk=before)
    return tuple(chain)


def dumped(messages: Sequence[ModelMessage]) -> str:
    """Return a conversation as JSON that may be stored."""
    raw = ConversationTypeAdapter.dump_json(Conversation(messages=list(messages))).decode()
    return raw if is_clean_json(raw) else json.dumps(cleaned(json.loads(raw)))


def _conversation(attempt: Attempt) -> list[ModelMessage]:
    if not attempt.checkpoint:
        return []
    messages = ConversationTypeAdapter.validate_python(attempt.checkpoint).messages
    if _was_let_on(attempt):
        _answer_open_calls(messages)
    return messages


def _was_let_on(attempt: Attempt) -> bool:
    """Tell whether a person sent a step on that had already reported, in place of a crash."""
    before = attempt.resumes
    return before is not None and before.state in {AttemptState.ESCALATED, AttemptState.FINISHED}


def _answer_open_calls(messages: list[ModelMessage]) -> None:
    """Answer a report that was not final; otherwise going on would hand the same report in again."""
    last = messages[-1]
    if not isinstance(last, ModelResponse) or not _reports(last):
        return
    calls = [part for part in last.parts if isinstance(part, ToolCallPart)]
    answers = [
        ToolReturnPart(tool_name=call.tool_name, content="Noted.", tool_call_id=call.tool_call_id)
        for call in calls
    ]
    messages.append(ModelRequest(parts=[*answers, UserPromptPart(content=_GOES_ON)]))


def _reports(response: ModelResponse) -> bool:
    return any(
        isinstance(part, ToolCallPart) and part.tool_name in OUTPUT_TOOLS.values()
        for part in response.parts
    )


# The tool by which a model hands in its answer, by output type.
OUTPUT_TOOLS = {
    "Plan": "submit_plan",
    "StepResult": "report_result",
    "Answer": "give_answer",
    "ProposalDraft": "submit_proposal",
}
