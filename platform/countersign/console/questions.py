"""An escalation as the task page asks it: what happened, what is known of it, the ways on."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agents import escalations
from agents.models import ToolCall
from agents.models.tasks import Choice, Rule
from countersign.templatetags.console import amount, usd
from projects import together

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.models import QuerySet

    from agents.models import AgentVersion, Escalation, Task

_CALLS = 5
_SHOWN = frozenset(
    {"calls", "files", "last_calls", "plan", "problems", "result", "threshold", "observed"}
    | {"usage", "used", "limit", "scope", "which", "rehearsal", "last_result"}
)
_HELP = {
    Choice.RAISE_LIMIT_ONCE: "As much again as it was given, this once. It goes on from where it stopped.",
    Choice.RETRY_WITH_NOTE: "The same agent tries again and reads your note first.",
    Choice.REASSIGN: "Another agent begins with the same files and a fresh view.",
    Choice.TAKE_OVER: "You hand in the result. The agents go on from it, and somebody else signs.",
    Choice.GO_ON_WITHOUT: "The others go on. The proposal says that this part is missing, and why.",
    Choice.STOP: "All agents stop. What they did is kept to look at; nothing is merged.",
}


@dataclass(frozen=True, kw_only=True)
class Way:
    """One choice of the form."""

    value: str
    label: str
    help: str
    chosen: bool


@dataclass(frozen=True, kw_only=True)
class Question:
    """One open escalation on the page."""

    escalation: Escalation
    facts: list[tuple[str, str]]
    calls: list[ToolCall]
    files: list[str]
    rest: dict[str, Any]
    ways: list[Way]
    candidates: list[AgentVersion]
    draft: Mapping[str, str] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        """Tell whether there is any evidence to show."""
        return bool(self.facts or self.calls or self.files or self.rest)


def questions_of(task: Task, found: list[Escalation], drafts: Mapping[str, Any]) -> list[Question]:
    """Return the open escalations of a task as questions; `drafts` are refused answers."""
    asked = [one for one in found if one.step is not None]
    calls = together.read({str(one.pk): _calls(one) for one in asked})
    company = escalations.Company.of(task) if asked else None
    return [
        _question(one, drafts.get(str(one.pk), {}), calls.rows(str(one.pk)), company)
        for one in found
    ]


def _question(
    escalation: Escalation,
    draft: Mapping[str, str],
    calls: list[ToolCall],
    company: escalations.Company | None,
) -> Question:
    evidence = _evidence(escalation)
    offered = escalations.offered(escalation, company)
    chosen = draft.get("choice") or next(iter(offered), "")
    step = escalation.step
    return Question(
        escalation=escalation,
        facts=_facts(evidence),
        calls=calls[::-1],
        files=[str(path) for path in _list(evidence, "files")],
        rest={key: value for key, value in evidence.items() if key not in _SHOWN and value},
        ways=[
            Way(
                value=one,
                label=_words(escalation, Choice(one))[0],
                help=_words(escalation, Choice(one))[1],
                chosen=one == chosen,
            )
            for one in offered
        ],
        candidates=escalations.candidates(step, company)
        if step and Choice.REASSIGN in offered
        else [],
        draft=draft,
    )


def _words(escalation: Escalation, choice: Choice) -> tuple[str, str]:
    """Return what a choice is called and what it does, here."""
    if choice == Choice.RETRY_WITH_NOTE and escalation.rule == Rule.CONFLICT:
        return "Bring them together", "An agent gets both versions, marked, and reads your note."
    if choice == Choice.RETRY_WITH_NOTE and escalation.rule == Rule.EFFECT_FAILED:
        return "Try again", "Countersign looks first whether it landed, then carries it out once."
    return str(choice.label), _HELP[choice]


def _facts(evidence: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the numbers of a trip: what was allowed against what was seen, then what was used."""
    facts = []
    if "threshold" in evidence:
        facts += [("Stops at", str(evidence["threshold"])), ("Seen", str(evidence.get("observed")))]
    if "limit" in evidence:
        whose = "Limit of the task" if evidence.get("scope") == "task" else "Limit"
        facts += [(whose, amount(evidence["limit"])), ("Used", amount(evidence.get("used")))]
    usage = evidence.get("usage") or evidence.get("used")
    if isinstance(usage, dict):
        if "turns" in usage:
            facts.append(("Turns", f"{usage['turns']} of {usage.get('max_turns', '?')}"))
        facts += [("Tool calls", str(usage["tool_calls"]))] if usage.get("tool_calls") else []
        facts += [("Tokens", amount(usage["tokens"]))] if usage.get("tokens") else []
        facts += [("Cost", usd(usage["usd"]))] if usage.get("usd") else []
    return facts


def _evidence(escalation: Escalation) -> dict[str, Any]:
    return escalation.evidence if isinstance(escalation.evidence, dict) else {}


def _calls(escalation: Escalation) -> QuerySet[ToolCall]:
    """Return the calls that made the rule trip or, of other rules, the last ones; newest first."""
    evidence = _evidence(escalation)
    rows = ToolCall.objects.filter(attempt__step=escalation.step_id)
    named = [str(one) for one in _list(evidence, "calls")]
    if named:
        rows = rows.filter(pk__in=[one for one in named if _is_id(one)])
    return rows.order_by("-started_at", "-pk")[:_CALLS]


def _is_id(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _list(evidence: dict[str, Any], key: str) -> list[Any]:
    found = evidence.get(key)
    return found if isinstance(found, list) else []
