"""What a page is made of, read by a real parser: elements, addresses, scripts, and marks."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from projects import characters

_ADDRESSES = frozenset(
    {"href", "src", "srcset", "action", "formaction", "data", "poster", "background", "xlink:href"}
)
_OURS = ("/", "#", "?")
# What marks a hidden character, and what the allow-list of Markdown may make of a text.
_MADE = {
    *(("span", name) for name in ("", "class", "title", "role", "aria-label")),
    ("bdi", ""),
    *((tag, "") for tag in ("p", "em", "strong", "code", "pre", "ul", "ol", "li", "br", "hr")),
    *((tag, "") for tag in ("table", "thead", "tbody", "tr", "th", "td", "blockquote")),
    *((f"h{level}", "") for level in range(1, 7)),
    *(("code", "class"), ("pre", "class"), ("div", "class"), ("div", ""), ("ol", "start")),
}
_CODE = re.compile(r"U\+([0-9A-F]{4,6})")
_MARKED = re.compile(r".?⟨U\+[0-9A-F]{4,6}⟩", re.DOTALL)


def unmarked(text: str) -> set[str]:
    """Return the characters of a text that should be marked and are not."""
    bare = _MARKED.sub("", text)
    return {bare[at] for at in characters.marks(bare)}


class Drawn(HTMLParser):
    """What a page is made of: each element with each attribute, where it leads, and what it shows."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.made: set[tuple[str, str]] = set()
        self.leads: set[str] = set()
        self.scripts: list[str] = []
        self.unmarked: set[tuple[str, str]] = set()  # element or attribute, character
        self.codes: set[str] = set()
        self._within = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.made |= {(tag, name) for name, _ in attrs} | {(tag, "")}
        for name, value in attrs:
            if name in _ADDRESSES or name.startswith(("hx-", "data-hx-")):
                self.leads.add(value or "")
            if name != "value":  # a field keeps what it holds
                self._shows(f"{tag} {name}", value or "")
        self._within = tag

    def handle_endtag(self, tag):
        self._within = ""

    def handle_data(self, data):
        if self._within == "script" and data.strip():
            self.scripts.append(data)
        if self._within not in {"script", "style", "textarea"}:
            self._shows(self._within, data)

    def _shows(self, where: str, text: str) -> None:
        self.unmarked |= {(where, character) for character in unmarked(text)}
        self.codes |= {f"U+{code}" for code in _CODE.findall(text)}

    def beyond(self, plain: Drawn) -> set[tuple[str, str]]:
        """Return what a page of plain words has not."""
        return self.made - plain.made - _MADE

    def away(self, plain: Drawn) -> set[str]:
        """Return the addresses that lead elsewhere, or run, and are none of a page of plain words."""
        led = self.leads - plain.leads
        return {each for each in led if not each.startswith(_OURS) or each.startswith("//")}
