"""What somebody typed into a form that was refused: kept until the form is shown again, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest

_KEPT = "typed"  # in the session


def keep(request: HttpRequest, form: str, typed: Mapping[str, Any]) -> None:
    """Keep what was typed into this form; only the last that was refused is kept."""
    request.session[_KEPT] = {form: dict(typed)}


def take(request: HttpRequest) -> dict[str, dict[str, Any]]:
    """Return what was typed, by form, and forget it."""
    typed: dict[str, dict[str, Any]] = request.session.pop(_KEPT, {})
    return typed
