"""What asks the server by htmx is readied by `early.js`, which leaves the rest of a page alone."""

from __future__ import annotations

import re

from tests.payloads.outputs import TEMPLATES

TAG = re.compile(r"<([a-z][\w-]*)((?:[^<>{]|{%.*?%}|{{.*?}}|{#.*?#})*)>", re.S)
ASKS = re.compile(r"\b(?:data-)?hx-(?:action|get|post|put|patch|delete|query|boost|on)\b[:=]")
SOURCES = {
    str(path.relative_to(TEMPLATES)): path.read_text() for path in sorted(TEMPLATES.rglob("*.html"))
}


def test_what_asks_is_a_link_or_a_form_or_says_when():
    found = [
        (name, tag, attributes)
        for name, text in SOURCES.items()
        for tag, attributes in TAG.findall(text)
        if ASKS.search(attributes)
    ]
    assert len(found) == sum(len(ASKS.findall(text)) for text in SOURCES.values())
    assert found
    for name, tag, attributes in found:
        assert re.search(r"(?<![\w-])hx-(get|post)=", attributes), (
            name,
            "early.js looks for others",
        )
        assert tag in {"a", "form", "button"} or "hx-trigger=" in attributes, (name, tag)
