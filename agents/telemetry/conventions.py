"""Makes spans of rows, by OpenTelemetry's conventions for generative AI.

Neither prompts nor answers, arguments, results or error texts are in them: those stay in Countersign.
A task is one trace, whose id is the task's; the router's attempt is its root. Ids come from rows, so
what is sent twice is the same span.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from agents.lifecycle import AttemptState, StepKind, ToolCallState
from agents.models import Attempt, Delegation, Escalation, ModelCall, ToolCall

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from agents.models import Step

_SCOPE = InstrumentationScope("countersign")
_OTHER = "_OTHER"  # the conventions' word for an error without a class
_WRONG = frozenset({AttemptState.FAILED, AttemptState.LOST, AttemptState.ESCALATED})
_REHEARSAL = "countersign.rehearsal"


@dataclass(kw_only=True)
class _Rows:
    attempts: list[Attempt]
    answers: dict[uuid.UUID, list[ModelCall]] = field(default_factory=dict)
    calls: dict[uuid.UUID, list[ToolCall]] = field(default_factory=dict)
    roots: dict[uuid.UUID, uuid.UUID] = field(default_factory=dict)  # task: its router's attempt
    asked: dict[uuid.UUID, uuid.UUID] = field(default_factory=dict)  # step: the call that asked
    rules: dict[tuple[uuid.UUID, int], str] = field(default_factory=dict)


def spans_of(ended: Sequence[tuple[uuid.UUID, int]]) -> list[ReadableSpan]:
    """Return the spans of these attempts (step, number); those that still run have none."""
    rows = _read(ended)
    found: list[ReadableSpan] = []
    for attempt in rows.attempts:
        found.append(_agent(attempt, rows))
        found += [_chat(attempt, call) for call in rows.answers.get(attempt.pk, ())]
        found += [_tool(attempt, call) for call in rows.calls.get(attempt.pk, ())]
        if _is_unanswered(attempt, rows.answers.get(attempt.pk, [])):
            found.append(_unanswered(attempt))
    return found


def _read(ended: Sequence[tuple[uuid.UUID, int]]) -> _Rows:
    wanted = set(ended)
    steps = {step for step, _ in wanted}
    rows = Attempt.objects.filter(step_id__in=steps, finished_at__isnull=False)
    rows = rows.filter(number__in={number for _, number in wanted}).defer("checkpoint", "error")
    found = [
        row
        for row in rows.select_related("step__task", "step__agent", "step__version")
        if (row.step_id, row.number) in wanted
    ]
    ids = [row.pk for row in found]
    tasks = {row.step.task_id for row in found}
    routed = Attempt.objects.filter(step__task__in=tasks, step__kind=StepKind.ROUTE)
    asked = Delegation.objects.filter(answerer__in=steps)
    rules = Escalation.objects.filter(step__in=steps).values_list("step_id", "attempt", "rule")
    return _Rows(
        attempts=found,
        answers=_by_attempt(ModelCall.objects.filter(attempt__in=ids).order_by("response")),
        calls=_by_attempt(ToolCall.objects.filter(attempt__in=ids).defer("arguments", "result")),
        roots=dict(routed.order_by("number").values_list("step__task_id", "pk")),
        asked=dict(asked.values_list("answerer_id", "call_id")),
        rules={(step, number): rule for step, number, rule in rules},
    )


def _by_attempt(rows: Iterable[Any]) -> dict[uuid.UUID, list[Any]]:
    found: dict[uuid.UUID, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.attempt_id].append(row)
    return found


def _agent(attempt: Attempt, rows: _Rows) -> ReadableSpan:
    step = attempt.step
    facts = {
        "gen_ai.operation.name": "invoke_agent",
        **_model(attempt.model),
        **_usage(attempt.input_tokens, attempt.output_tokens),
        "gen_ai.agent.id": step.agent.slug,
        "gen_ai.agent.version": str(step.version.number),
        "countersign.task": step.task.label,
        "countersign.step": step.key,
        "countersign.round": step.round,
        "countersign.attempt": attempt.number,
        "countersign.usd": float(attempt.usd),
    }
    error = _error_of(attempt, rows)
    return _span(
        f"invoke_agent {step.agent.name}", attempt, attempt.pk, _parent(attempt, rows), facts, error
    )


def _chat(attempt: Attempt, call: ModelCall) -> ReadableSpan:
    model = _model(call.model)
    facts = {
        "gen_ai.operation.name": "chat",
        **model,
        **_usage(call.input_tokens, call.output_tokens),
        "countersign.repairs": call.repairs,
    }
    if call.usd is not None:
        facts["countersign.usd"] = float(call.usd)
    name = f"chat {model.get('gen_ai.request.model', '')}".strip()
    return _span(name, attempt, call.pk, attempt.pk, facts, between=_times(call))


def _tool(attempt: Attempt, call: ToolCall) -> ReadableSpan:
    facts = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": call.tool,
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": call.call_id,
    }
    error = ""
    if call.state != ToolCallState.DONE:
        error = call.error or call.state
    name = f"execute_tool {call.tool}"
    between = (call.started_at, call.finished_at or attempt.finished_at or call.started_at)
    return _span(name, attempt, call.pk, attempt.pk, facts, error, between=between)


def _is_unanswered(attempt: Attempt, answers: list[ModelCall]) -> bool:
    called = attempt.called_at
    return called is not None and not (answers and answers[-1].started_at >= called)


def _unanswered(attempt: Attempt) -> ReadableSpan:
    model = _model(attempt.model or attempt.step.task.model)
    facts = {"gen_ai.operation.name": "chat", **model}
    name = f"chat {model.get('gen_ai.request.model', '')}".strip()
    began, ended = attempt.called_at, attempt.finished_at
    assert began is not None  # noqa: S101  # it was called, and is over
    assert ended is not None  # noqa: S101
    error = "" if attempt.state == AttemptState.CANCELLED else _OTHER
    own = hashlib.sha256(attempt.pk.bytes).digest()
    return _span(name, attempt, own, attempt.pk, facts, error, between=(began, ended))


def _span(
    name: str,
    attempt: Attempt,
    own: uuid.UUID | bytes,
    parent: uuid.UUID | None,
    facts: dict[str, Any],
    error: str = "",
    *,
    between: tuple[datetime, datetime] | None = None,
) -> ReadableSpan:
    step = attempt.step
    start, end = between or _times(attempt)
    facts = {
        **facts,
        "gen_ai.conversation.id": str(step.task_id),
        "gen_ai.agent.name": step.agent.name,
        **({"error.type": error} if error else {}),
    }
    return ReadableSpan(
        name=name,
        context=_context(step, own),
        parent=None if parent is None else _context(step, parent),
        resource=_resource(),
        attributes=facts,
        kind=SpanKind.CLIENT if name.startswith("chat") else SpanKind.INTERNAL,
        status=Status(StatusCode.ERROR) if error else Status(StatusCode.UNSET),
        start_time=_nanoseconds(start),
        end_time=_nanoseconds(max(start, end)),
        instrumentation_scope=_SCOPE,
    )


def _context(step: Step, own: uuid.UUID | bytes) -> SpanContext:
    """Return the ids: the trace's is the task's, a span's the random half of its row's."""
    end = (own if isinstance(own, bytes) else own.bytes)[-8:]
    return SpanContext(
        trace_id=step.task_id.int,
        span_id=int.from_bytes(end, "big") or 1,
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )


def _parent(attempt: Attempt, rows: _Rows) -> uuid.UUID | None:
    """Return whose span this is below: the question's, else the router's newest attempt."""
    asked = rows.asked.get(attempt.step_id)
    if asked is not None:
        return asked
    root = rows.roots.get(attempt.step.task_id)
    return None if attempt.step.kind == StepKind.ROUTE else root


def _error_of(attempt: Attempt, rows: _Rows) -> str:
    if attempt.state not in _WRONG:
        return ""
    return rows.rules.get((attempt.step_id, attempt.number), attempt.state)


def _model(label: str) -> dict[str, Any]:
    """Return provider and model of a label such as `openai:gpt-5`."""
    provider, colon, name = label.partition(":")
    if not label:
        return {}
    if not colon:
        provider, name = _REHEARSAL, label
    # `system` is what `provider.name` was called before; backends read either.
    return {
        "gen_ai.provider.name": provider,
        "gen_ai.system": provider,
        "gen_ai.request.model": name,
    }


def _usage(asked: int, answered: int) -> dict[str, int]:
    return {"gen_ai.usage.input_tokens": asked, "gen_ai.usage.output_tokens": answered}


def _times(row: Attempt | ModelCall) -> tuple[datetime, datetime]:
    assert row.finished_at is not None  # noqa: S101  # only what is over is read
    return row.started_at, row.finished_at


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1_000


@cache
def _resource() -> Resource:
    """Return who sends: OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, else countersign."""
    given = Resource.create()
    if str(given.attributes[SERVICE_NAME]).startswith("unknown_service"):
        return given.merge(Resource({SERVICE_NAME: "countersign"}))
    return given
