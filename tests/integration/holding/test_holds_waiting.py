"""A pause of a task that waits for a person is told on its pages, and lifted from them."""

from __future__ import annotations

import pytest

from agents import holds
from agents.lifecycle import TaskState
from agents.models import Hold
from tests import console_fixtures as fixtures
from tests.approval_fixtures import view_all

pytestmark = pytest.mark.django_db
SAID = "what is approved is carried out when the task is resumed"


@pytest.fixture
def page_of(client):
    def opened(person, path: str) -> str:
        client.force_login(person)
        answer = client.get(path)
        assert answer.status_code == 200
        return " ".join(answer.content.decode().split())

    return opened


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (fixtures.reviewed_task, "Waits for your signature"),
        (fixtures.stopped_task, "Stopped: "),
    ],
)
def test_task_page_tells_it_beside_the_state(page_of, project, requester, lead, make, word):
    made = make(project, requester)
    url = f"/tasks/{made.task.label}"
    assert f'action="{url}/pause"' in page_of(lead, url)
    holds.place(by=requester, task=made.task)
    for path in (url, f"{url}/live"):
        shown = page_of(lead, path)
        state = shown.partition('class="facts-state"')[2].partition('class="head-link"')[0]
        assert word in state
        assert "Paused by Mira Ode" in state
        assert "since <time" in state
        assert f'action="{url}/resume"' in shown
        assert f'action="{url}/pause"' not in shown
    assert "Paused by Mira Ode. " in page_of(lead, "/tasks")


def test_task_page_keeps_the_way_to_the_review(page_of, project, requester, lead):
    made = fixtures.reviewed_task(project, requester)
    holds.place(by=requester, task=made.task)
    shown = page_of(lead, f"/tasks/{made.task.label}")
    assert "Paused: an approval is carried out when the task is resumed." in shown
    assert "Review and decide" in shown


def test_review_page_tells_it_and_resumes(client, page_of, project, requester, lead, stranger):
    made = fixtures.reviewed_task(project, requester)
    url = f"/review/{made.task.label}/r1"
    assert "Paused by" not in page_of(lead, url)
    hold = holds.place(by=requester, task=made.task)
    project.memberships.create(user=stranger, role="requester")
    lift = f'action="/operations/holds/{hold.pk}/lift"'
    for path in (url, f"{url}/live"):
        assert lift not in page_of(stranger, path)
        shown = page_of(lead, path)
        assert "Paused by Mira Ode" in shown
        assert SAID in shown
        assert lift in shown
        assert f'name="next" value="{url}"' in shown
    client.post(f"/operations/holds/{hold.pk}/lift", {"next": url})
    assert not Hold.objects.open().exists()
    assert "Paused by" not in page_of(lead, url)


def test_wider_hold_says_when_it_goes_on(page_of, project, requester, lead, admin):
    made = fixtures.reviewed_task(project, requester)
    holds.place(by=admin)
    shown = page_of(lead, f"/review/{made.task.label}/r1")
    assert "what is approved is carried out when the hold is lifted" in shown
    assert "Waits for your signature" in page_of(lead, f"/tasks/{made.task.label}")


@pytest.mark.parametrize(
    ("verdict", "said", "rail"),
    [
        (
            "approve",
            "Approved. It is carried out when the task is resumed.",
            "Carried out when the task is resumed",
        ),
        (
            "request_changes",
            "Sent back. The next round begins when the task is resumed.",
            "Round 2 begins when the task is resumed",
        ),
    ],
)
def test_decision_on_a_paused_task_says_what_it_waits_for(
    client, page_of, project, requester, lead, verdict, said, rail
):
    made = fixtures.reviewed_task(project, requester)
    view_all(made.approval, lead)
    holds.place(by=requester, task=made.task)
    client.force_login(lead)
    form = {
        "approval": made.approval.pk,
        "digest": made.approval.digest,
        "nonce": made.approval.nonce,
        "verdict": verdict,
        "note": "Say it plainly.",
    }
    answer = client.post(f"/review/{made.task.label}/r1/decide", form, follow=True)
    shown = " ".join(answer.content.decode().split())
    assert said in shown
    assert rail in page_of(requester, f"/review/{made.task.label}/r1")


def test_a_pause_of_what_is_over_is_not_told(page_of, project, requester, lead):
    made = fixtures.reviewed_task(project, requester)
    holds.place(by=requester, task=made.task)
    made.task.refresh_from_db()
    made.task.move(TaskState.CANCELLED, kind="task.finished")
    for path in (f"/tasks/{made.task.label}", f"/review/{made.task.label}/r1", "/tasks?tab=done"):
        assert "Paused by" not in page_of(lead, path)
