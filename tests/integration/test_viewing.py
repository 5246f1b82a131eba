"""Files a reviewer has looked at: kept per person, file and blob, and asked for where the policy says so."""

from __future__ import annotations

import json

import pytest
from django.db import connection
from django.db.models.functions import Now

from agents.models import FileChange
from approvals import (
    consequences,
    effects,
    invariants,
    policies,
    sealing,
    signing,
    undoing,
    viewing,
)
from approvals.deciding import decide
from approvals.lifecycle import ApprovalState
from approvals.models import Effect, Signature, Viewed
from approvals.policies import Rule
from projects.exceptions import InvalidInput, NotAllowed
from projects.invariants import sql
from projects.models import AuditEntry
from tests.api_fixtures import by_session, by_token
from tests.approval_fixtures import (
    make_change,
    make_dangerous,
    make_repository,
    past_triggers,
    view_all,
)

pytestmark = pytest.mark.django_db

CODE, DOCS = "billing/invoice.py", "docs/rounding.md"


@pytest.fixture
def approval(project, requester, lead, tmp_path):
    make_repository(tmp_path, project)
    """Return a change of medium risk whose files a rule, and nothing else, asks to view."""
    rule = Rule(name="All of it", every_file_viewed=True)
    policies.change(project, by=lead, rules=[rule], every_file_from="rules")
    return sealing.seal(make_change(project, requester, tmp_path))


def sign(approval, by, verdict="approve"):
    facts = {"digest": approval.digest, "nonce": approval.nonce, "note": "Because."}
    decide(approval.pk, by=by, verdict=verdict, **facts)
    approval.refresh_from_db()


def test_nobody_approves_before_every_file_was_viewed(approval, lead, second_lead):
    with pytest.raises(InvalidInput, match="View 2 more files: billing/"):
        sign(approval, lead)
    viewing.mark(approval, CODE, by=lead)
    viewing.mark(approval, DOCS, by=second_lead)  # another's mark is not mine
    with pytest.raises(InvalidInput, match="View 1 more file: docs/"):
        sign(approval, lead)
    assert not approval.signatures.exists()
    viewing.mark(approval, DOCS, by=lead)
    sign(approval, lead)
    assert approval.state == ApprovalState.APPROVED


@pytest.mark.parametrize(
    ("terms", "asked"),
    [
        ({}, {"medium", "high"}),  # of a project from now on
        ({"every_file_from": "rules"}, set()),  # of a version from before
        ({"every_file_from": "high"}, {"high"}),
        ({"every_file_from": "low"}, {"low", "medium", "high"}),
    ],
)
def test_the_policy_asks_it_from_a_risk_on(project, requester, lead, tmp_path, terms, asked):
    make_repository(tmp_path, project)
    policies.change(project, by=lead, **terms)
    docs = {DOCS: "Tax is rounded once.\n"}
    made = [
        make_change(project, requester, tmp_path, texts=docs),
        make_change(project, requester, tmp_path),
        make_dangerous(project, requester, tmp_path),
    ]
    sealed = [sealing.seal(proposal) for proposal in made]
    assert [each.risk for each in sealed] == ["low", "medium", "high"]
    assert {e.risk for e in sealed if e.snapshot["policy"]["every_file_viewed"]} == asked
    high = sealed[-1]
    if asked:
        with pytest.raises(InvalidInput, match="View 2 more files"):
            decide(high.pk, by=lead, verdict="approve", **seal_of(high))
        view_all(high, lead)
    decide(high.pk, by=lead, verdict="approve", **seal_of(high), confirmation=high.task.label)


def test_a_version_from_before_goes_on_as_it_was(project, lead):
    assert policies.read_active(project).every_file_from == "medium"
    policies.active_policy(project)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE approvals_policy SET every_file_from = DEFAULT")
    assert policies.change(project, by=lead, undo_seconds=20).every_file_from == "rules"


def seal_of(approval):
    return {"digest": approval.digest, "nonce": approval.nonce}


@pytest.mark.parametrize("verdict", ["reject", "request_changes"])
def test_what_is_not_approved_needs_no_look(approval, lead, verdict):
    sign(approval, lead, verdict)
    assert approval.state != ApprovalState.PENDING


def test_a_mark_is_taken_back(approval, lead):
    viewing.mark(approval, CODE, by=lead)
    viewing.mark(approval, CODE, by=lead)
    assert viewing.viewed_by(lead, approval) == {CODE}
    viewing.mark(approval, CODE, by=lead, viewed=False)
    viewing.mark(approval, CODE, by=lead, viewed=False)
    assert viewing.viewed_by(lead, approval) == set()
    told = AuditEntry.objects.filter(action__startswith="file.").order_by("pk")
    assert [(each.action, each.detail) for each in told] == [
        ("file.viewed", {"path": CODE}),
        ("file.unviewed", {"path": CODE}),
    ]


@pytest.mark.parametrize("side", ["old_blob", "new_blob"])
def test_only_a_file_that_was_or_becomes_another_is_to_be_viewed_again(
    approval, project, requester, lead, tmp_path, side
):
    for path in (CODE, DOCS):
        viewing.mark(approval, path, by=lead)
    following = make_change(project, requester, tmp_path)
    FileChange.objects.filter(proposal=following, path=DOCS).update(**{side: "f" * 40})
    assert viewing.viewed_by(lead, sealing.seal(following)) == {CODE}


def test_a_path_that_is_not_changed_and_a_stranger_are_refused(approval, lead, stranger):
    with pytest.raises(InvalidInput, match="not part of the change"):
        viewing.mark(approval, "README.md", by=lead)
    with pytest.raises(NotAllowed):
        viewing.mark(approval, CODE, by=stranger)
    assert not Viewed.objects.exists()


def test_the_page_marks_a_file_with_and_without_scripts(client, approval, lead):
    client.force_login(lead)
    review = f"/review/{approval.task.label}/r1"
    assert "0 of 2" in client.get(review).content.decode()
    sent = {"path": DOCS, "viewed": "on"}
    answer = client.post(f"{review}/viewed", sent, headers={"HX-Request": "true"}).content.decode()
    assert 'aria-pressed="true"' in answer
    assert 'data-left="1"' in answer
    assert "1 of 2" in answer
    answer = client.post(f"{review}/viewed", {"path": CODE, "viewed": "on"})
    assert answer["Location"] == f"{review}#f1"
    page = client.get(review).content.decode()
    assert "2 of 2" in page
    assert page.count('aria-pressed="true"') == 2
    client.post(f"{review}/viewed", {"path": CODE, "viewed": "off"})
    assert viewing.viewed_by(lead, approval) == {DOCS}


def test_the_page_of_others_is_not_there_and_another_path_changes_nothing(
    client, approval, lead, stranger
):
    review = f"/review/{approval.task.label}/r1"
    client.force_login(stranger)
    assert client.post(f"{review}/viewed", {"path": CODE, "viewed": "on"}).status_code == 404
    client.force_login(lead)
    client.post(f"{review}/viewed", {"path": "/etc/passwd", "viewed": "on"})
    assert client.get(f"{review}/viewed").status_code == 405
    assert not Viewed.objects.exists()


def test_the_api_marks_files_of_a_person_never_of_a_token(approval, lead):
    address = f"/api/v1/approvals/{approval.pk}/viewed"
    client = by_session(lead)
    said = client.post(address, {"path": CODE})
    assert (said.status_code, said.json()) == (200, {"viewed": [CODE], "left": [DOCS]})
    said = client.post(address, {"path": CODE, "viewed": False})
    assert said.json() == {"viewed": [], "left": [CODE, DOCS]}
    said = client.post(address, {"path": "nowhere"})
    assert (said.status_code, list(said.json()["errors"])) == (400, ["path"])
    token = by_token(lead)
    refused = token.post(address, {"path": CODE})
    assert refused.status_code in {401, 403}
    assert not Viewed.objects.exists()


def test_a_mark_falls_on_what_was_looked_at_not_on_what_came_since(client, approval, lead):
    for path in (CODE, DOCS):
        viewing.mark(approval, path, by=lead)
    sign(approval, lead)
    newer = undoing.undo(approval, by=lead)
    viewing.mark(newer, CODE, by=lead, viewed=False)
    # The newer one shows another file under the same path.
    snapshot = json.loads(json.dumps(newer.snapshot))
    next(file for file in snapshot["files"] if file["path"] == CODE)["new_blob"] = "f" * 40
    past_triggers(
        "UPDATE approvals_approval SET snapshot = %s::jsonb WHERE id = %s",
        json.dumps(snapshot),
        newer.pk,
    )
    newer.refresh_from_db()
    client.force_login(lead)
    sent = {"approval": str(approval.pk), "path": CODE, "viewed": "on"}
    client.post(f"/review/{approval.task.label}/r1/viewed", sent)
    assert CODE in viewing.viewed_by(lead, approval)
    assert CODE not in viewing.viewed_by(lead, newer)
    other = {**sent, "approval": "01a22589-3501-72d5-b329-e49045736e5c"}
    assert client.post(f"/review/{approval.task.label}/r1/viewed", other).status_code == 404


def test_a_signature_that_does_not_say_so_carries_nothing_out(approval, lead):
    signature = Signature(
        approval=approval,
        signer=lead,
        requester=approval.requester,
        verdict="approve",
        digest=approval.digest,
        nonce=approval.nonce,
    )
    signing.mark(signature)  # as a console before there were such marks
    signature.save(force_insert=True)
    approval.move("approved", decided_at=Now(), decided_by=lead)
    approval.refresh_from_db()
    approval.task.project = approval.project
    consequences.plan_effects(approval, due=consequences.window_end(approval))
    past_triggers("UPDATE approvals_effect SET not_before = now()")
    effects.carry_out_due("worker")
    effect = Effect.objects.get()
    assert effect.state == "failed"
    assert "signed without having viewed every file" in effect.error
    past_triggers("UPDATE approvals_effect SET state = 'done', started_at = now()")
    past_triggers("UPDATE approvals_approval SET state = 'approved', decided_at = now()")
    assert sql(invariants._SIGNED).count == 1
    past_triggers("UPDATE approvals_signature SET every_file_viewed = true")
    assert sql(invariants._SIGNED).count == 0
