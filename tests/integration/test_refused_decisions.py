"""A decision that came too late is shown as it stands now, with every word that was typed."""

from __future__ import annotations

import re
from html import unescape

import pytest

from agents.models import Hunk
from approvals import sealing
from approvals.lifecycle import ApprovalState
from tests.approval_fixtures import make_change, make_repository, move_main, view_all
from tests.reviewing import decide

pytestmark = pytest.mark.django_db


@pytest.fixture
def bare(project, tmp_path, settings):
    settings.DATA_DIR = tmp_path / "data"
    return make_repository(tmp_path, project)


@pytest.fixture
def approval(bare, project, requester, lead, tmp_path):
    return sealing.seal(make_change(project, requester, tmp_path))


def form_of(approval, **fields):
    sealed = {"approval": approval.pk, "digest": approval.digest, "nonce": approval.nonce}
    return {**sealed, **fields}


def asked(client, approval, form):
    return client.post(f"/review/{approval.task.label}/r1/decide", form)


def kept(page: str) -> str:
    [words] = re.findall(r"<textarea[^>]*readonly[^>]*>(.*?)</textarea>", page, re.S)
    return unescape(words).strip()


def test_main_that_moved_is_told_with_what_was_typed(client, lead, approval, bare):
    hunk = Hunk.objects.filter(file__proposal=approval.proposal).order_by("pk").first()
    view_all(approval, lead)
    move_main(bare, hunk.file.path, "Somebody else was faster.\n")
    client.force_login(lead)
    line = {
        "say-hunk": hunk.pk,
        "say-side": "new",
        "say-line": "1",
        "say-note": "There.",
        "say-to": "",
    }
    form = form_of(approval, verdict="approve", note="Good.", lesson="Round once.", **line)
    answer = asked(client, approval, form | {f"note-{hunk.pk}": "Here."})
    page = answer.content.decode()
    assert answer.status_code == 409
    assert "Main moved." in page
    assert "Propose again" in page
    assert 'id="decision"' not in page
    assert "Waits for your signature" not in page
    path = hunk.file.path
    header = f"@@ -{hunk.old_start},{hunk.old_lines} +{hunk.new_start},{hunk.new_lines} @@"
    assert kept(page).split("\n\n") == [
        "Good.",
        "Lesson:\nRound once.",
        f"{path} {header}:\nHere.",
        f"{path}, line 1:\nThere.",
    ]


def test_who_was_slower_reads_their_own_words_beside_the_decision(
    client, lead, second_lead, approval
):
    sealed = {"digest": approval.digest, "nonce": approval.nonce}
    decide(approval.pk, by=second_lead, verdict="reject", note="Unsafe.", **sealed)
    client.force_login(lead)
    answer = asked(client, approval, form_of(approval, verdict="approve", note="I agree.\r\nAll."))
    page = answer.content.decode()
    assert answer.status_code == 409
    assert kept(page) == "I agree.\nAll."


def test_a_refusal_that_leaves_the_form_repeats_nothing(client, lead, approval):
    client.force_login(lead)
    answer = asked(client, approval, form_of(approval, verdict="reject", lesson="Look twice."))
    page = answer.content.decode()
    assert answer.status_code == 400
    assert 'id="decision"' in page
    assert "readonly" not in page
    approval.refresh_from_db()
    assert approval.state == ApprovalState.PENDING
