"""Each text that would be code, in each place: the page is made of what a page of plain words is."""

from __future__ import annotations

import pytest
from django.db import transaction
from django.test import Client

from tests.payloads.drawn import Drawn
from tests.payloads.hidden import CLASSES, EVERY, code
from tests.payloads.payloads import PAYLOADS
from tests.payloads.places import fill

pytestmark = pytest.mark.django_db
AT_ONCE = 4


def drawn(project, requester, lead, texts) -> dict[int, Drawn]:
    """Fill every place with texts, read every page, and take it all back."""
    client = Client()
    with transaction.atomic():
        client.force_login(lead)
        answers = [client.get(page) for page in fill(project, requester, lead, texts)]
        transaction.set_rollback(True)
    assert {answer.status_code for answer in answers} <= {200}, texts
    return {at: Drawn(answer.content.decode()) for at, answer in enumerate(answers)}


def test_every_hidden_character_is_marked_on_every_page(project, requester, lead):
    pages = drawn(project, requester, lead, [EVERY])
    assert {at: page.unmarked for at, page in pages.items() if page.unmarked} == {}
    # Titles and names are cut; what is cut off is not shown.
    bare = {at for at, page in pages.items() if not page.codes & {*map(code, CLASSES.values())}}
    assert bare == set()


def test_a_page_is_made_of_the_same_whatever_a_text_says(project, requester, lead):
    plain = drawn(project, requester, lead, ["Round half to even."] * AT_ONCE)
    wrong = {}
    for first in range(0, len(PAYLOADS), AT_ONCE):
        texts = PAYLOADS[first : first + AT_ONCE]
        for at, page in drawn(project, requester, lead, texts).items():
            found = page.beyond(plain[at]), page.away(plain[at]), page.scripts != plain[at].scripts
            if any(found):
                wrong[texts, at] = found
    assert wrong == {}, list(wrong.items())[:3]
