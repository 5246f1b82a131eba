"""The second rehearsed story: reminders of open invoices, each sent by a tool outside that asks first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents.requests import title_of
from agents.runtime.rehearsal.answers import done
from agents.runtime.rehearsal.assembly import assemble
from agents.runtime.rehearsal.extracts import extract
from agents.runtime.rehearsal.scene import Call, Move
from agents.workspace.demo import REMINDERS

if TYPE_CHECKING:
    from collections.abc import Collection

    from agents.runtime.rehearsal.scene import Done, Scene

_KEY = "send-reminders"
_OPEN = (("1007", "Ana Moss"), ("1012", "Jo Field"), ("1015", "Lee Park"))


def play(scene: Scene) -> Move:
    """Play one turn of it."""
    if scene.kind == "route":
        return _plan(scene)
    if scene.kind == "assemble":
        return assemble(scene)
    if scene.brief.get("feedback"):
        return extract(scene)
    asked = [each for each in scene.done if each.tool == REMINDERS.offered]
    return _ask(*_OPEN[len(asked)]) if len(asked) < len(_OPEN) else _report(scene, asked)


def why_not(missing: Collection[str]) -> str:
    """Say how to serve the tool of this story, if that is what is missing."""
    if REMINDERS.offered not in missing:
        return ""
    return (
        f"{REMINDERS.offered} is not served. Let an admin of this machine run `.venv/bin/python "
        "manage.py demo_tools`, wait until it says that it listens, and choose “Try again with a note”."
    )


def _plan(scene: Scene) -> Move:
    step = {
        "id": _KEY,
        "agent": "coder",
        "title": "Remind the customers of open invoices",
        "instructions": f"Send a reminder of each open invoice with {REMINDERS.offered}, one after the "
        "other, and say what became of each. Change no file.",
        "acceptance": "It is said of each open invoice whether its reminder was sent.",
    }
    answer: dict[str, Any] = {
        "title": title_of(scene.brief["request"]),
        "outcome": "report",
        "steps": [step],
    }
    return Move(say="I plan one step that sends the reminders.", answer=answer)


def _ask(invoice: str, customer: str) -> Move:
    return Move(
        say=f"Invoice {invoice} is open. I remind {customer}.",
        calls=(Call(REMINDERS.offered, {"invoice": invoice, "customer": customer}),),
    )


def _report(scene: Scene, asked: list[Done]) -> Move:
    sent = sum(not each.failed for each in asked)
    lines = [f"- Invoice {each.arguments['invoice']}: {each.text[:300]}" for each in asked]
    told = f"{sent} of {len(asked)} reminders were sent."
    return done(scene, told, report="\n\n".join([told, "\n".join(lines)]))
