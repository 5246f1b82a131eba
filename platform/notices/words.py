"""What a notice says, in our words; the one foreign text is a task's title, and it is told apart."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.urls import reverse

from agents.models.tasks import Rule
from notices import moments
from notices.models.notices import TEST

if TYPE_CHECKING:
    from collections.abc import Callable

    from notices.models import Notice

_VERDICTS = {
    "approve": "approved it",
    "request_changes": "requested changes",
    "reject": "rejected it",
    "undo": "undid the approval",
}
_ENDS = {
    "done": "Is done",
    "failed": "Has failed",
    "cancelled": "Was stopped",
    "rejected": "Was rejected",
}
_EFFECTS = {"git.merge": "Was merged", "mcp.call": "The tool was called"}
_NOT_DONE = {"git.merge": "Could not be merged", "mcp.call": "The tool call failed"}


def sentence(notice: Notice) -> str:
    """Return what happened, as a sentence without its task: "Dana Kim approved it"."""
    say = _SAY.get(notice.type)
    return say(notice.facts | _about(notice)) if say else "Something happened"


def path(notice: Notice) -> str:
    """Return the page a notice leads to, which shows and never decides."""
    if notice.task is None:
        return reverse("console:notifications")
    if notice.call_id and notice.is_question:
        return reverse("console:call", args=[notice.call_id])
    number = notice.task.number
    if notice.round and notice.is_question:
        return reverse("console:review", args=[number, notice.round])
    return reverse("console:task", args=[number])


def address(notice: Notice) -> str:
    """Return the page's whole address, for messages that leave the house."""
    return f"{settings.PUBLIC_URL}{path(notice)}"


def settings_address() -> str:
    """Return the address of the page where people choose."""
    return f"{settings.PUBLIC_URL}{reverse('console:settings')}#notifications"


def icon(notice: Notice) -> str:
    """Return the symbol beside a line."""
    if notice.type == moments.EFFECT and notice.facts.get("failed"):
        return "triangle-alert"
    return _ICONS.get(notice.type, "bell")


def _about(notice: Notice) -> dict[str, Any]:
    return {"about": "call of a tool" if notice.call_id else "review"}


def _requested(_: dict[str, Any]) -> str:
    return "Waits for your signature"


def _call(_: dict[str, Any]) -> str:
    return "An agent asks to use a tool"


def _assigned(facts: dict[str, Any]) -> str:
    by, what = facts.get("by"), facts["about"]
    return f"{by} gave you this {what}" if by else f"This {what} was given to you"


def _reminded(facts: dict[str, Any]) -> str:
    if facts.get("share") != _ALL:
        return "Half of the time to decide is over"
    # Only whose end is put off is told of at its end.
    until = moments.moment_named(facts.get("until"))
    put_off = "The time to decide was extended once"
    return f"{put_off}, to {until.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if until else put_off


def _decided(facts: dict[str, Any]) -> str:
    if facts.get("state") == moments.EXPIRED:
        return "Nobody decided in time, nothing was carried out"
    verdict = _VERDICTS.get(facts.get("verdict", ""), "decided")
    return f"{facts.get('by') or 'Somebody'} {verdict}"


def _effect(facts: dict[str, Any]) -> str:
    effect = facts.get("effect", "")
    if facts.get("failed"):
        return _NOT_DONE.get(effect, "Could not be carried out")
    return _EFFECTS.get(effect, "Was carried out")


def _raised(facts: dict[str, Any]) -> str:
    rule = facts.get("rule", "")
    return (
        f"Needs a person: {Rule(rule).label.lower()}" if rule in Rule.values else "Needs a person"
    )


def _finished(facts: dict[str, Any]) -> str:
    end = _ENDS.get(facts.get("state", ""), "Has ended")
    return f"{end} by {facts['by']}" if facts.get("by") and end == "Was stopped" else end


def _test(_: dict[str, Any]) -> str:
    return "A test: messages of this project arrive here"


_ALL = 100
_SAY: dict[str, Callable[[dict[str, Any]], str]] = {
    moments.REQUESTED: _requested,
    moments.CALL: _call,
    moments.ASSIGNED: _assigned,
    moments.REMINDED: _reminded,
    moments.DECIDED: _decided,
    moments.EFFECT: _effect,
    moments.RAISED: _raised,
    moments.FINISHED: _finished,
    TEST: _test,
}
_ICONS = {
    moments.REQUESTED: "pen-line",
    moments.CALL: "wrench",
    moments.ASSIGNED: "user",
    moments.REMINDED: "clock",
    moments.DECIDED: "check",
    moments.EFFECT: "git-merge",
    moments.RAISED: "octagon-pause",
    moments.FINISHED: "circle-check",
}
