"""Renders an agent's Markdown report: an allow-list of plain elements, no link or image loads."""

from __future__ import annotations

import re

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

from projects import characters

_TAGS = {
    *("p", "br", "hr", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code"),
    *("em", "strong", "s", "table", "thead", "tbody", "tr", "th", "td", "span"),
}
_PASSAGE = re.compile(r"([^\s`:]+):(\d+): (.*)$")
_parser = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable(
    ["table", "strikethrough"]
)


def render(text: str) -> SafeString:
    """Return the report as safe HTML; links and images appear as their text and address."""
    tokens = _parser.parse(_passages_as_code(characters.plain(text)))
    _level(tokens)
    for token in tokens:
        if token.children:
            token.children = [_inert(child) for child in token.children]
    html = _parser.renderer.render(tokens, _parser.options, {})
    return mark_safe(nh3.clean(html, tags=_TAGS, attributes={}))  # noqa: S308  cleaned


def _level(tokens: list[Token]) -> None:
    """Let headings begin below those of the page and skip no level, whatever an agent wrote."""
    above: list[str] = []
    for token in tokens:
        if token.type == "heading_open":
            above = [*(level for level in above if level < token.tag), token.tag]
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(len(above) + 2, 6)}"


def _passages_as_code(text: str) -> str:
    """Fence runs of `path:line: quote`, one block per file, so that they read as they are written."""
    fence = "~" * (3 + max(map(len, re.findall("~+", text)), default=0))
    parts: list[str] = []
    within = ""
    for line in text.split("\n"):
        found = _PASSAGE.match(line)
        # A quote may go on over some lines; it ends at an empty one.
        path = found[1] if found else within if line.strip() else ""
        if within and path != within:
            parts.append(f"{fence}\n")
        if found and path != within:
            parts.append(f"\n`{path}`\n\n{fence}")
        parts += (
            ([""] if path == within else []) + [f"line {found[2]}", found[3]] if found else [line]
        )
        within = path
    return "\n".join([*parts, fence] if within else parts)


def _inert(token: Token) -> Token:
    if token.type == "image":
        return _text(f"[image: {token.content} {token.attrs.get('src', '')}]")
    if token.type == "link_close":
        return _text("")
    if token.type == "link_open":
        return _text(f"{token.attrs.get('href', '')} ")
    return token


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)
