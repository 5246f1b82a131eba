"""Every page as the people who may open it, and as those who may not."""

from __future__ import annotations

import pytest

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
