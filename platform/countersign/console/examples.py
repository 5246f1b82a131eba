"""Requests that show a newcomer what can be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from projects.models import Project

_DEMO = (
    "Fix the billing bug & update docs",
    "Where is tax rounded, and what do the docs say about it?",
)
_ANY = (
    "Fix the failing test and explain the cause",
    "Bring the README in line with what the code does",
    "Write a short report: where are errors swallowed?",
)


def for_project(project: Project | None) -> tuple[str, ...]:
    """Return example requests that fit the project."""
    return _DEMO if project is not None and project.bundled else _ANY
