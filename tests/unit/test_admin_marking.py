"""What a page of the admin shows is marked; what its fields send back is what they were given."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from django import forms

from countersign.administration.marking import marked
from projects import characters
from tests.payloads.hidden import CLASSES


class Fields(HTMLParser):
    """What a browser would post, by tag, and what a person reads."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.values: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.values += [(tag, value) for name, value in attrs if name == "value"]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("character", CLASSES.values(), ids=CLASSES)
def test_a_choice_says_what_it_holds_and_posts_what_it_held(character):
    text = f'p{character}y "<b>'
    select = forms.Select(choices=[(text, text), ("plain", "plain")])
    page = Fields(marked(select.render(f"n{character}", text)))
    assert page.values == [("option", text), ("option", "plain")]
    assert characters.plain(text) in page.text


def test_buttons_and_fields_post_what_they_held_and_their_other_words_are_marked():
    text = "p\u202ey"
    page = marked(
        f'<button name="act" value="{text}" title="{text}">{text}</button>'
        f'<input name="q" value="{text}" placeholder="{text}"><textarea>{text}</textarea>'
    )
    assert Fields(page).values == [("button", text), ("input", text)]
    assert page.count(text) == 3  # the two values, and what the textarea holds
    assert page.count('title="p⟨U+202E⟩y"') == page.count('placeholder="p⟨U+202E⟩y"') == 1
