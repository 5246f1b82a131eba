"""How quickly a person decides, as the inbox and the review page say it to that person alone."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.utils import timezone

from approvals import pacing, policies, sealing
from approvals.calls.undoing import undo
from projects import across
from tests.approval_fixtures import approve, make_report, past_triggers
from tests.call_fixtures import decided, make_tool, park, working_step

if TYPE_CHECKING:
    from approvals.models import Approval

pytestmark = pytest.mark.django_db
WHEN = "UPDATE approvals_approval SET decided_at = %s WHERE id = %s"
WHEN_CALL = "UPDATE approvals_callapproval SET decided_at = %s WHERE id = %s"
FOLLOWS = "UPDATE approvals_approval SET follows_id = %s WHERE id = %s"
SAID = "approvals each came within 15 s of the decision before."
PUT_AWAY = "/settings/pace"


@pytest.fixture
def seconds_apart(project, requester, lead):
    """Return what lets the lead approve so many reports, each so many seconds after the one before."""

    def approved(count: int, seconds: float) -> list[Approval]:
        made = [sealing.seal(make_report(project, requester)) for _ in range(count)]
        for approval in made:
            approve(approval, lead)
        now = timezone.now()
        for at, approval in enumerate(made):
            ago = timedelta(seconds=seconds * (count - at))
            past_triggers(WHEN, now - ago, approval.pk)
        return made

    return approved


@pytest.fixture
def shown(client, lead):
    """Return what opens a page as somebody."""

    def opened(path: str = "/inbox", who=lead) -> str:
        client.force_login(who)
        answer = client.get(path)
        assert answer.status_code == 200
        return answer.content.decode()

    return opened


def pace_of(person) -> pacing.Pace:
    return pacing.pace_of(across.values({"": pacing.latest(person)})[""])


def test_the_inbox_says_how_far_apart_the_decisions_of_today_were(shown, seconds_apart):
    seconds_apart(4, 2)
    assert "You decided 4 today, half of them within 2 s of the one before." in shown()


def test_of_few_decisions_it_says_how_many_alone(shown, seconds_apart):
    seconds_apart(2, 2)
    assert "You decided 2 today." in shown()


def test_after_many_hurried_approvals_a_person_is_told_to_slow_down(
    shown, seconds_apart, project, requester, second_lead
):
    seconds_apart(pacing.IN_A_ROW + 1, 1.2)
    waiting = sealing.seal(make_report(project, requester))
    review = f"/review/{waiting.task.label}/r1"
    for path in ("/inbox", "/inbox?tab=decided", review):
        assert f"Your last {pacing.IN_A_ROW} {SAID}" in shown(path), path
    for path in ("/inbox", review):
        assert SAID not in shown(path, second_lead), path
    assert SAID not in shown(review, requester)


def test_it_keeps_nobody_from_approving_and_can_be_put_away(
    client, shown, seconds_apart, project, requester, lead
):
    seconds_apart(pacing.IN_A_ROW + 1, 1.2)
    assert SAID in shown()
    answer = client.post(PUT_AWAY, {"next": "/inbox?tab=decided"})
    assert answer.url == "/inbox?tab=decided"
    assert SAID not in shown()
    approve(sealing.seal(make_report(project, requester)), lead)
    assert SAID not in shown()


def test_it_leads_to_no_other_site(client, lead):
    client.force_login(lead)
    assert client.post(PUT_AWAY, {"next": "https://evil.example/"}).url == "/"
    assert client.get(PUT_AWAY).status_code == 405


def test_calls_are_decided_as_changes_are(project, requester, lead, seconds_apart):
    seconds_apart(2, 4)
    make_tool()
    rows = park(working_step(project, requester), "A", "B", "C")
    now = timezone.now()
    for at, (row, verdict) in enumerate(zip(rows, ("allow", "allow", "refuse"), strict=True)):
        decided(row, lead, verdict, note="No.")
        past_triggers(WHEN_CALL, now + timedelta(seconds=2 * at), row.pk)
        assert pace_of(lead).quick == (at + 2 if verdict == "allow" else 0)


def test_an_approval_whose_signature_held_on_a_new_main_is_one_decision(shown, lead, seconds_apart):
    fallen, following = seconds_apart(2, 4)
    past_triggers("UPDATE approvals_approval SET state = 'stale' WHERE id = %s", fallen.pk)
    past_triggers(FOLLOWS, fallen.pk, following.pk)
    original = fallen.signatures.get().pk
    past_triggers(
        "UPDATE approvals_signature SET carried_from_id = %s WHERE approval_id = %s",
        *(original, following.pk),
    )
    [(_, approved, _)] = across.values({"": pacing.latest(lead)})[""]
    assert approved
    assert "You decided 1 today." in shown()


def test_who_signs_where_an_earlier_signature_held_decides(shown, lead, seconds_apart):
    fallen, following = seconds_apart(2, 4)
    past_triggers(FOLLOWS, fallen.pk, following.pk)
    assert len(across.values({"": pacing.latest(lead)})[""]) == 2
    assert "You decided 2 today." in shown()


def test_yesterday_is_none_of_today(lead, seconds_apart):
    (made,) = seconds_apart(1, 1)
    assert len(across.values({"": pacing.latest(lead)})[""]) == 1
    past_triggers(WHEN, pacing.today() - timedelta(seconds=1), made.pk)
    assert across.values({"": pacing.latest(lead)})[""] == []


def test_what_was_undone_is_no_decision(lead, seconds_apart):
    (made,) = seconds_apart(1, 1)
    past_triggers("UPDATE approvals_approval SET state = 'withdrawn' WHERE id = %s", made.pk)
    assert across.values({"": pacing.latest(lead)})[""] == []


def test_a_permission_that_was_undone_is_no_decision_of_today(shown, project, requester, lead):
    policies.change(project, by=lead, call_undo_seconds=300)
    make_tool()
    rows = park(working_step(project, requester), "A", "B")
    first, _ = (decided(row, lead) for row in rows)
    assert "You decided 2 today." in shown()
    undo(first.pk, by=lead)
    assert "You decided 1 today." in shown()
