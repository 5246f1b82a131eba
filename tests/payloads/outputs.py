"""Walks templates: each output, the place it stands in, and whether what it shows is marked there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
TEXT, ATTRIBUTE, FIELD, NO_ELEMENT = "text", "attribute", "field", "no element"
KEPT = "kept"  # in a field nobody reads, or of a kind that takes no such text
_TOKEN = re.compile(r"\{\{\s*(.*?)\s*\}\}")
_BLOCK = re.compile(r"\{%\s*block (\w+).*?%\}(.*?)\{%\s*endblock\b.*?%\}", re.DOTALL)
_TAG = re.compile(r"\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_KEPT = re.compile(r"\uf8ff(\d+)\uf8ff")
_PLAIN_ELEMENTS = {"title", "option"}
# Blocks that stand in attributes of the page.
_OF_ATTRIBUTES = {"socket", "live", "seq", "ticket", "card_class"}


_KINDS_KEPT = {"hidden", "checkbox", "radio", "number", "time", "date"}


@dataclass(frozen=True)
class Output:
    """One `{{ … }}` of a template."""

    template: str
    expression: str
    place: str

    @property
    def filters(self) -> list[str]:
        """The names of its filters, in order."""
        return [each.split(":")[0].strip() for each in self.expression.split("|")[1:]]


def outputs() -> Iterator[Output]:
    """Yield every output of every template of ours."""
    for path in sorted(TEMPLATES.rglob("*.html")):
        name = str(path.relative_to(TEMPLATES))
        yield from outputs_of(name, path.read_text(encoding="utf-8"))


def outputs_of(name: str, template: str) -> Iterator[Output]:
    """Yield the outputs of one template, in order."""
    kept: list[str] = []
    page = _TOKEN.sub(lambda found: _keep(kept, found[1]), template)
    walker = _Walker()
    walker.feed(_TAG.sub(" ", _BLOCK.sub(_of_block, page)))
    walker.close()
    for number, expression in enumerate(kept):
        yield Output(name, expression, walker.places[number])


def _keep(kept: list[str], expression: str) -> str:
    kept.append(expression)
    return f"\uf8ff{len(kept) - 1}\uf8ff"


def _of_block(found: re.Match[str]) -> str:
    name, inner = found[1], found[2]
    if name in _OF_ATTRIBUTES:
        kept = "".join(each[0] for each in _KEPT.finditer(inner))
        return f'<i data-block="{kept}"></i>'
    return f"<title>{inner}</title>" if name == "title" else inner


class _Walker(HTMLParser):
    """Notes where each kept output stands."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.places: dict[int, str] = {}
        self._within = ""

    def handle_starttag(self, tag, attrs):
        kind = KEPT if dict(attrs).get("type") in _KINDS_KEPT else FIELD
        for name, value in attrs:
            field = tag == "input" and name == "value"
            self._note(f"{name} {value or ''}", kind if field else ATTRIBUTE)
        self._within = tag

    def handle_endtag(self, tag):
        self._within = ""

    def handle_data(self, data):
        if self._within == "textarea":
            self._note(data, FIELD)
        else:
            self._note(data, NO_ELEMENT if self._within in _PLAIN_ELEMENTS else TEXT)

    def _note(self, text: str, place: str) -> None:
        self.places |= {int(number): place for number in _KEPT.findall(text)}
