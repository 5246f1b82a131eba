"""How often the pages of one task ask the database, however much there is of it."""

from __future__ import annotations

import pytest
from django.utils import timezone

from agents.lifecycle import EscalationState
from agents.models import Escalation, Hold, HoldScope, Task
from agents.models.tasks import Choice
from approvals.lifecycle import ApprovalState
from approvals.models import Comment, Effect, Signature
from tests import console_fixtures as fixtures
from tests.approval_fixtures import approve

pytestmark = pytest.mark.django_db
MOST = 12


@pytest.fixture
def asks_little(client, django_assert_max_num_queries):
    """Return what opens pages as a person, and refuses one that asks more than twelve times."""

    def opened(person, *paths: str):
        client.force_login(person)
        for path in paths:
            client.get(path)  # the session is written once
            with django_assert_max_num_queries(MOST, info=path):
                answer = client.get(path)
            assert answer.status_code == 200, path
        return answer.content.decode()

    return opened


@pytest.fixture
def lessons(project, lead):
    return [fixtures.make_lesson(project, lead, content=f"Lesson {n}.") for n in range(3)]


def _enrich(made: fixtures.Made, lead) -> None:
    """Give a task questions between agents, more tries, notes, warnings and a wide hold."""
    coder = made.steps["coder"]
    for n in range(6):
        fixtures.make_step(
            made.task, f"ask-{n}", "tester", "Why?", kind="answer", asked_by=coder, depth=1
        )
        fixtures.use_tool(coder, "read_file", "48 lines", path=f"billing/{n}.py")
        fixtures.say(made.steps["writer"], f"Page {n} says so.")
    made.task.record("limit.warned", {"rule": "price", "detail": "No price is known."})
    Hold.objects.create(scope=HoldScope.EVERYTHING, placed_by=lead, reason="Wait.")


def _pages(made: fixtures.Made) -> list[str]:
    path = f"/tasks/{made.task.label}"
    tabs = [f"{path}?tab={tab}" for tab in ("steps", "events", "errors")]
    return [*tabs, f"{path}?view=list&round=1", f"{path}/live?tab=events&after=2", f"{path}/live"]


def test_a_task_that_runs(asks_little, project, requester, lead, lessons):
    made = fixtures.running_task(project, requester)
    _enrich(made, lead)
    for lesson in lessons:
        fixtures.use_lesson(lesson, made)
    for person in (requester, lead):
        page = asks_little(person, *_pages(made))
    assert "Lesson 2." in page
    assert "Why?" in page


def test_a_task_of_a_dozen_finished_steps(asks_little, project, requester, lead):
    made = fixtures.running_task(project, requester)
    for n in range(12):
        fixtures.make_step(made.task, f"more-{n}", "coder", f"Do part {n}")
    page = asks_little(requester, f"/tasks/{made.task.label}")
    assert page.count("Do part 1") >= 1


def test_a_task_that_waits_for_answers(asks_little, project, requester, lead):
    made = fixtures.stopped_task(project, requester)
    for n in range(4):
        step = fixtures.make_step(
            made.task, f"stuck-{n}", "coder", f"Part {n}", state="waiting_human"
        )
        fixtures.use_tool(step, "run_checks", "2 failed", state="failed", command="unittest")
        Escalation.objects.create(
            task=made.task,
            step=step,
            rule="no_progress",
            detail=f"Part {n} does not get on.",
            options=["retry_with_note", "reassign", "take_over", "go_on_without", "stop"],
            state=EscalationState.OPEN,
        )
    _enrich(made, lead)
    page = asks_little(requester, *_pages(made))
    assert "Part 3" in page
    assert page.count("Another agent begins") == 4  # each may be given to somebody else


def test_a_task_in_its_second_round_and_its_review(
    asks_little, project, requester, lead, second_lead, lessons
):
    made = fixtures.reviewed_task(project, requester)
    fixtures.use_lesson(lessons[0], made)
    _send_back(made, second_lead)
    others = [fixtures.reviewed_task(project, requester) for _ in range(3)]
    again = fixtures.next_round(made)
    _enrich(again, lead)
    for person in (requester, lead):
        asks_little(person, *_pages(again))
        asks_little(person, f"/review/{made.task.label}/r1")
        page = asks_little(person, f"/review/{made.task.label}/r2")
        assert "Say it plainly" in page
        asks_little(person, f"/review/{made.task.label}/r2/live")
    assert len(others) == 3


def test_a_task_that_is_done_and_its_review(asks_little, project, requester, lead):
    made = fixtures.reviewed_task(project, requester)
    approve(made.approval, lead)
    review = f"/review/{made.task.label}/r1"
    asks_little(lead, *_pages(made), f"{review}/live")
    assert "Undo" in asks_little(lead, review)
    Effect.objects.update(
        state="done",
        started_at=timezone.now(),
        finished_at=timezone.now(),
        result={"commit": "ab" * 20},
    )
    Task.objects.filter(pk=made.task.pk).update(state="done", finished_at=timezone.now())
    page = asks_little(requester, f"/tasks/{made.task.label}")
    assert "Merged as" in page
    assert "3 files" in page
    asks_little(lead, review)


def test_a_review_by_somebody_who_did_a_part_of_it(asks_little, project, requester, lead):
    made = fixtures.reviewed_task(project, requester)
    Escalation.objects.create(
        task=made.task,
        step=made.steps["coder"],
        rule="max_turns",
        detail="All turns are used.",
        options=["take_over", "stop"],
        state=EscalationState.RESOLVED,
        choice=Choice.TAKE_OVER,
        resolved_by=lead,
        resolved_at=timezone.now(),
    )
    page = asks_little(lead, f"/review/{made.task.label}/r1")
    assert "You did a part of this work yourself (“Round tax once”)" in page


def _send_back(made: fixtures.Made, lead) -> None:
    approval = made.approval
    assert approval is not None
    Signature.objects.create(
        approval=approval,
        signer=lead,
        requester=approval.requester,
        verdict="request_changes",
        digest=approval.digest,
        nonce=approval.nonce,
        note="Say it plainly.",
    )
    for number, file in enumerate(made.proposal.files.all()):
        Comment.objects.create(
            approval=approval,
            hunk=file.hunks.get(),
            author=lead,
            verdict="refuse" if number else "accept",
            note="Say it plainly.",
            goes_to=made.steps["writer"].agent if number else None,
        )
    approval.move(ApprovalState.CHANGES_REQUESTED, decided_at=timezone.now(), decided_by=lead)
