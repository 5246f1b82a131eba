"""Money and tokens are reserved before a model is called and settled after: several steps of a task
together stay inside its limits.

Everything here runs inside the caller's transaction. The task's row is the lock; every writer of
the sums below holds it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db import connection

from agents.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agents.meters import Used
    from agents.models import Attempt, Step, Task

LEAST_OUTPUT = 1_000  # tokens; an answer shorter than this is rarely of use

_RESERVE = """
UPDATE agents_attempt attempt
SET reserved_tokens = given.tokens, reserved_usd = given.usd,
    reserved_input_tokens = given.input_tokens, reserved_input_usd = given.input_usd,
    called_at = CASE WHEN given.tokens > 0 THEN statement_timestamp() ELSE attempt.called_at END
FROM unnest(%b::uuid[], %b::bigint[], %b::numeric[], %b::bigint[], %b::numeric[])
    AS given(id, tokens, usd, input_tokens, input_usd)
WHERE attempt.id = given.id
"""
_WRITE_OFF = """
WITH open AS (
    SELECT attempt.id, step.task_id, attempt.reserved_input_tokens AS tokens,
           attempt.reserved_input_usd AS usd
    FROM unnest(%b::uuid[], %b::int[]) AS ended(step_id, number)
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


_FREE = Price(input=Decimal(0), output=Decimal(0))


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
class Wish:
    """A call that an attempt is about to make."""

    attempt: Attempt
    task: Task
    used: Used  # by the task, without what the attempts of these wishes have reserved
    own: Own
    call: Asking


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
class _Others:
    """What the other steps of a task have reserved."""

    tokens: int
    usd: Decimal

    def more(self, tokens: int, usd: Decimal) -> _Others:
        return _Others(self.tokens + tokens, self.usd + usd)


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


def reserve(wishes: Sequence[Wish]) -> list[Reserved | Refused]:
    """Reserve what calls may cost on their attempts' rows, or say which limit each would pass.

    The caller holds the tasks' row locks and has read them under it. Less room than the profile
    allows lowers an answer, down to LEAST_OUTPUT. One after the other: each sees what those before
    it reserved.
    """
    others = {
        wish.task.pk: _Others(wish.used.reserved_tokens, wish.used.reserved_usd) for wish in wishes
    }
    given: list[Reserved | Refused] = []
    rows = []
    for wish in wishes:
        found = _reserve(wish, others[wish.task.pk])
        given.append(found)
        if isinstance(found, Refused) and found.unpriced:
            continue  # it has nothing to do with what is reserved
        rows.append((wish.attempt.pk, *_amounts(wish.call, found)))
        _, tokens, usd, _, _ = rows[-1]
        others[wish.task.pk] = others[wish.task.pk].more(tokens, usd)
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(_RESERVE, [list(column) for column in zip(*rows, strict=True)])
    return given


def _reserve(wish: Wish, others: _Others) -> Reserved | Refused:
    limits, own, call = Limits.frozen(wish.task.limits), wish.own, wish.call
    if call.price is None and (limits.usd_set or own.max_usd is not None):
        return _unpriced(limits, own)
    least = min(LEAST_OUTPUT, call.output_tokens)
    output = _room(wish, limits, others)
    if output >= call.output_tokens:
        return Reserved(output_tokens=call.output_tokens)
    refused = _refused(_bounds(wish.task, limits, own, call, least, others.tokens, others.usd))
    if output < least:
        return refused
    return Reserved(output_tokens=output, tight=refused.evidence)


def _room(wish: Wish, limits: Limits, others: _Others) -> int:
    """Return how many tokens of answer every limit leaves room for, at most those asked for."""
    task, own, call = wish.task, wish.own, wish.call
    left = [
        call.output_tokens,
        own.max_tokens - own.tokens - call.input_tokens,
        limits.tokens - task.input_tokens - task.output_tokens - others.tokens - call.input_tokens,
    ]
    price = call.price or _FREE
    if price.output > 0:
        usd = Decimal(str(limits.usd)) - task.usd - others.usd
        if own.max_usd is not None:
            usd = min(usd, own.max_usd - own.usd)
        left.append(math.floor((usd - call.input_tokens * price.input) / price.output))
    return min(left)


def _amounts(call: Asking, given: Reserved | Refused) -> tuple[int, Decimal, int, Decimal]:
    """Return the tokens and USD to reserve, and of each what is sent."""
    if isinstance(given, Refused):
        return 0, Decimal(0), 0, Decimal(0)
    price = call.price or _FREE
    sent = call.input_tokens * price.input
    answer = given.output_tokens
    return call.input_tokens + answer, sent + answer * price.output, call.input_tokens, sent


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


def _bounds(
    task: Task, limits: Limits, own: Own, call: Asking, least: int, tokens: int, usd: Decimal
) -> list[_Bound]:
    price = call.price or _FREE
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
