"""What is refused has one status: a page and the API answer alike."""

from __future__ import annotations

import pytest

from approvals import policies
from approvals.models import Approval, Signature
from tests import console_fixtures
from tests.api_fixtures import by_session
from tests.approval_fixtures import make_repository, view_all
from tests.editing_fixtures import DOCS, TEXT, editable

pytestmark = pytest.mark.django_db


@pytest.fixture
def review(project, requester, lead, second_lead):
    return console_fixtures.reviewed_task(project, requester)


@pytest.fixture
def change(project, requester, lead, second_lead, tmp_path, settings) -> Approval:
    settings.DATA_DIR = tmp_path / "data"
    make_repository(tmp_path, project)
    return editable(project, requester, tmp_path)


def sealed(approval: Approval) -> dict[str, str]:
    return {"digest": approval.digest, "nonce": approval.nonce}


def both(client, person, approval: Approval, body: dict[str, str]) -> tuple[int, int]:
    """Decide on the page, then over the API; return the status of each."""
    client.force_login(person)
    page = client.post(f"/review/{approval.task.label}/r1/decide", body)
    return page.status_code, by_session(person).post(
        f"/api/v1/approvals/{approval.pk}/signatures", body
    ).status_code


def test_without_a_key_nothing_can_be_signed_now(client, review, lead, settings):
    settings.SIGNING_KEY = ""
    body = {**sealed(review.approval), "verdict": "approve"}
    assert both(client, lead, review.approval, body) == (503, 503)
    assert not Signature.objects.exists()


def test_rounds_that_are_used_up_are_a_conflict(client, review, lead):
    type(review.task).objects.filter(pk=review.task.pk).update(limits={"rounds": 1})
    body = {**sealed(review.approval), "verdict": "request_changes", "note": "Once more."}
    assert both(client, lead, review.approval, body) == (409, 409)
    assert not Signature.objects.exists()


def test_a_repository_that_cannot_be_read_is_away(client, change, lead, tmp_path):
    [store] = {path.parent for path in (tmp_path / "data").rglob("HEAD")}
    gone = store.rename(store.with_name("gone"))
    client.force_login(lead)
    at = f"/review/{change.task.label}/r1"
    body = {"digest": change.digest, "path": DOCS, "text": TEXT}
    assert client.get(f"{at}/edit", {"path": DOCS}).status_code == 503
    assert client.post(f"{at}/edit", body).status_code == 503
    answer = by_session(lead).post(f"/api/v1/approvals/{change.pk}/edits", body)
    assert (answer.status_code, answer.json()["title"]) == (503, "Not available now")
    assert Approval.objects.get().state == "pending"
    gone.rename(store)
    assert client.get(f"{at}/edit", {"path": DOCS}).status_code == 200


def test_the_first_of_two_signers_is_not_told_that_it_is_carried_out(
    client, project, requester, lead, second_lead
):
    policies.change(project, by=lead, signatures_needed=2)
    review = console_fixtures.reviewed_task(project, requester)
    for person in (lead, second_lead):
        view_all(review.approval, person)
    at = f"/review/{review.task.label}/r1"
    body = {**sealed(review.approval), "verdict": "approve"}
    client.force_login(lead)
    first = client.post(f"{at}/decide", body, follow=True).content.decode()
    assert "it waits for another signature" in first
    assert "Approved. Your name is on the signature line." not in first
    client.force_login(second_lead)
    second = client.post(f"{at}/decide", body, follow=True).content.decode()
    assert "Approved. Your name is on the signature line." in second
