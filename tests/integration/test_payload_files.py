"""Lines and names of files that would be code or cannot be seen: edited as they are, shown as text."""

from __future__ import annotations

import pytest
from django.db import transaction

from tests.approval_fixtures import make_repository
from tests.payloads.drawn import Drawn
from tests.payloads.files import Field, change_of, edit_page, words_of
from tests.payloads.hidden import CLASSES, code
from tests.payloads.payloads import PAYLOADS

pytestmark = pytest.mark.django_db
AT_ONCE = 19
# Named at most on the page of an edit: a field cannot mark them where they stand.
NAMED = 20


@pytest.fixture
def opened(client, project, requester, lead, tmp_path):
    """Return what reads the edit page and the review of a file with texts, and takes it back."""
    make_repository(tmp_path, project)
    client.force_login(lead)

    def read(texts) -> dict[str, str]:
        with transaction.atomic():
            approval, path = change_of(project, requester, tmp_path, texts)
            pages = {
                "edit": edit_page(approval, path),
                "review": f"/review/{approval.task.label}/r1",
            }
            answers = {name: client.get(page) for name, page in pages.items()}
            typed = {"digest": approval.digest, "path": path, "text": words_of(texts)}
            answers["nothing new"] = client.post(pages["edit"].split("?")[0], typed)
            transaction.set_rollback(True)
        assert [each.status_code for each in answers.values()] == [200, 200, 400]
        return {name: answer.getvalue().decode() for name, answer in answers.items()}

    return read


def test_what_a_file_says_makes_nothing_of_the_page_that_edits_it(opened):
    plain, wrong = opened(["Round half\u200b to even."]), {}  # which the page says, too
    was = {name: Drawn(page) for name, page in plain.items()}
    for first in range(0, len(PAYLOADS), AT_ONCE):
        texts = PAYLOADS[first : first + AT_ONCE]
        for name, page in opened(texts).items():
            now = Drawn(page)
            found = now.beyond(was[name]), now.away(was[name]), now.scripts != was[name].scripts
            if any(found):
                wrong[texts, name] = found
            if name != "review":
                assert Field(page, "text").text == words_of(texts)
    assert wrong == {}, list(wrong.items())[:3]


def test_what_cannot_be_seen_in_a_field_is_named_beside_it(opened):
    classes = [each for each in CLASSES.values() if each != "\r"]
    for first in range(0, len(classes), NAMED):
        some = classes[first : first + NAMED]
        page = opened([f"p{character}y" for character in some])["edit"]
        assert {*map(code, some)} - Drawn(page).codes == set()
