"""Approvals over the API: the sealed snapshot, one decision in person, undo, propose again."""

from __future__ import annotations

import uuid

import pytest

from approvals import sealing
from approvals.models import Approval, Comment, Effect, Signature
from tests.api_fixtures import by_session, by_token
from tests.approval_fixtures import make_change, make_report, make_repository, move_main, view_all

URL = "/api/v1/approvals"


@pytest.fixture
def bare(tmp_path, project, settings):
    settings.DATA_DIR = tmp_path / "data"
    return make_repository(tmp_path, project)


@pytest.fixture
def approval(bare, tmp_path, project, requester, lead) -> Approval:
    """Return a change whose files the lead has looked at."""
    made = sealing.seal(make_change(project, requester, tmp_path))
    view_all(made, lead)
    return made


def decision(approval, verdict="approve", **more):
    sealed = {"digest": approval.digest, "nonce": approval.nonce}
    return {"verdict": verdict, **sealed, **more}


def sign(call, approval, verdict="approve", **more):
    return call.post(f"{URL}/{approval.pk}/signatures", decision(approval, verdict, **more))


def test_an_approval_is_listed_and_shown_whole(approval, lead):
    call = by_token(lead)
    [row] = call.get(f"{URL}?state=pending").json()["results"]
    assert (row["id"], row["state"]) == (str(approval.pk), "pending")
    assert call.get(f"{URL}?state=approved").json()["results"] == []
    shown = call.get(f"{URL}/{approval.pk}").json()
    assert shown["snapshot"] == approval.snapshot
    assert (shown["digest"], shown["nonce"]) == (approval.digest, approval.nonce)
    assert shown["policy"]["version"] == 1
    assert shown["expires_at"]
    assert shown["refusal"].startswith("A token never decides")
    assert by_session(lead).get(f"{URL}/{approval.pk}").json()["refusal"] == ""


def test_its_console_link_is_its_review_page(approval, lead):
    links = by_token(lead).get(f"{URL}/{approval.pk}").json()["links"]
    assert links["console"] == f"http://testserver/review/{approval.task.label}/r1"
    assert by_session(lead).client.get(links["console"]).status_code == 200


def test_a_lead_approves_once(approval, lead, second_lead):
    answer = sign(by_session(lead), approval)
    assert answer.status_code == 201
    assert (answer.json()["verdict"], answer.json()["state"]) == ("approve", "approved")
    again = sign(by_session(second_lead), approval)
    assert (again.status_code, again.json()["state"]) == (409, "approved")
    assert Signature.objects.count() == 1


def test_a_note_on_a_hunk_goes_back_with_the_request_for_changes(approval, lead):
    hunk = approval.snapshot["files"][0]["hunks"][0]["id"]
    notes = [{"id": hunk, "verdict": "refuse", "note": "Round half even"}]
    answer = sign(by_session(lead), approval, "request_changes", note="Nearly", hunks=notes)
    assert (answer.status_code, answer.json()["state"]) == (201, "changes_requested")
    assert Comment.objects.filter(hunk=hunk, note="Round half even").exists()


@pytest.mark.parametrize(
    ("who", "status"), [("requester", 403), ("stranger", 404), ("admin", 404), ("lead", 201)]
)
def test_who_may_sign(request, approval, who, status):
    answer = sign(by_session(request.getfixturevalue(who)), approval)
    assert answer.status_code == status
    approval.refresh_from_db()
    assert (approval.state == "approved") is (status == 201)


def test_a_token_never_signs(approval, lead):
    answer = sign(by_token(lead), approval)
    assert answer.status_code == 403
    assert not Signature.objects.exists()


@pytest.mark.parametrize("field", ["digest", "nonce"])
def test_another_digest_or_nonce_is_422_and_changes_nothing(approval, lead, field):
    answer = sign(by_session(lead), approval, **{field: "0" * 64})
    assert answer.status_code == 422
    assert not Signature.objects.exists()


def test_a_stale_approval_is_409_and_nothing_is_merged(bare, approval, lead):
    move_main(bare)
    answer = sign(by_session(lead), approval)
    assert answer.status_code == 409
    assert not Effect.objects.exists()
    assert not Signature.objects.exists()


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"verdict": "merge"}, "verdict"),
        ({"verdict": ["approve"]}, "verdict"),
        ({"verdict": None}, "verdict"),
        ({"digest": 5}, "digest"),
        ({"nonce": "\0"}, "nonce"),
        ({"note": "\ud800"}, "note"),
        ({"note": "x" * 5_001}, "note"),
        ({"hunks": "all"}, "hunks"),
        ({"hunks": [5]}, "hunks.0"),
        ({"hunks": [{"verdict": "accept"}]}, "hunks.0.id"),
        ({"hunks": [{"id": "x", "verdict": "maybe"}]}, "hunks.0.verdict"),
        ({"hunks": [{"id": "x", "state": 1}]}, "hunks.0.state"),
        ({"hunks": [{"id": "none", "verdict": "accept"}]}, "hunks"),
        ({"signer": "dana"}, "signer"),
        ({"state": "approved"}, "state"),
        ({"keep_lesson": "yes"}, "keep_lesson"),
    ],
)
def test_a_bad_decision_names_the_field_and_changes_nothing(approval, lead, more, field):
    answer = by_session(lead).post(
        f"{URL}/{approval.pk}/signatures", {**decision(approval), **more}
    )
    assert answer.status_code == 400
    named = list(answer.json()["errors"])
    assert named == [field] or (field == "hunks.0" and named[0].startswith(field))
    assert not Signature.objects.exists()


def test_an_approval_is_undone_inside_its_window_only_once(approval, lead):
    call = by_session(lead)
    sign(call, approval)
    answer = call.post(f"{URL}/{approval.pk}/undo")
    assert (answer.status_code, answer.json()["state"]) == (200, "withdrawn")
    again = call.post(f"{URL}/{approval.pk}/undo")
    assert (again.status_code, again.json()["state"]) == (409, "withdrawn")


def test_what_was_not_approved_is_not_undone(approval, lead, requester):
    assert by_session(lead).post(f"{URL}/{approval.pk}/undo").status_code == 409
    assert by_session(requester).post(f"{URL}/{approval.pk}/undo").status_code == 403


def test_only_a_stale_approval_is_proposed_again(approval, lead):
    answer = by_session(lead).post(f"{URL}/{approval.pk}/propose-again")
    assert (answer.status_code, answer.json()["state"]) == (409, "pending")


def test_a_decision_by_get_does_nothing(approval, lead):
    for act in ("signatures", "undo", "propose-again"):
        assert by_session(lead).get(f"{URL}/{approval.pk}/{act}").status_code == 405
    approval.refresh_from_db()
    assert approval.state == "pending"


def test_a_session_without_csrf_decides_nothing(approval, lead):
    assert sign(by_session(lead, csrf=True), approval).status_code == 403
    assert not Signature.objects.exists()


def test_lists_are_paged(project, requester, lead):
    made = [sealing.seal(make_report(project, requester)) for _ in range(3)]
    call, url, seen = by_token(lead), f"{URL}?limit=1", []
    while url:
        answer = call.get(url.removeprefix("http://testserver")).json()
        seen += [row["id"] for row in answer["results"]]
        url = answer["next"]
    assert seen == [str(each.pk) for each in reversed(made)]


def test_an_unknown_approval_is_404(lead):
    call = by_session(lead)
    assert call.get(f"{URL}/{uuid.uuid4()}").status_code == 404
    body = {"verdict": "approve", "digest": "x", "nonce": "x"}
    assert call.post(f"{URL}/{uuid.uuid4()}/signatures", body).status_code == 404
