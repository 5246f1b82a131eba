"""An open inbox is told what came and what is over; what it shows stays where it is."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents import escalations
from approvals import sealing
from tests import console_fixtures as fixtures
from tests.approval_fixtures import end_time, make_report
from tests.reviewing import decide

pytestmark = pytest.mark.django_db


@pytest.fixture
def opened(client, lead):
    """Return what asks for news, as the page opened now would."""
    client.force_login(lead)

    def open_page(**query):
        page = client.get("/inbox", query).content.decode()
        address = unescape(re.search(r'data-live="([^"]+)"', page)[1])
        return lambda: client.get(address).content.decode()

    return open_page


def test_nothing_happened_so_nothing_is_said(opened, project, requester):
    sealing.seal(make_report(project, requester))
    answer = opened()()
    assert "#inbox-news" not in answer
    assert "inbox-over" not in answer


def test_what_came_is_counted_and_waits_for_a_key(opened, project, requester):
    news = opened()
    for _ in range(2):
        sealing.seal(make_report(project, requester))
    fixtures.stopped_task(project, requester)
    assert "3 new, press <kbd>.</kbd> to show" in news()


def test_what_does_not_fit_the_filter_is_no_news(opened, project, requester):
    news = opened(q="risk:high")
    sealing.seal(make_report(project, requester))
    assert "new, press" not in news()


def test_what_somebody_decided_is_marked_in_its_place(opened, project, requester, second_lead):
    approval = sealing.seal(make_report(project, requester))
    other = sealing.seal(make_report(project, requester))
    news = opened()
    decide(
        approval.pk,
        by=second_lead,
        verdict="approve",
        digest=approval.digest,
        nonce=approval.nonce,
    )
    answer = news()
    assert f'hx-target="#due-{approval.pk}"' in answer
    assert re.search(r"Approved</span></span>\s*<span[^>]*>Ravi Singh", answer)
    assert f"#due-{other.pk}" not in answer
    assert "new, press" not in answer


def test_an_answered_question_is_marked_and_an_open_one_costs_nothing(
    opened, project, requester, second_lead
):
    question = fixtures.stopped_task(project, requester).task.escalations.get()
    news = opened()
    with CaptureQueriesContext(connection) as asked:
        assert "inbox-over" not in news()
    assert not [each for each in asked if str(question.pk) in each["sql"]]
    escalations.resolve(question, choice="raise_limit_once", by=second_lead)
    answer = news()
    assert f'hx-target="#due-{question.pk}"' in answer
    assert re.search(r"Answered</span></span>\s*<span[^>]*>Ravi Singh", answer)


def test_what_moves_up_from_the_next_page_is_no_news(opened, project, requester, second_lead, lead):
    sealed = [sealing.seal(make_report(project, requester)) for _ in range(27)]
    news = opened()
    sealed[0].move("withdrawn", decided_at=sealed[0].requested_at)
    answer = news()
    assert f'hx-target="#due-{sealed[0].pk}"' in answer
    soon = sealing.seal(make_report(project, requester))
    end_time(soon, in_seconds=600)
    assert "1 new, press" in news()


def test_of_other_projects_nothing_is_told(client, project, requester, lead, stranger):
    approval = sealing.seal(make_report(project, requester))
    approval.move("withdrawn", decided_at=approval.requested_at)
    client.force_login(stranger)
    answer = client.get("/inbox/live", {"shown": approval.pk.hex}).content.decode()
    assert str(approval.pk) not in answer


@pytest.mark.parametrize("shown", ["", "x", ",,,", "é", "0" * 32, "1," * 500])
def test_nonsense_is_answered(client, lead, shown):
    client.force_login(lead)
    for since in ("", "x", "9" * 30, "-1", "nan", "inf"):
        answer = client.get("/inbox/live", {"shown": shown, "since": since})
        assert answer.status_code == 200
