"""What forms of the console hold: a decision is known as one, and a choice is sent by a button."""

from __future__ import annotations

import re

import pytest

from tests.payloads.outputs import TEMPLATES

ACTS = "decide|call_decide|approve_selected|undo|undo_selected|call_undo|revert|again"
FORM = re.compile(
    rf"<form\b[^>]*console:(?:{ACTS}) .*?</form>|<form\b[^>]*console:(?:{ACTS})\".*?</form>", re.S
)
BUTTON = re.compile(r"<button\b.*?</button>", re.S)
FORMS = {
    (str(path.relative_to(TEMPLATES)), found.start()): found.group()
    for path in sorted(TEMPLATES.rglob("*.html"))
    for found in FORM.finditer(path.read_text())
}


@pytest.mark.parametrize("place", FORMS, ids=[name for name, _ in FORMS])
def test_a_page_that_is_offline_knows_every_button_that_decides(place):
    form = FORMS[place]
    # What only shows what a grant would let through decides nothing.
    buttons = [each for each in BUTTON.findall(form) if 'value="look"' not in each]
    included = [name for name in ("review/_approve.html",) if name in form]
    buttons += [(TEMPLATES / name).read_text() for name in included]
    # A button may stand elsewhere and name its form.
    name = re.search(r'id="([\w-]+)', form)
    beside = BUTTON.findall((TEMPLATES / place[0]).read_text()) if name else []
    buttons += [each for each in beside if name and f'form="{name[1]}' in each]
    assert buttons
    assert [each for each in buttons if "data-decide" not in each] == []


def test_forms_of_decisions_are_found():
    assert len(FORMS) == 18


def test_a_choice_of_a_list_is_sent_by_a_button_everybody_sees():
    forms = [
        (path.name, form)
        for path in TEMPLATES.rglob("*.html")
        for form in re.findall(r"<form\b.*?</form>", path.read_text(), re.S)
        if "<select" in form
    ]
    assert len(forms) > 5
    hidden = [name for name, form in forms if all("no-js" in each for each in BUTTON.findall(form))]
    assert hidden == []
