"""What one agent said and did, replayed from the events of its step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.events import Kind
from agents.models import Event
from countersign.console.eventwords import argument, sandbox_word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet

    from agents.models import Step

_AT_MOST = 300
_BRIEF = 240  # characters of a thought


@dataclass(kw_only=True)
class Entry:
    """One message or one tool call of the stream."""

    key: str
    text: str = ""
    thinking: str = ""  # of the model, before it said this
    tool: str = ""
    code: str = ""
    summary: str = ""
    state: str = ""  # of a call: started, done, failed, refused
    seconds: float | None = None
    sandbox: str = ""
    person: str = ""
    aside: bool = False  # said on the way to a tool call, not at the end

    @property
    def brief(self) -> bool:
        """Tell whether the thought needs no fold."""
        return len(self.thinking) <= _BRIEF


def events_of(step: Step) -> QuerySet[Event]:
    """Return the events a step's stream is replayed from, newest first."""
    kinds = (Kind.MESSAGE, Kind.TOOL_STARTED, Kind.TOOL_FINISHED)
    return Event.objects.filter(step=step, kind__in=kinds).order_by("-seq")[:_AT_MOST]


def stream_of(events: Sequence[Event]) -> list[Entry]:
    """Return the step's messages and calls, oldest first; notes of people among them."""
    entries: dict[str, Entry] = {}
    last: Entry | None = None
    for event in reversed(events):
        entry = _message(event) if event.kind == Kind.MESSAGE else _call(event)
        if last is not None and entry.tool and not last.person:
            last.aside = True
        last = entries[entry.key] = entry
    return list(entries.values())


def _message(event: Event) -> Entry:
    person = event.data.get("author", "") if event.data.get("from") == "person" else ""
    text, thinking = str(event.data.get("text", "")), str(event.data.get("thinking", ""))
    return Entry(key=f"m{event.seq}", text=text, thinking=thinking, person=str(person))


def _call(event: Event) -> Entry:
    data: dict[str, Any] = event.data
    finished = event.kind == Kind.TOOL_FINISHED
    sandbox, code = str(data.get("sandbox") or ""), argument(data)
    summary = str(data.get("summary", ""))
    return Entry(
        key=f"c{data.get('call') or event.seq}",
        tool=str(data.get("tool", "")),
        code=code,
        summary=summary if summary != code else "",
        state=str(data.get("state", "done")) if finished else "started",
        seconds=data.get("seconds") if finished else None,
        sandbox=sandbox_word(sandbox) if sandbox else "",
    )
