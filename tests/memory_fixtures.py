"""Memories for tests: written through the services, confirmed by the lead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memory import lessons
from memory.models import Memory, Source

if TYPE_CHECKING:
    from projects.models import Project, User


def proposed(project: Project, content: str, *, by: User, **facts: Any) -> Memory:
    """A lesson that waits for a person."""
    facts.setdefault("source", Source.REVIEW_CHANGES)
    return lessons.propose(project, content=content, by=by, **facts)


def kept(project: Project, content: str, *, by: User, **facts: Any) -> Memory:
    """A lesson that a lead confirmed."""
    return lessons.keep(proposed(project, content, by=by, **facts), by=by)
