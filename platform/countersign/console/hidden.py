"""Makes characters that cannot be seen, or pass for others, visible in whatever nobody vouches for."""

from __future__ import annotations

from html import escape

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from projects import characters

_BESIDE = '<p class="small tone-warn" role="note">This field holds {}.</p>'
_NAMED = 20  # beside one field
_READ = 200_000  # characters of it; as many as of a file that can be edited


def shown(text: str) -> SafeString:
    """Return the text revealed, and by itself: written from the right, it turns no neighbour."""
    if text.isascii() and text.isprintable():
        return mark_safe(escape(text))  # noqa: S308  escaped; nothing of it can be hidden or turn
    html = reveal(text)
    return format_html("<bdi>{}</bdi>", html) if characters.turns(text) else html


def reveal(text: str) -> SafeString:
    """Return the text escaped, with a badge in place of each hidden character."""
    found = (badge(each) if marked else escape(each) for each, marked in characters.pieces(text))
    return mark_safe("".join(found))  # noqa: S308  every piece is escaped or a badge


def in_html(html: str) -> str:
    """Return text that is escaped already, with a badge in place of each hidden character."""
    return "".join(badge(each) if marked else each for each, marked in characters.pieces(html))


def beside(text: str) -> SafeString:
    """Return what is said beside a field that holds hidden characters; it cannot mark them itself."""
    if len(text) > _READ:
        return format_html(_BESIDE, "too much to look for characters that cannot be seen")
    if not (found := characters.marks(text)):
        return SafeString("")
    named = format_html_join(
        "; ", '<span class="hidden-char">{}</span> {}{}', (_told(text, at) for at in found[:_NAMED])
    )
    more = f"; and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
    what = format_html("characters that cannot be seen, or pass for others: {}{}", named, more)
    return format_html(_BESIDE, what)


def _told(text: str, at: int) -> tuple[str, str, str]:
    line = f" in line {text.count(chr(10), 0, at) + 1}" if "\n" in text else ""
    return characters.code(text[at]), characters.name_of(text[at]), line


def badge(character: str) -> SafeString:
    """Return the visible mark of one character, read out by its name; a lookalike stays readable."""
    return format_html(
        '<span class="hidden-char" title="{1}" role="img" aria-label="{0} {1}">{2}</span>',
        characters.code(character),
        characters.name_of(character),
        drawn(character),
    )


def drawn(character: str) -> str:
    """Return the text of its mark."""
    seen = characters.seen(character)
    return f"{seen} {characters.code(character)}" if seen else characters.code(character)
