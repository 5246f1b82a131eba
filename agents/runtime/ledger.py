"""One row per tool call, written before it acts: a resumed attempt is answered from here."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models.functions import Now

from agents.breakers import fingerprints
from agents.breakers.calls import NOT_GRANTED, Call
from agents.events import Kind
from agents.lifecycle import EscalationState, ToolCallState
from agents.models import Escalation, Event, ToolCall
from agents.models.tasks import Choice, Rule
from agents.runtime.checkpoints import leased
from agents.runtime.contract import NeedsHuman
from agents.runtime.redaction import clean, cleaned

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agents.breakers.calls import Warned
    from agents.grants import Granted
    from agents.runtime import contract
    from agents.runtime.checkpoints import Progress
    from agents.runtime.contract import Work
    from agents.workspace.scope import Scope

RESULT_BYTES = 20_000
_SHOWN = 600  # characters of a result in the evidence of an escalation
_CUT_OFF = (
    "This call was cut off by a crash, and whether it took effect is not known. A person lets you go "
    "on: look at the state of things before you do it again."
)


@dataclass(frozen=True, kw_only=True)
class Known:
    """What we hold about a granted tool."""

    name: str
    server: str
    repeatable: bool  # may run again after a crash
    writes: bool
    polling: bool = False  # made to be asked the same again
    outside: bool = False  # on a server that is not ours


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One tool call of a model."""

    response: int  # index of the answer that asked for it
    call_id: str
    tool: Known
    arguments: dict[str, Any]

    @property
    def key(self) -> str:
        """The call's own id and what it asks: some servers give two calls one id."""
        return f"{self.call_id[:80]}:{self.fingerprint[:12]}"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of tool and canonical arguments."""
        canonical = json.dumps(cleaned(self.arguments), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(f"{self.tool.name}\n{canonical}".encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the model is told; a failure is told as one."""

    text: str
    failed: bool = False
    error: str = ""  # the class of the failure
    summary: str = ""
    sandbox: str = ""
    tree: str = ""
    waits: bool = False  # there is none yet: the call is made outside, when it may be
    asks: contract.Asked | None = None  # nor here: another agent is to be asked

    @property
    def fingerprint(self) -> str:
        """What makes it the same result as another."""
        return fingerprints.of_result(self.text)


def known_tools(scope: Scope, granted: Iterable[Granted]) -> dict[str, Known]:
    """Return which of the tools an agent was granted are in a step's scope, by name."""
    return {
        each.tool: Known(
            name=each.tool,
            server=each.server,
            repeatable=each.repeatable,
            writes=not each.read_only,
            outside=each.outside,
        )
        for each in granted
        if each.tool in scope.tools
    }


def told(answer: Answer, warned: Warned | None) -> str:
    """Return what the model reads: the result, and a warning after it."""
    return f"{answer.text}\n\n[Countersign: {warned.text}]" if warned else answer.text


def shown(answer: Answer, warned: Warned | None) -> str:
    """Return the beginning of what the model reads, for evidence."""
    return told(answer, warned)[:_SHOWN]


def warn(work: Work, warned: Warned) -> None:
    """Write a warning about the last turns as an event; raises Halted when the step is lost."""
    with leased(work):
        warn_once(work, warned)


def warn_once(work: Work, warned: Warned) -> None:
    """Write `limit.warned`, once per rule and attempt; inside the caller's transaction."""
    about = {"rule": str(warned.rule), "attempt": work.attempt.number}
    events = Event.objects.filter(
        task_id=work.step.task_id, step=work.step, kind=Kind.LIMIT_WARNED, data__contains=about
    )
    if not events.exists():
        data = {**about, "detail": warned.text}
        work.step.task.record(Kind.LIMIT_WARNED, data, step=work.step)


def refused(work: Work, response: int, call_id: str, name: str, arguments: Any) -> ToolCall:
    """Return the row, not yet stored, of a call of a tool that was not granted."""
    tool = Known(name=clean(name)[:120], server="", repeatable=True, writes=False)
    given = arguments if isinstance(arguments, dict) else {"": str(arguments)}
    asked = Asked(response=response, call_id=clean(call_id), tool=tool, arguments=given)
    text = f"{tool.name} is not granted to you."
    return ToolCall(
        attempt=work.attempt,
        response=response,
        call_id=asked.key,
        tool=tool.name,
        arguments=cleaned(given),
        fingerprint=asked.fingerprint,
        state=ToolCallState.REFUSED,
        result=text,
        result_fingerprint=fingerprints.of_result(text),
        error=NOT_GRANTED,
        summary="Not granted to this agent.",
        finished_at=Now(),
    )


def history(work: Work, progress: Progress, known: dict[str, Known]) -> tuple[list[Call], str]:
    """Return the ended calls since a person last sent this step on, and the tree before them.

    The tree is empty when no row tells it.
    """
    answered = Escalation.objects.filter(step=work.step, state=EscalationState.RESOLVED)
    after = max(answered.values_list("attempt", flat=True), default=0)
    ended = (ToolCallState.DONE, ToolCallState.FAILED, ToolCallState.REFUSED)
    rows = ToolCall.objects.filter(attempt_id__in=progress.chain, state__in=ended)
    rows = rows.select_related("attempt").order_by("response", "pk")
    counted = [row for row in rows if row.attempt.number > after]
    trees = [row.tree for row in rows if row.tree and row.attempt.number <= after]
    return [call_of(row, known) for row in counted], trees[-1] if trees else ""


def call_of(row: ToolCall, known: dict[str, Known]) -> Call:
    """Return an ended row as the breakers judge it."""
    tool = known.get(row.tool)
    return Call(
        id=str(row.pk),
        response=row.response,
        tool=row.tool,
        fingerprint=row.fingerprint,
        result=row.result_fingerprint,
        error=row.error,
        failed=row.state != ToolCallState.DONE,
        writes=tool is not None and tool.writes,
        polling=tool is not None and tool.polling,
        tree=row.tree,
        shown=row.result[:_SHOWN],
    )


def shortened(text: str) -> str:
    """Return a tool result as the model may see it: clean, and at most 20 kB."""
    return capped_bytes(clean(text), RESULT_BYTES)


def capped_bytes(text: str, limit: int) -> str:
    """Return at most `limit` bytes of UTF-8, saying how many are left out."""
    raw = text.encode()
    if len(raw) <= limit:
        return text
    kept = raw[: limit - 100].decode(errors="ignore")
    left_out = len(raw) - len(kept.encode())
    return f"{kept}\n[… {left_out} bytes left out; ask for a smaller part …]"


def recorded(row: ToolCall, asked: Asked) -> Answer | None:
    """Return what a row answers; None when it was cut off and that is not yet known."""
    match row.state:
        case ToolCallState.DONE:
            return Answer(text=row.result)
        case ToolCallState.FAILED | ToolCallState.REFUSED:
            return Answer(text=row.result, failed=True)
        case ToolCallState.UNKNOWN if not asked.tool.repeatable:
            # It is known to be unknown only since an attempt escalated over it: a person has answered.
            return Answer(text=_CUT_OFF, failed=True)
    return None


def cut_off(asked: Asked) -> NeedsHuman:
    """Return the question about a call that may or may not have taken effect."""
    return NeedsHuman(
        rule=Rule.UNKNOWN_TOOL_CALL,
        detail=f"The worker died inside {asked.tool.name}, and whether it took effect is not known. "
        "It was not repeated; everything before it is kept.",
        evidence={"tool": asked.tool.name, "arguments": cleaned(asked.arguments)},
        options=(Choice.RETRY_WITH_NOTE, Choice.STOP),
    )
