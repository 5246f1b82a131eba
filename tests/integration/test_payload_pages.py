"""Each text that would be code, in each place: the page is made of what a page of plain words is."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from tests.payloads.console import make_everything
from tests.payloads.drawn import Drawn
from tests.payloads.hidden import CLASSES, EVERY, code
from tests.payloads.payloads import PAYLOADS
from tests.payloads.places import fill
from tests.payloads.rows import write_everywhere

pytestmark = pytest.mark.django_db
AT_ONCE = 4
# Answers that have nothing new to say.
BARE = ("/earlier", "/main")
# Pages with room for a whole text.
WHOLE = (
    "/tasks/T-",
    "/review/T-",
    "/calls/",
    "/memory",
    "/trace",
    "/inbox",
    "/notifications",
    "/tasks",
)
CODES = {*map(code, CLASSES.values())}


@pytest.fixture
def opened(db):
    """Return what reads every page with texts in every column, and takes it all back."""
    world, pages = make_everything()
    client = world.clients["lead"]
    item = "{reviewed_id} {reviewed_digest} {reviewed_nonce}".format(**world.names)
    pages = [*pages, client.post("/inbox/selected/approve", {"item": item}).url]

    def read(texts) -> dict[str, Drawn]:
        with transaction.atomic():
            write_everywhere(texts)
            answers = {page: client.get(page) for page in pages}
            transaction.set_rollback(True)
        wrong = {page: answer.status_code for page, answer in answers.items()}
        assert {page: code for page, code in wrong.items() if code not in {200, 400}} == {}
        return {page: Drawn(answer.getvalue().decode()) for page, answer in answers.items()}

    return read


def filled(project, requester, lead, texts) -> dict[str, Drawn]:
    """Fill every place with texts, read every page, and take it all back."""
    client = Client()
    with transaction.atomic():
        client.force_login(lead)
        answers = [client.get(page) for page in fill(project, requester, lead, texts)]
        transaction.set_rollback(True)
    assert {answer.status_code for answer in answers} <= {200}, texts
    return {str(at): Drawn(answer.getvalue().decode()) for at, answer in enumerate(answers)}


def changed(read, at_once: int = AT_ONCE) -> dict[tuple[Any, ...], Any]:
    """Return what any payload makes of any page that plain words do not make of it."""
    plain, wrong = read(["Round half to even."] * at_once), {}
    for first in range(0, len(PAYLOADS), at_once):
        texts = PAYLOADS[first : first + at_once]
        for at, page in read(texts).items():
            was = plain[at]
            found = page.beyond(was), page.away(was), page.scripts != was.scripts
            if any(found):
                wrong[texts, at] = found
    return wrong


def test_every_hidden_character_is_marked_on_every_page(opened, project, requester, lead):
    pages = opened([EVERY]) | filled(project, requester, lead, [EVERY])
    plain = opened(["Round half to even."])  # Django keeps "59 minutes" in one line
    left = {
        at: page.unmarked - getattr(plain.get(at), "unmarked", set()) for at, page in pages.items()
    }
    assert {at: {place for place, _ in found} for at, found in left.items() if found} == {}
    # Titles and names are cut; what is cut off is not shown.
    bare = {at for at, page in pages.items() if not page.codes & CODES}
    assert {at for at in bare if not at.endswith(BARE)} == set()
    assert {name for name in WHOLE if not any(name in at for at in whole(pages))} == set()


def whole(pages: dict[str, Drawn]) -> set[str]:
    return {at for at, page in pages.items() if page.codes >= CODES}


def test_a_page_of_filled_rows_is_made_of_the_same_whatever_a_text_says(project, requester, lead):
    wrong = changed(lambda texts: filled(project, requester, lead, texts))
    assert wrong == {}, list(wrong.items())[:3]


def test_a_page_of_the_console_is_made_of_the_same_whatever_a_text_says(opened):
    wrong = changed(opened, at_once=3 * AT_ONCE)  # each column begins with another
    assert wrong == {}, list(wrong.items())[:3]
