"""Says each kind of event in one plain sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.events import Kind
from agents.lifecycle import StepState, TaskState
from agents.models.tasks import Choice, Rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.models import Event

_SHOWN_ARGUMENTS = ("path", "pattern", "query", "text", "glob", "command", "goal")


@dataclass(frozen=True, kw_only=True)
class Said:
    """A sentence on an event; every part may hold untrusted text."""

    text: str
    who: str = ""  # a person's name, shown before the text
    code: str = ""  # a path or command, in the mono face
    detail: str = ""
    thinking: str = ""
    tone: str = ""
    icon: str = ""


def say(event: Event) -> Said:
    """Return the sentence of an event; an unknown shape gets the kind's plain label."""
    words = _WORDS.get(event.kind)
    data = event.data if isinstance(event.data, dict) else {}
    return words(data) if words else Said(text=event.get_kind_display(), icon="info")


def _submitted(data: dict[str, Any]) -> Said:
    return Said(who=_text(data, "requester", "Somebody"), text="submitted the request")


_TASK: dict[str, str] = {
    TaskState.QUEUED: "The task is queued",
    TaskState.PLANNING: "The router plans the work",
    TaskState.WORKING: "The agents are at work",
    TaskState.ASSEMBLING: "The results are put together",
    TaskState.REVIEW: "The task waits for sign-off",
    TaskState.EXECUTING: "Approved, to be carried out",
    TaskState.NEEDS_HUMAN: "The task waits for a person",
    TaskState.DONE: "The task is done",
    TaskState.REJECTED: "The task was rejected",
    TaskState.CANCELLED: "The task was stopped",
    TaskState.FAILED: "The task failed",
}
_STEP: dict[str, str] = {
    StepState.WAITING: "Waits for other steps",
    StepState.READY: "Ready to begin",
    StepState.LEASED: "At work",
    StepState.WAITING_HUMAN: "Waits for a person",
    StepState.DONE: "Done",
    StepState.BLOCKED: "Cannot go on",
    StepState.FAILED: "Failed",
    StepState.CANCELLED: "Stopped",
}


def _task_state(data: dict[str, Any]) -> Said:
    state = _text(data, "state")
    tone = {"done": "ok", "failed": "bad", "rejected": "bad"}.get(state, "")
    return Said(text=_TASK.get(state, "The task went on"), detail=_text(data, "reason"), tone=tone)


def _planned(data: dict[str, Any]) -> Said:
    steps = data.get("steps")
    count = len(steps) if isinstance(steps, list) else steps
    text = f"Split into {count} sub-tasks" if count not in {None, 1} else "One sub-task"
    return Said(text=text, icon="split")


def _added(data: dict[str, Any]) -> Said:
    text = "Work conflicts; step added" if data.get("conflict") else "Step added"
    return Said(text=text, detail=_text(data, "title"), icon="split")


def _asked(data: dict[str, Any]) -> Said:
    name = _text(data, "name", "another agent")
    return Said(text=f"Asked {name}", detail=_text(data, "question"), icon="circle-help")


def _answered(data: dict[str, Any]) -> Said:
    name = _text(data, "name", "The other agent")
    said = data.get("status") == "answered"
    text, tone = (f"{name} answered", "ok") if said else (f"{name} could not say", "warn")
    return Said(text=text, detail=_text(data, "answer"), tone=tone, icon="circle-help")


def _paused(data: dict[str, Any]) -> Said:
    who, why = _text(data, "by", "Somebody"), _text(data, "reason")
    return Said(who=who, text="paused the task", detail=why, icon="pause")


def _resumed(data: dict[str, Any]) -> Said:
    who, why = _text(data, "by", "Somebody"), _text(data, "reason")
    return Said(who=who, text="resumed the task", detail=why, icon="play")


def _step_state(data: dict[str, Any]) -> Said:
    state = _text(data, "state")
    tone = {"failed": "bad", "blocked": "warn", "waiting_human": "warn"}.get(state, "")
    return Said(text=_STEP.get(state, "Went on"), detail=_text(data, "reason"), tone=tone)


def _step_started(data: dict[str, Any]) -> Said:
    attempt = data.get("attempt")
    again = f", attempt {attempt}" if isinstance(attempt, int) and attempt > 1 else ""
    return Said(text=f"Began{again}", detail=_text(data, "title"))


def _step_finished(data: dict[str, Any]) -> Said:
    state = _text(data, "state", "done")
    tone = {"failed": "bad", "blocked": "warn"}.get(state, "ok")
    detail = _text(data, "summary") or _text(data, "reason")
    return Said(text=_STEP.get(state, "Over"), detail=detail, tone=tone)


def _message(data: dict[str, Any]) -> Said:
    if data.get("from") == "person":
        who = _text(data, "author", "A person")
        return Said(who=who, text="sent a note", detail=_text(data, "text"))
    text, thinking = _text(data, "text"), _text(data, "thinking")
    if not text:
        return Said(text="Thought", thinking=thinking)
    return Said(text="Said", detail=f"“{text}”", thinking=thinking)


def _tool_started(data: dict[str, Any]) -> Said:
    tool = _text(data, "tool", "a tool")
    return Said(text=f"Began {tool}", code=argument(data), icon="wrench")


def _tool_finished(data: dict[str, Any]) -> Said:
    tone = {"failed": "bad", "refused": "bad", "unknown": "warn"}.get(_text(data, "state"), "ok")
    sandbox = _text(data, "sandbox")
    under = f" (ran under {sandbox_word(sandbox)})" if sandbox else ""
    summary, code = _text(data, "summary"), argument(data)
    return Said(
        text=_text(data, "tool", "a tool"),
        code=code,
        detail=(summary if summary != code else "") + under,
        tone=tone,
        icon="wrench",
    )


def _recalled(data: dict[str, Any]) -> Said:
    found = data.get("memories") or data.get("lessons") or []
    count = len(found) if isinstance(found, list) else 0
    return Said(text=f"Recalled {count} lesson{'s' if count != 1 else ''}", icon="lightbulb")


def _limit(data: dict[str, Any]) -> Said:
    return Said(text="Near a limit", detail=_text(data, "detail"), tone="warn")


def _raised(data: dict[str, Any]) -> Said:
    rule = _text(data, "rule")
    label = Rule(rule).label if rule in Rule.values else "A person is needed"
    return Said(text=label, detail=_text(data, "detail"), tone="warn", icon="octagon-pause")


def _resolved(data: dict[str, Any]) -> Said:
    choice = _text(data, "choice")
    note = _text(data, "note")
    label = Choice(choice).label if choice in Choice.values else "Decided how to go on"
    if choice == Choice.RETRY_WITH_NOTE and not note:
        label = "Try again"
    if choice == Choice.REASSIGN and data.get("name"):
        label = f"Give it to the {_text(data, 'name')}"
    return Said(who=_text(data, "by"), text=f"chose: {label.lower()}", detail=note)


def _call_asked(data: dict[str, Any]) -> Said:
    tool = _text(data, "tool", "a tool")
    return Said(text=f"Asks to use {tool}", tone="warn", icon="wrench")


def _call_decided(data: dict[str, Any]) -> Said:
    tool, note = _text(data, "tool", "a tool"), _text(data, "note")
    if _text(data, "verdict") == "undo":
        who = _text(data, "by")
        return Said(who=who, text=f"undid the permission to use {tool}", tone="warn")
    match _text(data, "state"):
        case "allowed":
            changed = "with other arguments" if data.get("edited") else ""
            if data.get("standing_grant"):
                return _let_through(data, tool)
            who = _text(data, "by")
            return Said(who=who, text=f"allowed {tool}", detail=note or changed, tone="ok")
        case "refused":
            return Said(who=_text(data, "by"), text=f"refused {tool}", detail=note, tone="bad")
    return Said(text=f"Nobody decided on {tool} in time", tone="warn", icon="wrench")


def _let_through(data: dict[str, Any], tool: str) -> Said:
    count = f"use {_text(data, 'number')} of {_text(data, 'of')}"
    who = _text(data, "by")
    return Said(text=f"A standing grant of {who} allowed {tool}", detail=count, tone="ok")


def _proposal(data: dict[str, Any]) -> Said:
    return Said(text="The proposal is ready", detail=_text(data, "title"), icon="file-text")


def _requested(data: dict[str, Any]) -> Said:
    risk = _text(data, "risk")
    return Said(text="Sign-off requested", detail=f"{risk} risk" if risk else "", icon="pen-line")


_VERDICTS = {
    "approve": ("approved", "ok"),
    "request_changes": ("requested changes", "warn"),
    "reject": ("rejected it", "bad"),
    "undo": ("undid the approval", "warn"),
}


def _signed(data: dict[str, Any]) -> Said:
    if tool := _text(data, "tool"):  # not the last permission that is needed
        who = _text(data, "by")
        return Said(who=who, text=f"allowed {tool}", detail=_counted(data), icon="pen-line")
    text, _ = _VERDICTS.get(_text(data, "verdict"), ("signed", ""))
    agrees = _text(data, "verdict") == "approve"
    counted = _counted(data) if agrees and "needed" in data else ""
    return Said(who=_text(data, "by"), text=f"signed: {text}", detail=counted, icon="pen-line")


def _counted(data: dict[str, Any]) -> str:
    """Say how many signatures count, and whose do not."""
    counted = f"{data.get('signed')} of {data.get('needed')} signatures"
    lapsed = data.get("lapsed")
    names = [str(name) for name in lapsed] if isinstance(lapsed, list) else []
    if not names:
        return counted
    return f"{counted}; {' and '.join(names)} signed, but may no longer"


def _signatures_held(data: dict[str, Any]) -> Said:
    if data.get("approved"):
        return Said(text="Signatures hold; merging onto the new main", icon="git-merge", tone="ok")
    return Said(
        text="Signatures hold on the new main",
        detail=f"{data.get('signed')} of {data.get('needed')} signatures",
        icon="pen-line",
    )


def _assigned(data: dict[str, Any]) -> Said:
    what = f"the call of {_text(data, 'tool')}" if "tool" in data else "the review"
    return Said(who=_text(data, "by"), text=f"said who sees to {what}", icon="user")


def _reminded(data: dict[str, Any]) -> Said:
    people = data.get("to")
    count = len(people) if isinstance(people, list) else 0
    whom = "1 person" if count == 1 else f"{count} people"
    share = _text(data, "share")
    return Said(text=f"Reminded {whom} at {share} % of the time to decide", icon="timer")


def _decided(data: dict[str, Any]) -> Said:
    text, tone = _VERDICTS.get(_text(data, "verdict"), (_text(data, "state", "decided"), ""))
    return Said(who=_text(data, "by"), text=text, detail=_text(data, "reason"), tone=tone)


def _effect_started(data: dict[str, Any]) -> Said:
    words = {"git.merge": "The merge", "mcp.call": "The tool call", "deliver": "The delivery"}
    return Said(text=f"{words.get(_text(data, 'kind'), 'The effect')} begins", icon="git-merge")


def _effect_finished(data: dict[str, Any]) -> Said:
    if error := _text(data, "error"):
        return Said(text="The effect failed", detail=error, tone="bad")
    result = data.get("result")
    commit = _text(result, "commit")[:7] if isinstance(result, dict) else ""
    return Said(text="Merged as" if commit else "Carried out", code=commit, tone="ok")


def _round(data: dict[str, Any]) -> Said:
    number = data.get("round", "")
    return Said(who=_text(data, "by"), text=f"opened round {number}".strip(), icon="undo-2")


def argument(data: dict[str, Any]) -> str:
    """Return the one argument of a tool call people want to see."""
    arguments = data.get("arguments")
    if not isinstance(arguments, dict):
        return ""
    found = next((arguments[name] for name in _SHOWN_ARGUMENTS if arguments.get(name)), "")
    return str(found)[:160]


def sandbox_word(sandbox: str) -> str:
    """Say what repository code ran under."""
    return {"bubblewrap": "bubblewrap sandbox", "rlimits": "resource limits only"}.get(
        sandbox, sandbox or "nothing known"
    )


def _text(data: dict[str, Any], key: str, default: str = "") -> str:
    value = data.get(key)
    return str(value) if value not in (None, "") else default


_WORDS: dict[str, Callable[[dict[str, Any]], Said]] = {
    Kind.TASK_SUBMITTED: _submitted,
    Kind.TASK_STATE: _task_state,
    Kind.TASK_PLANNED: _planned,
    Kind.TASK_PAUSED: _paused,
    Kind.TASK_RESUMED: _resumed,
    Kind.STEP_ADDED: _added,
    Kind.STEP_STATE: _step_state,
    Kind.STEP_STARTED: _step_started,
    Kind.MESSAGE: _message,
    Kind.TOOL_STARTED: _tool_started,
    Kind.TOOL_FINISHED: _tool_finished,
    Kind.STEP_FINISHED: _step_finished,
    Kind.DELEGATION_ASKED: _asked,
    Kind.DELEGATION_ANSWERED: _answered,
    Kind.MEMORY_RECALLED: _recalled,
    Kind.LIMIT_WARNED: _limit,
    Kind.ESCALATION_RAISED: _raised,
    Kind.ESCALATION_RESOLVED: _resolved,
    Kind.CALL_ASKED: _call_asked,
    Kind.CALL_DECIDED: _call_decided,
    Kind.PROPOSAL_READY: _proposal,
    Kind.APPROVAL_REQUESTED: _requested,
    Kind.APPROVAL_ASSIGNED: _assigned,
    Kind.APPROVAL_REMINDED: _reminded,
    Kind.SIGNATURES_HELD: _signatures_held,
    Kind.APPROVAL_SIGNED: _signed,
    Kind.APPROVAL_DECIDED: _decided,
    Kind.EFFECT_STARTED: _effect_started,
    Kind.EFFECT_FINISHED: _effect_finished,
    Kind.ROUND_STARTED: _round,
    Kind.TASK_FINISHED: _task_state,
}
