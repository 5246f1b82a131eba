"""Who is told of what by the bell: once each, only members, and not of what is over."""

from __future__ import annotations

import os
from datetime import time

import psycopg
import pytest
from django.db import IntegrityError, OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.models import Event
from approvals import routing
from approvals.undoing import undo
from countersign.sink import publishing
from notices import messages, reading, telling, words
from notices.models import Delivery, Hours, Kind, LogPlace, Notice, Notification
from projects.models import Membership, Project, Role, User
from tests.call_fixtures import decided as call_decided
from tests.call_fixtures import make_tool, waiting_call
from tests.notice_fixtures import at_once, happens, read_all, sealed, told
from tests.reviewing import decide

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _begun(db):
    reading.begin()


def decided(approval, by, verdict="approve", note=""):
    decide(
        approval.pk,
        by=by,
        verdict=verdict,
        digest=approval.digest,
        nonce=approval.nonce,
        note=note,
    )


def test_who_may_sign_is_asked_and_nobody_else(project, requester, lead, second_lead, stranger):
    sealed(project, requester)
    read_all()
    assert told(lead) == told(second_lead) == ["approval.requested"]
    assert told(requester) == told(stranger) == []


def test_of_many_leads_the_rights_are_read_at_once(project, requester, lead, second_lead):
    def statements():
        sealed(project, requester)
        with CaptureQueriesContext(connection) as asked:
            read_all()
        return len(asked)

    few = statements()
    for number in range(6):
        person = User.objects.create(username=f"lead{number}")
        Membership.objects.create(user=person, project=project, role=Role.LEAD)
    assert statements() == few
    assert Notification.objects.filter(person__username__startswith="lead").count() == 6


def test_a_lead_who_asked_for_the_work_is_not_asked_to_sign_it(project, lead, second_lead):
    sealed(project, lead)
    read_all()
    assert told(lead) == []
    assert told(second_lead) == ["approval.requested"]


def test_nobody_is_asked_for_what_is_decided_meanwhile(project, requester, lead, second_lead):
    decided(sealed(project, requester), lead)
    read_all()
    assert told(second_lead) == []
    assert told(requester) == ["approval.decided"]


def test_a_decision_takes_the_question_from_the_bells_of_the_others(
    project, requester, lead, second_lead
):
    approval = sealed(project, requester)
    read_all()
    decided(approval, lead)
    read_all()
    assert not Notification.objects.filter(person__in=[lead, second_lead], read_at=None).exists()
    assert Notification.objects.filter(person=requester, read_at=None).count() == 1


def test_a_reject_is_told_once_though_it_also_ends_the_task(project, requester, lead):
    decided(sealed(project, requester), lead, "reject", "Not this way, please do it otherwise.")
    read_all()
    assert told(requester) == ["approval.decided"]
    assert Notice.objects.get(type="approval.decided").facts == {
        "verdict": "reject",
        "by": "Dana Kim",
    }


def test_who_heard_of_an_approval_hears_that_it_was_undone(project, requester, lead):
    approval = sealed(project, requester)
    decided(approval, lead)
    undo(approval, by=lead)
    read_all()
    assert told(requester) == ["approval.decided", "approval.decided"]
    found = Notice.objects.filter(type="approval.decided").order_by("event")
    assert [words.sentence(each) for each in found] == [
        "Dana Kim approved it",
        "Dana Kim undid the approval",
    ]


def test_the_requester_and_the_leads_hear_that_a_task_needs_a_person(project, requester, lead):
    task = sealed(project, requester).task
    happens(task, "escalation.raised", rule="max_turns", detail="rm -rf /secret", escalation="a")
    read_all()
    assert told(requester) == ["escalation.raised"]
    assert "escalation.raised" in told(lead)
    happens(task, "escalation.resolved", choice="stop", escalation="a")
    read_all()
    assert not Notification.objects.filter(person=requester, read_at=None).exists()


def test_an_answer_leaves_what_the_same_task_asks_of_another_step(project, requester, lead):
    task = sealed(project, requester).task
    first, second = (
        happens(task, "escalation.raised", rule="max_turns", escalation=each) for each in "ab"
    )
    happens(task, "escalation.resolved", choice="stop", escalation="b")
    happens(task, "escalation.resolved", choice="stop")
    read_all()
    mine = Notification.objects.filter(person=requester)
    assert mine.get(read_at=None).notice.event == first.pk
    assert mine.exclude(read_at=None).get().notice.event == second.pk
    happens(task, "task.finished", state="cancelled")
    read_all()
    assert not mine.filter(notice__kind=Kind.STUCK, read_at=None).exists()


def test_nothing_of_an_events_text_is_kept_but_words_of_ours(project, requester, lead):
    task = sealed(project, requester).task
    happens(task, "escalation.raised", rule="rm -rf /", detail="SECRET", evidence={"x": "SECRET"})
    happens(task, "effect.finished", kind="SECRET ARG", error="SECRET", result={"text": "SECRET"})
    happens(task, "task.finished", state="SECRET STATE", reason="SECRET", results=["SECRET"])
    read_all()
    assert Notice.objects.count() >= 3
    assert not [notice for notice in Notice.objects.all() if "SECRET" in str(notice.facts)]


def test_a_person_is_told_of_one_event_once_by_two_readers_at_once(project, requester, lead):
    for _ in range(5):
        sealed(project, requester)
    place = LogPlace.objects.get()
    for _ in range(4):  # as if the place had been noted by neither
        LogPlace.objects.update(xact=place.xact, event=place.event)
        assert at_once(*[read_all] * 4) == []
    assert told(lead) == ["approval.requested"] * 5


def test_the_database_holds_one_notice_for_an_event_and_one_line_for_a_person(
    project, requester, lead
):
    sealed(project, requester)
    read_all()
    line = Notification.objects.get(person=lead)
    with pytest.raises(IntegrityError, match="one_line_per_person"):
        Notification.objects.create(notice=line.notice, person=lead, project=project)
    line.notice.pk = None
    with pytest.raises(IntegrityError, match="event"):
        line.notice.save(force_insert=True)


def test_an_event_whose_transaction_ends_late_is_not_missed(project, requester, lead):
    task = sealed(project, requester).task
    url = os.environ["DATABASE_URL"].replace(
        "/countersign?", f"/{connection.settings_dict['NAME']}?"
    )
    with psycopg.connect(url) as slow:
        slow.execute(
            "INSERT INTO agents_event (task_id, seq, kind, data) VALUES (%s, 900, %s, %s)",
            [task.pk, "escalation.raised", '{"rule": "blocked"}'],
        )
        happens(task, "message", text="later, but committed first")
        read_all()
        assert told(requester) == []
        slow.commit()
    read_all()
    assert told(requester) == ["escalation.raised"]


def test_reading_begins_with_what_happens_from_now_on(project, requester, lead):
    sealed(project, requester)
    LogPlace.objects.all().delete()
    read_all()
    assert told(lead) == []
    sealed(project, requester)
    read_all()
    assert told(lead) == ["approval.requested"]


def test_a_restored_database_is_read_from_now_on(project, requester, lead, caplog):
    LogPlace.objects.update(xact=2**62)
    sealed(project, requester)
    read_all()
    assert "restored" in caplog.text
    sealed(project, requester)
    read_all()
    assert told(lead) == ["approval.requested"]


def test_people_of_another_project_hear_nothing(project, requester, lead, stranger):
    other = Project.objects.create(slug="other", name="other", repository="/nowhere.git")
    Membership.objects.create(user=stranger, project=other, role=Role.LEAD)
    task = sealed(project, requester).task
    happens(task, "escalation.raised", rule="blocked")
    read_all()
    assert told(stranger) == []


def test_somebody_who_has_left_or_is_disabled_hears_nothing(project, requester, lead, second_lead):
    task = sealed(project, requester).task
    Membership.objects.filter(user=requester).delete()
    User.objects.filter(pk=second_lead.pk).update(is_active=False)
    happens(task, "escalation.raised", rule="blocked")
    read_all()
    assert told(requester) == told(second_lead) == []
    assert len(told(lead)) == 2


def test_a_proposal_that_came_again_because_main_moved_rings_the_bell_only(
    project, requester, lead
):
    approval = sealed(project, requester)
    type(approval.proposal).objects.filter(pk=approval.proposal_id).update(version=2)
    read_all()
    assert told(lead) == ["approval.requested"]


def test_events_of_no_interest_only_move_the_place(project, requester, lead):
    task = sealed(project, requester).task
    read_all()
    before = Notice.objects.count()
    for number in range(30):
        happens(task, "message", text=str(number))
    assert read_all() == 30
    assert Notice.objects.count() == before
    assert LogPlace.objects.get().event == Event.objects.latest("pk").pk


def test_who_is_given_a_review_is_told_unless_they_took_it_themselves(
    project, requester, lead, second_lead
):
    approval = sealed(project, requester)
    routing.assign(approval, second_lead.pk, by=lead)
    read_all()
    assert told(second_lead) == ["approval.requested", "approval.assigned"]
    assert told(lead) == ["approval.requested"]
    routing.claim(sealed(project, requester), by=lead)
    read_all()
    assert "approval.assigned" not in told(lead)


def test_a_tool_call_is_asked_of_who_may_allow_it_and_its_page_is_named(
    project, requester, lead, second_lead
):
    make_tool()
    call = waiting_call(project, requester)
    read_all()
    assert told(lead) == told(second_lead) == ["call.asked"]
    assert told(requester) == []
    notice = Notice.objects.get()
    assert notice.facts == {}
    assert words.path(notice) == f"/calls/{call.pk}"
    assert words.sentence(notice) == "An agent asks to use a tool"
    for make in (messages.chat, messages.standard, messages.email):
        assert "I-1" not in str(make(notice))
        assert "pay__pay" not in str(make(notice))
    call_decided(call, lead, "refuse", note="Not this one, please.")
    read_all()
    assert not Notification.objects.filter(read_at=None).exists()


@pytest.mark.parametrize("share", [50, 100])
def test_who_is_reminded_is_told_if_they_may_still_sign(
    project, requester, lead, second_lead, stranger, share
):
    approval = sealed(project, requester)
    names = [str(person.pk) for person in (lead, requester, stranger)]
    happens(approval.task, "approval.reminded", approval=str(approval.pk), share=share, to=names)
    read_all()
    assert told(lead) == ["approval.requested", "approval.reminded"]
    assert told(second_lead) == ["approval.requested"]
    assert told(requester) == told(stranger) == []
    assert Notification.objects.get(notice__type="approval.reminded").notice.facts == {
        "share": share
    }


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"approval": "x", "share": 50, "to": ["y"]},
        {"approval": None, "share": "50", "to": None},
        {"approval": ["x"], "share": 75, "to": [{"id": 1}]},
        {"approval": "01a226e4-5665-7465-b03f-9ab9cb398270", "share": 100, "to": "nobody"},
    ],
)
def test_an_event_that_makes_no_sense_tells_nobody_and_stops_nothing(
    project, requester, lead, data
):
    task = sealed(project, requester).task
    for kind in ("approval.reminded", "approval.assigned", "approval.requested"):
        happens(task, kind, **data)
    happens(task, "escalation.raised", rule="blocked")
    read_all()
    assert told(lead) == ["approval.requested", "escalation.raised"]


def test_an_event_that_cannot_be_read_is_stepped_over_and_the_others_are_told_as_ever(
    project, requester, lead, caplog
):
    task = sealed(project, requester).task
    happens(task, "approval.decided", verdict=["approve"])
    bad = Event.objects.latest("pk").pk
    happens(task, "escalation.raised", rule="blocked")
    decided(sealed(project, requester), lead, "reject", "Not this way, please do it otherwise.")
    read_all()
    assert told(lead) == ["approval.requested", "escalation.raised"]
    assert told(requester) == ["escalation.raised", "approval.decided"]
    assert f"nobody is told of event {bad}," in caplog.text
    assert LogPlace.objects.get().event == Event.objects.latest("pk").pk


def test_a_person_whose_zone_is_not_known_any_more_is_told_at_once(
    project, requester, lead, settings
):
    settings.EMAIL_HOST = "mail.example.org"
    User.objects.filter(pk=lead.pk).update(email="dana@example.org")
    Hours.objects.create(person=lead, begins=time(0), ends=time(23, 59), zone="Mars/Olympus")
    sealed(project, requester)
    read_all()
    assert told(lead) == ["approval.requested"]
    assert Delivery.objects.get().next_at <= timezone.now()


def test_events_wait_while_the_database_cannot_take_what_is_told(project, requester, lead):
    sealed(project, requester)
    place = LogPlace.objects.get()
    url = os.environ["DATABASE_URL"].replace(
        "/countersign?", f"/{connection.settings_dict['NAME']}?"
    )
    with psycopg.connect(url) as other, connection.cursor() as cursor:
        other.execute("LOCK TABLE notices_notice IN ACCESS EXCLUSIVE MODE")
        cursor.execute("SET lock_timeout = '200ms'")
        with pytest.raises(OperationalError):
            reading.read_new()
        cursor.execute("RESET lock_timeout")
    assert LogPlace.objects.get().event == place.event
    read_all()
    assert told(lead) == ["approval.requested"]


def test_people_are_told_of_nothing_again_when_the_log_is_numbered_anew(project, requester, lead):
    decided(sealed(project, requester), lead)
    reading.begin()
    publishing.renumber()
    sealed(project, requester)
    read_all()
    assert told(lead) == ["approval.requested"]
    assert told(requester) == []


def test_what_happened_days_ago_is_told_to_nobody(project, requester, lead):
    """As after a restore whose place in the log lies before all there is."""
    old = sealed(project, requester).task
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE agents_event DISABLE TRIGGER append_only")
        Event.objects.filter(task=old).update(at=timezone.now() - telling.NEWS)
        cursor.execute("ALTER TABLE agents_event ENABLE TRIGGER append_only")
    sealed(project, requester)
    read_all()
    assert told(lead) == ["approval.requested"]
    assert Notice.objects.get().task != old
