"""What somebody typed into a form that was refused: kept until the form is shown again, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from django.http import HttpRequest

_KEPT = "typed"  # in the session
LONGEST = 20_000  # characters of a text that are kept: several times what any field takes
SHORT = 100  # and of a day, a time, a choice


def choices(posted: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Return what was posted in fields of these names, none of which takes a text."""
    return {name: str(posted[name])[:SHORT] for name in names if name in posted}


def keep(
    request: HttpRequest, form: str, typed: Mapping[str, Any], *, of: Iterable[Any] = ()
) -> None:
    """Keep what was typed into this form `of` what it is about; only the last that was refused is kept.

    Of a longer text its beginning is kept.
    """
    about = [str(each) for each in of]
    request.session[_KEPT] = {"form": form, "of": about, "typed": _bounded(typed)}


def take(request: HttpRequest, *forms: str, of: Iterable[Any] = ()) -> dict[str, dict[str, Any]]:
    """Return what was typed into one of these forms, by form, and forget it.

    What was typed of several is that of some of them, too; of anything else it stays kept.
    """
    kept = request.session.get(_KEPT, {})
    if kept.get("form") not in forms or not {str(each) for each in of} <= set(kept["of"]):
        return {}
    del request.session[_KEPT]
    return {kept["form"]: kept["typed"]}


def _bounded(typed: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: text[:LONGEST] if isinstance(text, str) else _bounded(text)
        for name, text in typed.items()
    }
