"""Looks into tool calls: what each was about, and which of them a search finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import F, Q, TextField
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce, Left

from agents.models import ToolCall
from countersign.console.trace.spans import TOOL, Span

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable

    from agents.models import Task

_ABOUT = ("path", "pattern", "query", "text", "glob", "command", "goal", "question", "title")
_LONGEST = 160


def notes_of(pks: list[uuid.UUID]) -> dict[uuid.UUID, str]:
    """Return the argument people want to see and the summary of each call; never long texts."""
    if not pks:
        return {}
    about = Coalesce(*(Left(KT(f"arguments__{name}"), _LONGEST) for name in _ABOUT))
    rows = ToolCall.objects.filter(pk__in=pks).annotate(about=about)
    found = rows.values_list("pk", "about", "summary")
    return {pk: _joined(about or "", summary) for pk, about, summary in found}


def _joined(about: str, summary: str) -> str:
    """Say both, but nothing twice: many a summary begins with the path it is about."""
    if summary.startswith(about):
        return summary
    return f"{about}: {summary}" if summary else about


def finder(task: Task, search: str) -> Callable[[Span], bool]:
    """Return what tells whether the search finds a span; of tool calls, in their arguments too."""
    if not search:
        return lambda _: True
    wanted = search.casefold()
    calls = _calls(task, search)

    def found(span: Span) -> bool:
        if span.kind == TOOL and span.pk in calls:
            return True
        return any(wanted in text.casefold() for text in (span.title, span.note, span.error))

    return found


def _calls(task: Task, search: str) -> set[uuid.UUID]:
    said = Q(summary__icontains=search) | Q(error__icontains=search) | Q(asked__icontains=search)
    rows = ToolCall.objects.annotate(asked=Cast(F("arguments"), TextField()))
    return set(rows.filter(said, attempt__step__task=task).values_list("pk", flat=True))
