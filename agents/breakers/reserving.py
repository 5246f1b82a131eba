"""Money and tokens are reserved before a model is called and settled after: several steps of a task
together stay inside its limits.

Everything here runs inside the caller's transaction. The task's row is the lock; every writer of
the sums below holds it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db import connection

from agents.limits import Limits

if TYPE_CHECKING:
    from agents.models import Attempt, Step, Task

LEAST_OUTPUT = 1_000  # tokens; an answer shorter than this is rarely of use

_RESERVE = """
WITH others AS (
    SELECT coalesce(sum(other.reserved_tokens), 0) AS tokens,
           coalesce(sum(other.reserved_usd), 0) AS usd
    FROM agents_attempt other JOIN agents_step step ON step.id = other.step_id
    WHERE step.task_id = %(task)s AND other.reserved_tokens > 0 AND other.id <> %(attempt)s
), room AS (
    SELECT tokens, usd, least(
        %(most)s, %(step_tokens)s - %(input)s, %(task_tokens)s - tokens - %(input)s,
        CASE WHEN %(output_usd)s > 0
             THEN floor((least(%(step_usd)s, %(task_usd)s - usd) - %(input_usd)s) / %(output_usd)s)
             ELSE %(most)s END
    )::bigint AS output
    FROM others
)
UPDATE agents_attempt attempt
SET reserved_tokens = CASE WHEN output >= %(least)s THEN %(input)s + output ELSE 0 END,
    reserved_usd = CASE WHEN output >= %(least)s THEN %(input_usd)s + output * %(output_usd)s ELSE 0 END,
    reserved_input_tokens = CASE WHEN output >= %(least)s THEN %(input)s ELSE 0 END,
    reserved_input_usd = CASE WHEN output >= %(least)s THEN %(input_usd)s ELSE 0 END
FROM room WHERE attempt.id = %(attempt)s
RETURNING room.tokens, room.usd, room.output
"""
_WRITE_OFF = """
WITH open AS (
    SELECT attempt.id, step.task_id, attempt.reserved_input_tokens AS tokens,
           attempt.reserved_input_usd AS usd
    FROM unnest(%s::uuid[], %s::int[]) AS ended(step_id, number)
    JOIN agents_step step ON step.id = ended.step_id
    JOIN agents_attempt attempt USING (step_id, number)
    WHERE attempt.reserved_tokens > 0 FOR NO KEY UPDATE OF attempt
), lost AS (
    UPDATE agents_attempt attempt
    SET input_tokens = input_tokens + open.tokens, usd = attempt.usd + open.usd,
        reserved_tokens = 0, reserved_usd = 0, reserved_input_tokens = 0, reserved_input_usd = 0
    FROM open WHERE attempt.id = open.id RETURNING open.task_id, open.tokens, open.usd
)
UPDATE agents_task task
SET input_tokens = input_tokens + billed.tokens, usd = task.usd + billed.usd,
    model_calls = model_calls + billed.calls
FROM (
    SELECT task_id, sum(tokens) AS tokens, sum(usd) AS usd, count(*) AS calls
    FROM lost GROUP BY task_id
) billed WHERE task.id = billed.task_id
"""
# What `checkpoints.save` writes with the real usage of the call.
SETTLED: dict[str, Any] = {
    "reserved_tokens": 0,
    "reserved_usd": 0,
    "reserved_input_tokens": 0,
    "reserved_input_usd": 0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """USD per token."""

    input: Decimal
    output: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One model call about to be made: what it sends, at most answers, and costs."""

    input_tokens: int  # estimated
    output_tokens: int  # the profile's limit
    price: Price | None  # None: not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """What the attempt and those it goes on from have used, and may."""

    tokens: int
    max_tokens: int
    usd: Decimal
    max_usd: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """The call may be made, with at most so many tokens of answer."""

    output_tokens: int
    tight: dict[str, Any] = field(default_factory=dict)  # the limit that made them fewer


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The call may not be made."""

    detail: str
    evidence: dict[str, Any]
    unpriced: bool = False


@dataclass(frozen=True, slots=True)
class _Bound:
    scope: str  # task or step
    name: str  # tokens or usd
    limit: float
    used: float
    reserved: float  # by other steps of the task
    needed: float

    @property
    def left(self) -> float:
        return self.limit - self.used - self.reserved - self.needed


def reserve(attempt: Attempt, task: Task, own: Own, call: Asking) -> Reserved | Refused:
    """Reserve what a call may cost on the attempt's row, or say which limit it would pass.

    The caller holds the task's row lock and has read `task` under it. Less room than the profile
    allows lowers the answer, down to LEAST_OUTPUT.
    """
    limits = Limits.frozen(task.limits)
    if call.price is None and (limits.usd_set or own.max_usd is not None):
        return _unpriced(limits, own)
    least = min(LEAST_OUTPUT, call.output_tokens)
    with connection.cursor() as cursor:
        cursor.execute(_RESERVE, _parameters(attempt, task, limits, own, call, least))
        tokens, usd, output = cursor.fetchone()
    if output >= call.output_tokens:
        return Reserved(output_tokens=call.output_tokens)
    refused = _refused(_bounds(task, limits, own, call, least, int(tokens), usd))
    if output < least:
        return refused
    return Reserved(output_tokens=int(output), tight=refused.evidence)


def release(attempt: Attempt) -> None:
    """Give back what was reserved for a call that cannot have cost anything: it was turned away."""
    type(attempt).objects.filter(pk=attempt.pk).update(**SETTLED)


def write_off(*steps: Step) -> None:
    """Count the calls that the steps' attempts were in as sent: the provider bills what it got.

    For attempts that end without an answer. Twice: once, for the reservation is gone then. The
    caller holds the steps; locks their tasks if there is something to count.
    """
    with connection.cursor() as cursor:
        cursor.execute(_WRITE_OFF, [[step.pk for step in steps], [step.attempt for step in steps]])


def _parameters(
    attempt: Attempt, task: Task, limits: Limits, own: Own, call: Asking, least: int
) -> dict[str, Any]:
    price = call.price or Price(input=Decimal(0), output=Decimal(0))
    task_usd = Decimal(str(limits.usd)) - task.usd
    return {
        "task": task.pk,
        "attempt": attempt.pk,
        "most": call.output_tokens,
        "least": least,
        "input": call.input_tokens,
        "input_usd": call.input_tokens * price.input,
        "output_usd": price.output,
        "step_tokens": own.max_tokens - own.tokens,
        "task_tokens": limits.tokens - task.input_tokens - task.output_tokens,
        "step_usd": task_usd if own.max_usd is None else own.max_usd - own.usd,
        "task_usd": task_usd,
    }


def _bounds(
    task: Task, limits: Limits, own: Own, call: Asking, least: int, tokens: int, usd: Decimal
) -> list[_Bound]:
    price = call.price or Price(input=Decimal(0), output=Decimal(0))
    size = call.input_tokens + least
    cost = float(call.input_tokens * price.input + least * price.output)
    spent = task.input_tokens + task.output_tokens
    bounds = [
        _Bound("task", "tokens", limits.tokens, spent, tokens, size),
        _Bound("step", "tokens", own.max_tokens, own.tokens, 0, size),
        _Bound("task", "usd", limits.usd, float(task.usd), float(usd), cost),
    ]
    if own.max_usd is not None:
        bounds.append(_Bound("step", "usd", float(own.max_usd), float(own.usd), 0, cost))
    return bounds


def _refused(bounds: list[_Bound]) -> Refused:
    bound = min(bounds, key=lambda each: each.left / each.limit if each.limit else -1.0)
    unit = "USD" if bound.name == "usd" else "tokens"
    held = f" and {_figure(bound.reserved)} reserved by steps at work" if bound.reserved else ""
    detail = (
        f"{_figure(bound.used)} of {_figure(bound.limit)} {unit} used{held}; the next call needs "
        f"at least {_figure(bound.needed)}"
    )
    facts = {"scope": bound.scope, "name": bound.name, "limit": bound.limit, "used": bound.used}
    facts |= {"reserved": bound.reserved, "needed": bound.needed, "threshold": bound.limit}
    facts["observed"] = bound.used + bound.reserved + bound.needed
    return Refused(detail=detail, evidence=facts)


def _unpriced(limits: Limits, own: Own) -> Refused:
    limit = limits.usd if limits.usd_set else float(own.max_usd or 0)
    return Refused(
        detail=f"Its price is not known, and a limit of {_figure(limit)} USD was set, so it was not "
        "called. Enter the price in the agent's model profile, or choose a model with a known one",
        evidence={"scope": "task" if limits.usd_set else "step", "name": "price", "limit": limit},
        unpriced=True,
    )


def _figure(value: float) -> str:
    return f"{value:,.4f}".rstrip("0").rstrip(".")
