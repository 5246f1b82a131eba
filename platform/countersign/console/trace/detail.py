"""What the drawer tells of one span: what went in, what came out, under which version."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.urls import reverse

from agents.models import Attempt, Step, ToolCall
from countersign.console.trace import conversation
from countersign.console.trace.spans import AGENT, ATTEMPT, MODEL, STEP, TOOL, TURN, Span
from memory.models import Memory, MemoryUse

if TYPE_CHECKING:
    import uuid

    from agents.models import AgentVersion, Task
    from projects.models import User

SHOWN = 6_000  # characters of a text, until all of it is asked for


@dataclass(kw_only=True)
class Text:
    """One text nobody vouches for, cut unless all of it is wanted."""

    word: str
    text: str
    name: str = ""
    length: int = 0

    @property
    def cut(self) -> bool:
        """Tell whether there is more."""
        return self.length > len(self.text)


@dataclass(kw_only=True)
class Detail:
    """The drawer's content."""

    span: Span
    sent: list[Text] = field(default_factory=list)
    came: list[Text] = field(default_factory=list)
    before: int = 0
    kept: bool = True  # what was said is still there
    facts: list[tuple[str, str]] = field(default_factory=list)
    version: AgentVersion | None = None
    version_url: str = ""
    uses: list[MemoryUse] = field(default_factory=list)
    forgotten: int = 0


def detail_of(task: Task, span: Span, user: User, *, whole: bool) -> Detail:
    """Return what the drawer shows; two or three statements."""
    found = Detail(span=span)
    if span.kind == AGENT or span.step is None or span.pk is None:
        return found
    step = Step.objects.select_related("version__model_profile").get(pk=span.step.pk)
    _add_version(found, step.version, user)
    _add_memories(found, task, span, user)
    if span.kind == TOOL:
        _add_tool(found, span.pk, whole=whole)
    elif span.kind in (MODEL, TURN):
        _add_exchange(found, span.pk, whole=whole)
    elif span.kind == ATTEMPT:
        _add_attempt(found, span.pk, whole=whole)
    elif span.kind == STEP:
        _add_step(found, step, whole=whole)
    return found


def _add_version(found: Detail, version: AgentVersion, user: User) -> None:
    found.version = version
    if user.is_staff and user.has_perm("agents.view_agentversion"):
        found.version_url = reverse("admin:agents_agentversion_change", args=[version.pk])
    found.facts.append(("Model profile", version.model_profile.slug))


def _add_memories(found: Detail, task: Task, span: Span, user: User) -> None:
    """Add what the step was reminded of; a memory that was forgotten is only counted."""
    uses = MemoryUse.objects.filter(task=task.pk, step=span.step.pk)  # type: ignore[union-attr]
    seen = set(Memory.objects.visible_to(user).filter(uses__in=uses).values_list("pk", flat=True))
    rows = {use.memory_id: use for use in uses.select_related("memory").order_by("-rank")}
    shown = [use for use in rows.values() if use.memory_id in seen and use.memory.content]
    found.uses = sorted(shown, key=lambda use: use.rank)
    found.forgotten = len(rows) - len(shown)


def _add_tool(found: Detail, pk: uuid.UUID, *, whole: bool) -> None:
    call = ToolCall.objects.get(pk=pk)
    found.facts += [
        (word, text)
        for word, text in (
            ("Server", call.server),
            ("Summary", call.summary),
            ("Ran under", call.sandbox),
            ("Error", call.error),
        )
        if text
    ]
    found.sent = [_text("Arguments", conversation.as_text(call.arguments), whole=whole)]
    if call.result:
        found.came = [_text("Result, as the model saw it", call.result, whole=whole)]


def _add_exchange(found: Detail, pk: uuid.UUID, *, whole: bool) -> None:
    attempt = Attempt.objects.only("checkpoint", "model").get(pk=pk)
    known = {str(use.memory_id) for use in found.uses}
    talked = conversation.exchange(attempt.checkpoint, found.span.response or 0, known)
    if talked is None:
        found.kept = False
        return
    found.before = talked.before
    found.sent = [_text(each.word, each.text, whole=whole, name=each.name) for each in talked.sent]
    found.came = [
        _text(each.word, each.text, whole=whole, name=each.name) for each in talked.answered
    ]


def _add_attempt(found: Detail, pk: uuid.UUID, *, whole: bool) -> None:
    attempt = Attempt.objects.defer("checkpoint").select_related("resumes").get(pk=pk)
    found.facts += [("Ended", attempt.get_state_display()), ("Turns", str(attempt.turns))]
    if attempt.resumes:
        found.facts.append(("Goes on from", f"try {attempt.resumes.number}"))
    if attempt.error:
        found.came = [_text("Why it ended", attempt.error, whole=whole)]


def _add_step(found: Detail, step: Step, *, whole: bool) -> None:
    found.facts.append(("State", step.get_state_display()))
    if step.acceptance:
        found.facts.append(("Done when", step.acceptance))
    if step.instructions:
        found.sent = [_text("Instructions of the plan", step.instructions, whole=whole)]
    if step.feedback:
        told = conversation.as_text(step.feedback)
        found.sent.append(_text("What people asked for", told, whole=whole))
    if step.result is not None:
        found.came = [_text("Result", conversation.as_text(step.result), whole=whole)]
    if step.reason:
        found.came.append(_text("Why", step.reason, whole=whole))


def _text(word: str, text: str, *, whole: bool, name: str = "") -> Text:
    shown = text if whole else text[:SHOWN]
    return Text(word=word, name=name, text=shown, length=len(text))
