"""Makes characters that cannot be seen, or pass for others, visible in whatever nobody vouches for."""

from __future__ import annotations

from html import escape

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from projects import characters


def shown(text: str) -> SafeString:
    """Return the text revealed, and by itself: written from the right, it turns no neighbour."""
    html = reveal(text)
    return format_html("<bdi>{}</bdi>", html) if characters.turns(text) else html


def reveal(text: str) -> SafeString:
    """Return the text escaped, with a badge in place of each hidden character."""
    found = (badge(each) if marked else escape(each) for each, marked in characters.pieces(text))
    return mark_safe("".join(found))  # noqa: S308  every piece is escaped or a badge


def in_html(html: str) -> str:
    """Return text that is escaped already, with a badge in place of each hidden character."""
    return "".join(badge(each) if marked else each for each, marked in characters.pieces(html))


def badge(character: str) -> SafeString:
    """Return the visible mark of one character, read out by its name; a lookalike stays readable."""
    code, name, seen = (
        of(character) for of in (characters.code, characters.name_of, characters.seen)
    )
    return format_html(
        '<span class="hidden-char" title="{1}" role="img" aria-label="{0} {1}">{2}{0}</span>',
        code,
        name,
        f"{seen} " if seen else "",
    )
