"""What the invariants say of rows that somebody tampered with: text, marked, whatever is in them."""

from __future__ import annotations

import io

import pytest
from django.core.management import call_command
from django.db import transaction

from agents.models import ToolServer
from projects.models import User
from tests.payloads.console import make_everything
from tests.payloads.drawn import Drawn, unmarked
from tests.payloads.hidden import EVERY
from tests.payloads.payloads import PAYLOADS
from tests.payloads.rows import write_everywhere

pytestmark = pytest.mark.django_db
AT_ONCE = 19
LEAST_BROKEN = 8


@pytest.fixture
def checked(client, admin, settings, tmp_path):
    """Return what checks the invariants over rows that hold texts, and takes it back."""
    settings.DATA_DIR = tmp_path
    make_everything()
    client.force_login(admin)

    def read(texts) -> tuple[Drawn, str]:
        said = io.StringIO()
        with transaction.atomic():
            ToolServer.objects.create(
                slug="evil", name=texts[0][:60], transport="stdio", target=" ".join(texts)[:300]
            )
            write_everywhere(texts)
            User.objects.filter(pk=admin.pk).update(first_name=admin.first_name)
            answer = client.post("/admin/invariants/")
            with pytest.raises(SystemExit):
                call_command("verify_invariants", stdout=said, stderr=said)
            transaction.set_rollback(True)
        assert answer.status_code == 200
        return Drawn(answer.content.decode()), said.getvalue()

    return read


def test_the_result_is_made_of_the_same_whatever_a_row_says(checked):
    plain, _ = checked(["Round half to even."])
    for first in range(0, len(PAYLOADS), AT_ONCE):
        page, said = checked(PAYLOADS[first : first + AT_ONCE])
        assert page.beyond(plain) == set()
        assert page.away(plain) == set()
        assert page.scripts == plain.scripts
        assert unmarked(said) == set()


def test_what_cannot_be_seen_is_marked_on_the_page_and_in_the_terminal(checked):
    page, said = checked([EVERY])
    assert page.unmarked == set()
    assert page.codes
    assert unmarked(said) == set()
