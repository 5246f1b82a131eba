"""Edit, then approve, as it comes in over the API and on a page."""

from __future__ import annotations

import pytest

from approvals import policies
from approvals.editing import edit
from approvals.models import Approval, Edit
from projects.models import Membership
from tests.api_fixtures import by_session, by_token
from tests.approval_fixtures import make_repository
from tests.editing_fixtures import DOCS, TEXT, checked_anew, editable

pytestmark = pytest.mark.django_db


@pytest.fixture
def change(project, requester, lead, second_lead, tmp_path, settings) -> Approval:
    settings.DATA_DIR = tmp_path / "data"
    make_repository(tmp_path, project)
    return editable(project, requester, tmp_path)


URL = "/api/v1/approvals"


def test_the_api_takes_an_edit_in_person_only(change, lead, stranger):
    body = {"digest": change.digest, "path": DOCS, "text": TEXT}
    address = f"{URL}/{change.pk}/edits"
    assert by_token(lead).post(address, body).status_code == 403
    assert by_session(stranger).post(address, body).status_code == 404
    for wrong, status in (
        ({"digest": "0" * 64}, 422),
        ({"path": "../x"}, 400),
        ({"text": 5}, 400),
        ({"text": "Tax is rounded half even, once.\n"}, 400),
        ({"mode": "100755"}, 400),
    ):
        assert by_session(lead).post(address, body | wrong).status_code == status, wrong
    assert Approval.objects.get(pk=change.pk).state == "pending"
    assert not Edit.objects.exists()
    answer = by_session(lead).post(address, body)
    assert answer.status_code == 202
    assert answer.json()["links"]["console"].endswith(f"/review/{change.task.label}/r1")
    assert by_session(lead).post(address, body).status_code == 409


def test_the_api_takes_a_file_as_long_as_one_may_be(change, lead):
    address = f"{URL}/{change.pk}/edits"
    body = {"digest": change.digest, "path": DOCS}
    longer = by_session(lead).post(address, {**body, "text": "x" * 200_001})
    assert (longer.status_code, list(longer.json()["errors"])) == (400, ["text"])
    much = by_session(lead).post(address, {**body, "text": "x" * 1_100_000})
    assert much.status_code == 413
    assert "may have 1024 KiB" in much.json()["detail"]
    assert not Edit.objects.exists()
    assert by_session(lead).post(address, {**body, "text": "x" * 199_000}).status_code == 202


def test_what_is_refused_for_its_length_is_not_searched(client, change, lead):
    client.force_login(lead)
    sent = {"approval": change.pk, "digest": change.digest, "path": DOCS}
    address = f"/review/{change.task.label}/r1/edit"
    short = client.post(address, {**sent, "digest": "0" * 64, "text": "a\u200bb"})
    assert "U+200B" in short.content.decode()
    long = client.post(address, {**sent, "text": "a\u200bb" * 100_000})
    assert long.status_code == 400
    assert "at most 200,000 bytes" in long.content.decode()
    assert "U+200B" not in long.content.decode().replace("a\u200bb" * 100_000, "")


def test_the_page_says_before_an_edit_that_nobody_could_sign_it(
    client, change, project, lead, second_lead
):
    policies.change(project, by=lead, money_paths=["docs/**"])
    Membership.objects.filter(user=second_lead).delete()
    client.force_login(lead)
    answer = page_of(client, change, "/edit", path=DOCS)
    assert answer.status_code == 403
    assert "Nobody else may sign this" in answer.content.decode()
    assert "<textarea" not in answer.content.decode()


def page_of(client, change, act: str = "", **query):
    return client.get(f"/review/{change.task.label}/r1{act}", query)


def test_a_file_is_edited_on_a_page_without_javascript(client, change, lead, second_lead):
    client.force_login(lead)
    review = page_of(client, change).content.decode()
    assert f"/review/{change.task.label}/r1/edit?path=docs%2Frounding.md" in review
    form = page_of(client, change, "/edit", path=DOCS).content.decode()
    assert ">\nTax is rounded half even, once.\n</textarea>" in form
    sent = {"approval": change.pk, "digest": change.digest, "path": DOCS, "text": TEXT}
    address = f"/review/{change.task.label}/r1/edit"
    assert client.post(address, sent).status_code == 302
    waits = page_of(client, change).content.decode()
    assert "The platform checks it now" in waits
    assert 'id="decision"' not in waits
    new = checked_anew(change)
    shown = page_of(client, new).content.decode()
    assert "of the version before" in shown
    assert 'id="decision"' in shown
    late = client.post(address, sent | {"text": "Too late, and kept.\n"})
    assert late.status_code == 409
    assert "Too late, and kept." in late.content.decode()
    assert "open the newest version" in late.content.decode()


@pytest.mark.parametrize(
    ("path", "status"), [("README.md", 400), ("../x", 400), ("", 400), (DOCS, 200)]
)
def test_the_page_says_why_a_file_is_not_edited(client, change, lead, path, status):
    client.force_login(lead)
    answer = page_of(client, change, "/edit", path=path)
    assert answer.status_code == status
    assert ("<textarea" in answer.content.decode()) is (status == 200)


def test_others_do_not_edit_on_the_page(client, change, requester, stranger):
    client.force_login(requester)
    assert page_of(client, change, "/edit", path=DOCS).status_code == 403
    assert "data-edit" not in page_of(client, change).content.decode()
    client.force_login(stranger)
    assert page_of(client, change, "/edit", path=DOCS).status_code == 404


def test_every_place_says_edited_by_whom_and_leads_to_what_came_after(
    client, change, lead, second_lead
):
    edit(change, by=lead, digest=change.digest, path=DOCS, text=TEXT)
    client.force_login(second_lead)
    decided = client.get("/inbox", {"tab": "decided"}).content.decode()
    assert "Stale" not in decided
    assert "Edited" in decided
    assert f"{lead.display_name}, " in decided
    assert "A new version is checked" in decided
    assert "edited" in client.get(f"/tasks/{change.task.label}").content.decode()
    new = checked_anew(change)
    decided = client.get("/inbox", {"tab": "decided"}).content.decode()
    assert f'href="/review/{change.task.label}/r1">Show the newer version</a>' in decided
    review = page_of(client, new).content.decode()
    assert "Edited" in review
    assert "Stale" not in review


def test_what_somebody_edits_is_marked_in_an_open_inbox(client, change, lead, second_lead):
    client.force_login(second_lead)
    edit(change, by=lead, digest=change.digest, path=DOCS, text=TEXT)
    live = client.get("/inbox/live", {"shown": change.pk.hex}).content.decode()
    assert "<span>Edited</span>" in live
    assert lead.display_name in live


def test_the_admin_says_edited_too(admin_client, change, lead):
    edit(change, by=lead, digest=change.digest, path=DOCS, text=TEXT)
    for address in ("", f"{change.pk}/change/"):
        shown = admin_client.get(f"/admin/approvals/approval/{address}").content.decode()
        assert ">Edited<" in shown, address
