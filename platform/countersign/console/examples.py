"""Requests that show a newcomer what can be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings

from agents.workspace.demo import SCENARIO

if TYPE_CHECKING:
    from projects.models import Project

_DEMO = (
    SCENARIO.example,
    "Where is tax rounded, and what do the docs say about it?",
)
_ANY = (
    "Fix the failing test and explain the cause",
    "Bring the README in line with what the code does",
    "Write a short report: where are errors swallowed?",
)


def for_project(project: Project | None) -> tuple[str, ...]:
    """Return example requests that fit the project, and that the model set can carry out."""
    bundled = project is not None and project.bundled
    if settings.COUNTERSIGN_MODEL == "rehearsal":
        return (SCENARIO.example,) if bundled else ()
    return _DEMO if bundled else _ANY
