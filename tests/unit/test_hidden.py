"""One way to mark characters nobody sees: a badge where an element can stand, ⟨U+202E⟩ elsewhere."""

from __future__ import annotations

import time

import pytest
from django.template import engines

from countersign.console import hidden
from projects import characters
from tests.payloads.hidden import CLASSES, EVERY, code

LEAST = 24


def drawn(template: str, **context: object) -> str:
    return engines["django"].from_string("{% load console %}" + template).render(context)


def test_there_are_as_many_classes_as_were_promised():
    assert len(set(CLASSES.values())) >= LEAST


@pytest.mark.parametrize("character", CLASSES.values(), ids=CLASSES)
def test_each_class_is_marked_in_text_and_where_no_element_can_stand(character):
    text = f"p{character}y"
    html, plain = hidden.reveal(text), characters.plain(text)
    name = f'aria-label="{code(character)} {characters.name_of(character)}"'
    assert html.count('class="hidden-char"') == html.count(name) == 1
    seen = characters.seen(character)
    assert plain == f"p{seen}⟨{code(character)}⟩y"
    assert html.startswith("p<span")
    assert html.endswith(f"{code(character)}</span>y")
    assert seen or character not in html + plain


@pytest.mark.parametrize(
    "text",
    [
        "plain\ttext\nof lines\r\n",
        "Größe, naïve, cafe\u0301 — “quotes” ≤ ∑",
        "中文字符、日本語、한국어 😀",
        "Ελληνικά Русский हिन्दी ไทย",
    ],
)
def test_honest_text_is_left_alone(text):
    assert characters.plain(text) == text
    assert hidden.reveal(text) == hidden.shown(text) == text


def test_a_carriage_return_is_marked_unless_it_ends_a_line():
    assert characters.plain("a\r\nb\rc\r") == "a\r\nb⟨U+000D⟩c⟨U+000D⟩"


@pytest.mark.parametrize("text", ["עברית 12", "abc العربية", "\u07ca\u0840"])
def test_what_is_written_from_the_right_stands_by_itself(text):
    assert hidden.shown(text) == f"<bdi>{text}</bdi>"
    assert hidden.reveal(text) == text  # a line of code keeps its direction


def test_markup_between_marks_is_escaped():
    assert hidden.shown('<b>\u202e"').startswith("&lt;b&gt;<span")
    assert hidden.shown('<b>\u202e"').endswith("</span>&quot;")


def test_tags_mark_names_as_filters_do():
    agent = {"colour": "agent-1", "icon": "code", "name": EVERY}
    badge = drawn("{% agent_badge agent %}{% agent_badge agent named=True %}", agent=agent)
    person = drawn("{% person_badge person %}", person="\u202eMira\u200b \u3164Okafor")
    assert ">MO<" in person
    for name, character in CLASSES.items():
        assert badge.count(code(character)) >= 5, name
        assert characters.seen(character) or character not in badge, name


def test_a_long_text_is_looked_at_in_no_time():
    lines = "    total = round_half_even(sum(line.tax for line in self.lines))\n" * 20_000
    begun = time.process_time()
    assert characters.marks(lines) == []
    assert time.process_time() - begun < 0.5


def test_what_a_field_holds_is_named_beside_it():
    said = drawn("{% unseen text %}", text="one\ntwo\u200b p\u0430y")
    assert '<span class="hidden-char">U+200B</span> ZERO WIDTH SPACE in line 2; ' in said
    assert '<span class="hidden-char">U+0430</span> CYRILLIC SMALL LETTER A in line 2.' in said
    assert "in line" not in drawn("{% unseen text %}", text="one\u200b")


@pytest.mark.parametrize("text", ["", None, "plain", "two\r\nlines", "\u043f\u0440\u0438"])
def test_nothing_is_said_beside_a_field_that_is_what_it_seems(text):
    assert drawn("{% unseen text %}", text=text) == ""


def test_of_many_the_first_are_named_and_the_others_counted():
    said = drawn("{% unseen text %}", text="\u200b" * 1_025)
    assert said.count("ZERO WIDTH SPACE") == 20
    assert said.endswith("; and 1,005 more.</p>")


def test_a_field_too_long_to_be_looked_at_says_so():
    assert "too much to look for" in drawn("{% unseen text %}", text="\u200b" * 200_001)
