"""What a newcomer stumbled over: pages that said too little, too much or the wrong thing."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from agents.events import Kind
from agents.lifecycle import EscalationState
from agents.models import Attempt, Escalation, Event
from approvals import policies, sealing
from approvals.models import Approval
from approvals.policies import Rule
from approvals.undoing import undo
from memory.models import Memory
from tests import console_fixtures as fixtures
from tests.approval_fixtures import make_report
from tests.reviewing import decide

pytestmark = pytest.mark.django_db

PRICE = {"rule": "price", "attempt": 1, "detail": "The price of x is not known."}


def say_of(client, path: str) -> str:
    return client.get(path).content.decode()


def text_of(client, path: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", "", say_of(client, path)).split())


@pytest.mark.parametrize("path", ["/tasks", "/inbox", "/new"])
def test_an_admin_without_a_project_is_led_to_the_admin(client, admin, path):
    client.force_login(admin)
    page = say_of(client, path)
    assert 'data-socket=""' in page
    assert "You belong to no project." in page
    assert 'href="/admin/"' in page
    assert "No task is running" not in page


def test_only_staff_see_the_way_to_the_admin(client, lead, stranger):
    for person in (lead, stranger):
        client.force_login(person)
        assert 'href="/admin/"' not in say_of(client, "/tasks")


def test_an_unknown_price_is_not_shown_as_no_cost(client, project, requester, lead, admin):
    made = fixtures.reviewed_task(project, requester, model="openai:x")
    made.task.record(Kind.LIMIT_WARNED, PRICE, step=made.steps["coder"])
    client.force_login(lead)
    for path in (f"/tasks/T-{made.task.number}", f"/review/T-{made.task.number}/r1", "/inbox"):
        page = say_of(client, path)
        assert "price unknown" in page, path
        assert "$0.00" not in page, path
        assert "modelprofile" not in page, path


def test_a_task_that_waits_for_people_stays_among_the_active_ones(client, project, requester, lead):
    review = fixtures.reviewed_task(project, requester)
    stopped = fixtures.stopped_task(project, requester)
    running = fixtures.running_task(project, requester)
    client.force_login(requester)
    page = say_of(client, "/tasks")
    places = [page.index(f"row-{made.task.pk}") for made in (stopped, review, running)]
    assert places == sorted(places)
    assert re.search(r'Active <span class="count">3</span>', page)
    assert re.search(r'class="nav-count">3<', page)
    assert "Needs a person" in page
    assert f"row-{running.task.pk}" not in say_of(client, "/tasks?tab=sign-off")


def test_the_inbox_counts_a_stopped_task_the_same_everywhere(client, project, requester, lead):
    fixtures.stopped_task(project, requester, rule="blocked")
    client.force_login(lead)
    page = say_of(client, "/inbox")
    assert re.search(r'class="nav-pill">1<', page)
    assert re.search(r'Needs you <span class="count">1</span>', page)
    assert "1 needs you." in page
    assert ">Limit<" not in page


def test_an_approval_taken_back_is_not_counted_as_decided(client, project, requester, lead):
    approval = sealing.seal(make_report(project, requester))
    seen = {"digest": approval.digest, "nonce": approval.nonce}
    decide(approval.pk, by=lead, verdict="approve", **seen)
    client.force_login(lead)
    assert "You decided 1 today." in say_of(client, "/inbox")
    undo(approval, by=lead)
    assert "You decided" not in say_of(client, "/inbox")


def test_both_open_questions_of_a_task_are_shown(client, project, requester):
    made = fixtures.stopped_task(project, requester)
    second = Escalation.objects.create(
        task=made.task,
        step=made.steps["writer"],
        rule="blocked",
        detail="The second question.",
        options=["retry_with_note", "stop"],
        state=EscalationState.OPEN,
    )
    client.force_login(requester)
    page = say_of(client, f"/tasks/T-{made.task.number}")
    assert "The second question." in page
    assert page.count('class="card escalation"') == 2
    assert f'id="note-{second.pk}"' in page


def test_waiting_for_a_person_is_not_counted_as_work(client, project, requester, lead):
    made = fixtures.running_task(project, requester)
    now = timezone.now()
    step = made.steps["route"]
    Attempt.objects.filter(step=step).update(
        started_at=now - timedelta(hours=2), finished_at=now - timedelta(hours=2, seconds=-5)
    )
    Attempt.objects.create(
        step=step,
        number=2,
        worker="w",
        state="finished",
        started_at=now - timedelta(seconds=7),
        finished_at=now,
    )
    client.force_login(requester)
    page = say_of(client, f"/tasks/T-{made.task.number}")
    assert '<span class="event-took">12 s</span>' in page


def test_the_seal_holds_the_time_of_agents_only(project, requester, lead):
    made = fixtures.reviewed_task(project, requester)
    # The fixture's task began 109 s ago, but no event says that agents were at it.
    assert not Event.objects.filter(task=made.task, data__has_key="from", step=None).exists()
    assert made.approval.snapshot["usage"]["seconds"] == 0


@pytest.mark.parametrize(
    ("state", "heading"),
    [
        ("approved", "What was approved"),
        ("withdrawn", "What was proposed"),
        ("rejected", ""),
        ("changes_requested", ""),
    ],
)
def test_after_the_decision_the_page_says_what_happened(
    client, project, requester, lead, state, heading
):
    made = fixtures.reviewed_task(project, requester)
    facts = {"decided_at": timezone.now(), "decided_by": lead, "reason": "See the note."}
    Approval.objects.filter(pk=made.approval.pk).update(state=state, **facts)
    client.force_login(lead)
    page = say_of(client, f"/review/T-{made.task.number}/r1")
    assert "If you approve" not in page
    assert "Undo for" not in page
    assert ("effects-title" in page) == bool(heading)
    assert heading in page


def test_a_rejected_task_says_what_became_of_the_lesson(client, project, requester, lead):
    made = fixtures.reviewed_task(project, requester)
    approval = made.approval
    client.force_login(lead)
    seal = {"approval": approval.pk, "digest": approval.digest, "nonce": approval.nonce}
    fields = {**seal, "verdict": "reject", "note": "Refunds must stay."}
    assert client.post(f"/review/T-{made.task.number}/r1/decide", fields).status_code == 302
    path = f"/tasks/T-{made.task.number}"
    assert '<blockquote class="quote">Refunds must stay.</blockquote>' in say_of(client, path)
    assert "A lesson was proposed in" in say_of(client, path)
    Memory.objects.filter(source_task=made.task.pk).delete()
    assert "No lesson was kept." in say_of(client, path)


def test_an_answer_without_a_note_does_not_claim_one(client, project, requester):
    made = fixtures.stopped_task(project, requester)
    facts = {"by": "Mira Ode", "choice": "retry_with_note"}
    made.task.record(Kind.ESCALATION_RESOLVED, {**facts, "note": ""}, step=made.steps["coder"])
    client.force_login(requester)
    path = f"/tasks/T-{made.task.number}?tab=events"
    assert "chose: try again<" in say_of(client, path)
    made.task.record(Kind.ESCALATION_RESOLVED, {**facts, "note": "Look."}, step=made.steps["coder"])
    assert "chose: try again with a note" in say_of(client, path)


def test_who_hands_work_over_is_told_by_which_policy_it_is_signed(client, project, requester, lead):
    client.force_login(requester)
    told = f"of the policy of {project.name} asks for"
    assert f"Version 1 {told} 1 signature." in text_of(client, "/new")
    rules = [Rule(name="Docs", paths=["docs/**"], signers=[lead])]
    policies.change(project, by=lead, signatures_needed=2, rules=rules)
    page = text_of(client, "/new")
    assert f"Version 2 {told} 2 signatures; 1 rule may ask for more." in page
