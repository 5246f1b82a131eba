"""Builds the tree of spans: agents or steps, their tries, turns, and the calls of models and tools."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from agents.lifecycle import AttemptState, StepState, ToolCallState
from countersign.console import looks
from countersign.console.trace.spans import AGENT, ATTEMPT, MODEL, STEP, TOOL, TURN, Span, key_of

if TYPE_CHECKING:
    from datetime import datetime

    from agents.models import Attempt, Step
    from countersign.console.trace.reading import Answered, Called, Rows

_TOOL_WORDS = {
    ToolCallState.FAILED: "failed",
    ToolCallState.REFUSED: "refused",
    ToolCallState.UNKNOWN: "cut off",
}
_ATTEMPT_WORDS = {
    AttemptState.FAILED: "failed",
    AttemptState.LOST: "lost its worker",
    AttemptState.ESCALATED: "needs a person",
}
_STEP_WORDS = {StepState.FAILED: "failed", StepState.BLOCKED: "blocked"}


_Before = Counter[tuple[int, str]]


@dataclass(kw_only=True)
class Tree:
    """The spans of a task: the roots are its steps, or the agents that do them."""

    roots: list[Span]
    spans: list[Span]  # all of them, parents before children

    @property
    def count(self) -> int:
        """Return how many spans there are."""
        return len(self.spans)

    @property
    def errors(self) -> int:
        """Return how many of them went wrong."""
        return sum(root.errors for root in self.roots)

    def find(self, key: str) -> Span | None:
        """Return the span of this name."""
        return next((span for span in self.spans if span.key == key), None)


def build(rows: Rows, *, by_agent_over: int) -> Tree:
    """Return the tree; of more spans than `by_agent_over` the agents are the roots."""
    steps = {step.pk: _step(step, rows) for step in rows.steps}
    spans = _all(list(steps.values()))
    calls = {span.pk: span for span in spans if span.kind == TOOL} if rows.asked else {}
    roots = []
    for pk, span in steps.items():
        call = calls.get(rows.asked.get(pk))
        if call is None:
            roots.append(span)
        else:
            call.add(span)
    if len(spans) > by_agent_over:
        roots = _by_agent(roots)
    if rows.asked or len(spans) > by_agent_over:
        spans = _all(roots)
    for span in reversed(spans):
        span.errors += bool(span.error)
        if span.parent is not None:
            span.parent.errors += span.errors
    return Tree(roots=roots, spans=spans)


def _all(roots: list[Span]) -> list[Span]:
    """Return the spans of a forest, parents before children: without recursion, for there are many."""
    found, waiting = [], roots[::-1]
    while waiting:
        span = waiting.pop()
        found.append(span)
        waiting += span.children[::-1]
    return found


def _by_agent(steps: list[Span]) -> list[Span]:
    """Return one span for each agent, with its steps below."""
    found: dict[str, Span] = {}
    for span in steps:
        agent = span.agent
        assert agent is not None  # noqa: S101  # a step has one
        group = found.get(agent.slug)
        if group is None:
            key = key_of(AGENT, agent.pk)
            group = found[agent.slug] = Span(key=key, kind=AGENT, title=agent.name, agent=agent)
        group.add(span)
    for group in found.values():
        _sum(group, group.children)
    return list(found.values())


def _step(step: Step, rows: Rows) -> Span:
    tries = rows.attempts.get(step.pk, [])
    span = Span(
        key=key_of(STEP, step.pk),
        kind=STEP,
        title=step.agent.name,
        note=looks.title_of(step),
        step=step,
        agent=step.agent,
        pk=step.pk,
    )
    before = _Before()  # calls of tools, by the tries that made them
    made = [_attempt(step, attempt, rows, before) for attempt in tries]
    if len(made) == 1:
        for turn in made[0].children:
            span.add(turn)
        span.error = made[0].error
    else:
        for each in made:
            span.add(each)
    _sum(span, made)
    span.retries = max(0, len(tries) - 1)
    span.error = span.error or _STEP_WORDS.get(StepState(step.state), "")
    return span


def _attempt(step: Step, attempt: Attempt, rows: Rows, before: _Before) -> Span:
    span = Span(
        key=key_of(ATTEMPT, attempt.pk),
        kind=ATTEMPT,
        title=f"Try {attempt.number}",
        note=attempt.error[:200],
        step=step,
        agent=step.agent,
        pk=attempt.pk,
        start=attempt.started_at.timestamp(),
        end=_seconds(attempt.finished_at),
        input_tokens=attempt.input_tokens,
        output_tokens=attempt.output_tokens,
        usd=attempt.usd,
        retries=attempt.number - 1,
        error=_attempt_word(attempt),
    )
    for turn in _turns(step, attempt, rows, before):
        span.add(turn)
    span.unpriced = any(turn.unpriced for turn in span.children)
    return span


def _attempt_word(attempt: Attempt) -> str:
    state = AttemptState(attempt.state)
    if state == AttemptState.RELEASED and attempt.error:
        return "given back"
    return _ATTEMPT_WORDS.get(state, "")


def _turns(step: Step, attempt: Attempt, rows: Rows, before: _Before) -> list[Span]:
    answers = rows.answers.get(attempt.pk, [])
    turns: dict[int, list[Span]] = {row.response: [_model(step, row)] for row in answers}
    for call in rows.calls.get(attempt.pk, []):
        same = (call.response, call.call_id)
        turns.setdefault(call.response, []).append(_tool(step, attempt, call, before[same]))
        before[same] += 1
    if unanswered := _unanswered(step, attempt, answers):
        turns.setdefault(attempt.turns, []).append(unanswered)
    return [_turn(step, attempt, response, turns[response]) for response in sorted(turns)]


def _turn(step: Step, attempt: Attempt, response: int, calls: list[Span]) -> Span:
    span = Span(
        key=key_of(TURN, attempt.pk, response),
        kind=TURN,
        title=f"Turn {response + 1}",
        step=step,
        agent=step.agent,
        pk=attempt.pk,
        response=response,
    )
    for call in calls:
        span.add(call)
    _sum(span, calls)
    return span


def _model(step: Step, row: Answered) -> Span:
    return Span(
        key=key_of(MODEL, row.pk),
        kind=MODEL,
        title=row.model or "Model",
        note="asked again: its last answer could not be used" if row.repairs else "",
        step=step,
        agent=step.agent,
        pk=row.attempt_id,
        response=row.response,
        start=row.start,
        end=row.end,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        usd=row.usd,
        unpriced=row.usd is None,
        retries=row.repairs,
    )


def _tool(step: Step, attempt: Attempt, row: Called, repeated: int) -> Span:
    ended, error = row.end, _TOOL_WORDS.get(ToolCallState(row.state), "")
    if ended is None and (attempt.state != AttemptState.ASKING or step.settled):
        ended = _seconds(attempt.finished_at)  # it went with its attempt
        error = "cut off" if attempt.state in _ATTEMPT_WORDS else ""
    return Span(
        key=key_of(TOOL, row.pk),
        kind=TOOL,
        title=row.tool,
        step=step,
        agent=step.agent,
        pk=row.pk,
        response=row.response,
        start=row.start,
        end=ended,
        retries=repeated,
        error=error,
    )


def _unanswered(step: Step, attempt: Attempt, answers: list[Answered]) -> Span | None:
    """Return the call that the attempt is in, or that its end cut off; its tokens are an estimate."""
    called = attempt.called_at
    if called is None or (answers and answers[-1].start >= called.timestamp()):
        return None
    over = attempt.finished_at is not None
    stopped = attempt.state == AttemptState.CANCELLED
    billed = attempt.input_tokens - sum(row.input_tokens for row in answers)
    return Span(
        key=key_of(MODEL, attempt.pk, attempt.turns),
        kind=MODEL,
        title=attempt.model or "Model call",
        note="stopped before it answered" if stopped else "",
        step=step,
        agent=step.agent,
        pk=attempt.pk,
        response=attempt.turns,
        start=called.timestamp(),
        end=_seconds(attempt.finished_at),
        input_tokens=max(0, billed) if over else 0,
        output_tokens=0,
        usd=attempt.usd - sum((row.usd or Decimal(0) for row in answers), Decimal(0)),
        error="no answer" if over and not stopped else "",
    )


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _sum(span: Span, parts: list[Span]) -> None:
    """Give a span the times and figures of its parts."""
    begun = [part for part in parts if part.start is not None]
    if begun:
        span.start = min(part.start for part in begun if part.start is not None)
        ends = [part.end for part in begun]
        span.end = None if None in ends else max(end for end in ends if end is not None)
    using = [part for part in parts if part.input_tokens is not None]
    if using:
        span.input_tokens = sum(part.input_tokens or 0 for part in using)
        span.output_tokens = sum(part.output_tokens or 0 for part in using)
        span.usd = sum((part.usd or Decimal(0) for part in using), Decimal(0))
    span.unpriced = any(part.unpriced for part in parts)
    span.retries = sum(part.retries for part in parts)
