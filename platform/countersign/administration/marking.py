"""Marks what cannot be seen, or passes for something else, in a finished page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from django.utils.html import format_html, format_html_join

from countersign.console import hidden
from projects import characters

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

# Templates escape what they show, so each "<" and ">" of a page begins or ends a tag.
_TAGS = re.compile(
    r"(<!--.*?-->|<(?:script|style)\b.*?</(?:script|style)>|<textarea\b[^>]*>.*?</textarea>"
    r"|<(?:title|option)\b[^>]*>[^<]*|<[^>]*>)",
    re.DOTALL | re.IGNORECASE,
)
_UNSEEN = re.compile(r"<(?:script|style|!--)", re.IGNORECASE)
_FIELD = re.compile(r"<(?:textarea|input)\b", re.IGNORECASE)
_POSTED = re.compile(r"""(\svalue="[^"]*")""")  # of options and buttons, too
_HELD = re.compile(r"""(\svalue="[^"]*"|(?<=>).*)""", re.DOTALL)  # also between a textarea's tags
_NOT_SHOWN = re.compile(r"""\stype=["']?hidden\b""", re.IGNORECASE)


def marked(page: str) -> str:
    """Return the page with each such character marked where it stands; fields keep what they hold.

    A field is followed by what it holds, because nothing can be marked within.
    """
    if not characters.marks(page):
        return page
    parts = enumerate(_TAGS.split(page))
    return "".join(_of_tag(part) if at % 2 else hidden.in_html(part) for at, part in parts)


def _of_tag(tag: str) -> str:
    if _UNSEEN.match(tag):
        return tag
    if _FIELD.match(tag):
        return _of_field(tag)
    return _but(_POSTED, tag)


def _but(kept: re.Pattern[str], tag: str) -> str:
    """Return the tag marked, but for what is to be kept."""
    parts = enumerate(kept.split(tag))
    return "".join(part if at % 2 else characters.plain(part) for at, part in parts)


def _of_field(tag: str) -> str:
    field = _but(_HELD, tag)
    held = "".join(_HELD.findall(tag))
    found = sorted({held[at] for at in characters.marks(held)})
    return field if not found or _NOT_SHOWN.search(tag) else f"{field}{_note(found)}"


def _note(found: list[str]) -> SafeString:
    badges = format_html_join(" ", "{}", ((hidden.badge(each),) for each in found))
    return format_html(
        '<span class="help cs-held">This holds what cannot be seen: {}</span>', badges
    )
