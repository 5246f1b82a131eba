"""Makes characters that cannot be seen, or pass for others, visible in whatever agents wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from agents.workspace import characters

if TYPE_CHECKING:
    from collections.abc import Iterator


def reveal(text: str) -> SafeString:
    """Return the text escaped, with a badge in place of each hidden character."""
    return mark_safe("".join(_html(text)))  # noqa: S308  every piece is escaped or a badge


def pieces(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the text in order as runs of plain text and single marked characters."""
    if text.isascii() and text.isprintable():
        yield text, False
        return
    alike = _lookalikes(text)
    start = 0
    for index, character in enumerate(text):
        if index not in alike and character != "\r" and not characters.is_hidden(character):
            continue
        if index > start:
            yield text[start:index], False
        yield character, True
        start = index + 1
    if start < len(text):
        yield text[start:], False


def badge(character: str) -> SafeString:
    """Return the visible mark of one character; a lookalike letter stays readable."""
    seen = character if character.isalpha() and not characters.is_hidden(character) else ""
    return format_html(
        '<span class="hidden-char" title="{}">{}{}</span>',
        characters.name_of(character),
        f"{seen} " if seen else "",
        characters.code(character),
    )


def _html(text: str) -> Iterator[str]:
    for piece, marked in pieces(text):
        yield badge(piece) if marked else escape(piece)


def _lookalikes(text: str) -> set[int]:
    found = characters.scan_confusables(text)
    if not found:
        return set()
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    return {starts[one.line - 1] + one.column - 1 for one in found}
