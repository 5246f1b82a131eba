"""Every page as the people who may open it, and as those who may not."""

from __future__ import annotations

import re

import pytest
from django.utils import timezone

from tests import console_fixtures as fixtures


@pytest.fixture
def review(project, requester, lead):
    return fixtures.reviewed_task(project, requester)


def paths_of(made) -> list[str]:
    number = made.task.number
    return [
        "/new",
        "/tasks",
        "/tasks?tab=sign-off",
        "/tasks?tab=done&mine=1",
        f"/tasks/T-{number}",
        f"/tasks/T-{number}?tab=events&view=list",
        f"/tasks/T-{number}?tab=errors",
        f"/tasks/T-{number}/live",
        "/inbox",
        "/inbox?tab=with-agents",
        "/inbox?tab=decided",
        "/inbox/live",
        f"/review/T-{number}/r1",
        f"/review/T-{number}/r1?diff=unified",
        f"/review/T-{number}/r1/live",
        "/memory",
        "/memory?state=proposed",
        "/settings",
        "/jump",
        "/jump?q=bill",
        "/live",
    ]


def test_every_page_opens_for_requester_and_lead(client, review, requester, lead):
    for person in (requester, lead):
        client.force_login(person)
        for path in paths_of(review):
            answer = client.get(path)
            assert answer.status_code == 200, (person, path)


def test_an_anonymous_visitor_is_sent_to_sign_in(client, review):
    for path in paths_of(review):
        answer = client.get(path)
        assert answer.status_code == 302, path
        assert answer["Location"].startswith("/sign-in?next="), path


def test_a_stranger_gets_the_same_404_as_for_a_task_that_is_not_there(client, review, stranger):
    client.force_login(stranger)
    number = review.task.number
    foreign = client.get(f"/tasks/T-{number}")
    absent = client.get("/tasks/T-999999")
    assert foreign.status_code == absent.status_code == 404
    assert foreign.content == absent.content
    for path in (
        f"/tasks/T-{number}/live",
        f"/review/T-{number}/r1",
        f"/review/T-{number}/r1/live",
    ):
        assert client.get(path).status_code == 404, path
    for path in ("/tasks?tab=sign-off", "/inbox", "/jump?q=billing", "/memory", "/live"):
        assert review.task.title not in client.get(path).content.decode(), path


def test_the_inbox_groups_what_a_person_is_asked(client, project, requester, lead):
    review = fixtures.reviewed_task(project, requester)
    stopped = fixtures.stopped_task(project, requester)
    stale = fixtures.reviewed_task(project, requester, title="Cache prices")
    stale.approval.move("stale", decided_at=timezone.now(), reason="Main moved.")
    client.force_login(lead)
    page = client.get("/inbox").content.decode()
    for words in ("Stopped, needs an answer", "Ended undecided", "Later", "Cache prices"):
        assert words in page, words
    assert f"/review/T-{review.task.number}/r1" in page
    assert f"/tasks/T-{stopped.task.number}" in page
    assert 'data-inbox="3"' in page


def test_a_requester_sees_their_own_review_nowhere_in_the_inbox(client, review, requester):
    client.force_login(requester)
    page = client.get("/inbox").content.decode()
    assert "Nothing waits for you." in page
    assert f"/review/T-{review.task.number}" not in page


def test_a_chosen_row_is_looked_at_beside_the_list(client, project, requester, lead):
    first = fixtures.reviewed_task(project, requester)
    second = fixtures.reviewed_task(project, requester, title="Cache prices")
    client.force_login(lead)
    page = client.get("/inbox", {"at": str(second.approval.pk)}).content.decode()
    peek = page[page.index('id="peek"') :]
    assert "Cache prices" in peek
    assert f"T-{second.task.number}" in peek
    for nonsense in ("x", str(first.task.pk), "' or 1=1"):
        assert client.get("/inbox", {"at": nonsense}).status_code == 200


def test_a_long_list_of_tasks_goes_on_from_a_cursor(client, project, requester):
    tasks = [fixtures.make_task(project, requester, title=f"Task {n:02}") for n in range(32)]
    client.force_login(requester)
    page = client.get("/tasks").content.decode()
    assert "Task 31" in page
    assert "Task 01" not in page
    cursor = str(tasks[2].pk)
    assert f"after={cursor}" in page
    rest = client.get("/tasks", {"after": cursor}, headers={"HX-Request": "true"})
    assert "Task 01" in rest.content.decode()
    assert "<html" not in rest.content.decode()
    assert client.get("/tasks", {"after": "nonsense"}).status_code == 200


@pytest.mark.parametrize(
    "query",
    ["?round=0", "?round=99", "?round=x", "?agent=x", "?tab=x&view=x", "?tab=events&before=-1"],
)
def test_nonsense_in_the_address_of_a_task_is_ignored(client, review, requester, query):
    client.force_login(requester)
    assert client.get(f"/tasks/T-{review.task.number}{query}").status_code == 200


@pytest.mark.parametrize("number", ["0", "99999999999999999999", "9223372036854775808"])
def test_numbers_no_task_can_have_are_not_found(client, review, requester, number):
    client.force_login(requester)
    assert client.get(f"/tasks/T-{number}").status_code == 404
    assert client.get(f"/review/T-{number}/r1").status_code == 404
    assert client.get(f"/review/T-{review.task.number}/r{number}").status_code == 404


def test_a_task_in_each_state_has_a_page(client, project, requester, lead):
    client.force_login(requester)
    ends = {"done": "Done", "rejected": "Rejected", "cancelled": "Stopped", "failed": "Failed"}
    for state, word in ends.items():
        made = fixtures.reviewed_task(project, requester)
        type(made.task).objects.filter(pk=made.task.pk).update(
            state=state, finished_at=timezone.now(), reason="For the record."
        )
        page = client.get(f"/tasks/T-{made.task.number}").content.decode()
        assert word in page, state
    queued = fixtures.make_task(project, requester)
    page = client.get(f"/tasks/T-{queued.number}").content.decode()
    assert "no plan yet" in page


def test_each_check_page_answers_whether_main_moved(client, review, lead, stranger):
    client.force_login(lead)
    address = f"/review/T-{review.task.number}/r1/main"
    assert "could not ask" in client.get(address).content.decode()
    client.force_login(stranger)
    assert client.get(address).status_code == 404


def test_what_a_page_waits_for_before_it_is_painted_is_on_it(client, review, requester):
    client.force_login(requester)
    page = client.get(f"/tasks/T-{review.task.number}").content.decode()
    waited = re.findall(r'<link rel="expect" href="#([a-z-]+)" blocking="render">', page)
    assert waited == ["activity"]
    assert page.count('id="activity"') == 1
