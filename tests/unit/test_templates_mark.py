"""Every output of every template marks hidden characters, holds an editable text, or is declared ours."""

from __future__ import annotations

import re

import pytest
from django.template import Context, Template

from tests.payloads import ours
from tests.payloads.outputs import (
    ATTRIBUTE,
    FIELD,
    KEPT,
    NO_ELEMENT,
    TEMPLATES,
    TEXT,
    Output,
    outputs,
    outputs_of,
)

# Admin pages are marked as a whole when they are answered.
OUTPUTS = [each for each in outputs() if not each.template.startswith("admin/")]
MARKS = {
    TEXT: {"reveal", "report", "plain"},
    ATTRIBUTE: {"plain"},
    NO_ELEMENT: {"plain"},
    FIELD: set(),
    KEPT: set(),
}


def marked(output: Output) -> bool:
    return output.filters[-1:] != [] and output.filters[-1] in MARKS[output.place]


def declared(output: Output) -> bool:
    whole, bare = output.expression, output.expression.split("|default:")[0]
    name = bare.split("|")[0].split(".")[-1]
    made = bool(output.filters) and output.filters[-1] in ours.MADE
    return (
        made
        or whole in ours.WHOLE
        or bare in ours.WHOLE
        or (name in ours.NAMES and not re.search(r"(agent|project|server)\.name", whole))
        or re.fullmatch(r"get_\w+_display", name) is not None
        or re.search(r"\b(task|reverted_by)\.label$", bare) is not None  # T-12
    )


def test_every_output_is_marked_or_declared():
    # A field holds what was written as it is, or saving it would change it.
    bare = [each for each in OUTPUTS if each.place not in {FIELD, KEPT}]
    missing = [each for each in bare if not marked(each) and not declared(each)]
    assert missing == [], (
        "mark it with `reveal` or `plain`, or declare it in tests/payloads/ours.py"
    )


def test_what_a_field_holds_is_marked_beside_it():
    fields = [each for each in OUTPUTS if each.place == FIELD]
    assert [
        each
        for each in fields
        if f"{{% unseen {each.expression.split('|')[0]} %}}"
        not in (TEMPLATES / each.template).read_text(encoding="utf-8")
    ] == []


def test_no_badge_is_put_where_no_element_can_stand():
    assert [
        each
        for each in OUTPUTS
        if each.place in {ATTRIBUTE, NO_ELEMENT, FIELD, KEPT}
        and set(each.filters) & {"reveal", "report"}
    ] == []


def test_nothing_is_declared_that_no_template_shows():
    shown = {each.expression for each in OUTPUTS}
    shown |= {each.split("|default:")[0] for each in shown}
    assert ours.WHOLE - shown == set()


@pytest.mark.parametrize("filter_", ["safe", "safeseq", "escapejs", "linebreaks", "urlize"])
def test_no_output_is_taken_for_safe(filter_):
    assert [each for each in OUTPUTS if filter_ in each.filters] == []


def test_the_walker_knows_where_an_output_stands():
    page = (
        '<title>{{ a }}</title>{% block title %}{{ b|plain }}{% endblock %}<p title="x {{ c }}">'
        '{{ d|reveal }}</p><input value="{{ e }}"><input type="hidden" value="{{ k }}"><textarea>{{ f }}</textarea><option>{{ g }}'
        '</option>{% block seq %}{{ h }}{% endblock %}<a {% if x %}href="/?{{ i }}"{% endif %}>{{ j }}'
    )
    places = {each.expression[0]: each.place for each in outputs_of("x.html", page)}
    assert places == {
        **dict.fromkeys("abg", NO_ELEMENT),
        **dict.fromkeys("chi", ATTRIBUTE),
        **dict.fromkeys("dj", TEXT),
        **dict.fromkeys("ef", FIELD),
        "k": KEPT,
    }


def test_names_that_are_joined_are_escaped_once():
    given = {"names": ["Pat O'Brien", "A & B", "<b>"]}
    shown = Template('{% load console %}{{ names|listed:" and "|reveal }}').render(Context(given))
    assert shown == "Pat O&#x27;Brien and A &amp; B and &lt;b&gt;"
    assert not [path for path in TEMPLATES.rglob("*.html") if "|join:" in path.read_text()]
