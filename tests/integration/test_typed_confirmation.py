"""What is high risk and needs one signature is approved by who types its label, and by nobody else."""

from __future__ import annotations

import pytest
from django.db import connection

from agents.models import Hunk
from approvals import bulk, policies, sealing, undoing
from approvals.deciding import decide
from approvals.exceptions import CountersignError
from approvals.lifecycle import ApprovalState
from approvals.models import Approval, Effect, Policy, Signature
from approvals.policies import Rule
from approvals.requirements import Required
from projects.exceptions import InvalidInput
from projects.models import AuditEntry
from tests.api_fixtures import by_session
from tests.approval_fixtures import GREEN, make_change, make_report, make_repository
from tests.editing_fixtures import checked_anew, editable, put
from tests.holding_fixtures import fall_stale, merge_again

pytestmark = pytest.mark.django_db

FAILING = {**GREEN, "exit_code": 1, "failed": 3}


@pytest.fixture
def bare(project, lead, tmp_path, settings):
    policies.change(project, by=lead, every_file_from="rules")  # that is another term
    settings.DATA_DIR = tmp_path / "data"
    return make_repository(tmp_path, project)


@pytest.fixture
def risky(bare, project, requester, lead, tmp_path) -> Approval:
    return dangerous(project, requester, tmp_path)


def dangerous(project, requester, folder, **facts) -> Approval:
    approval = sealing.seal(make_change(project, requester, folder, checks=FAILING, **facts))
    assert approval.risk == "high"
    return approval


def sign(approval: Approval, by, verdict: str = "approve", **facts: str) -> None:
    sealed = {"digest": approval.digest, "nonce": approval.nonce}
    decide(approval.pk, by=by, verdict=verdict, **sealed, **facts)
    approval.refresh_from_db()


def asks(approval: Approval) -> bool:
    return Required.sealed(approval.snapshot).typed


def form_of(approval: Approval, **fields: str) -> dict[str, str]:
    sealed = {"approval": str(approval.pk), "digest": approval.digest, "nonce": approval.nonce}
    return {**sealed, "verdict": "approve", **fields}


def posted(client, approval: Approval, **fields: str):
    return client.post(f"/review/{approval.task.label}/r1/decide", form_of(approval, **fields))


@pytest.mark.parametrize(
    "typed", ["", " ", "yes", "T-", "12", "T 1", "T-0", "\0", "\ud800", "T-1\n2"]
)
def test_it_is_not_approved_without_its_label(risky, lead, typed):
    with pytest.raises(InvalidInput, match=f"type {risky.task.label} to approve it") as refused:
        sign(risky, lead, confirmation=typed)
    assert refused.value.field == "confirmation"
    assert not Signature.objects.exists()
    assert not Effect.objects.exists()
    risky.refresh_from_db()
    assert risky.state == ApprovalState.PENDING


def test_it_is_not_approved_with_the_label_of_another_task(
    risky, project, requester, lead, tmp_path
):
    other = dangerous(project, requester, tmp_path)
    with pytest.raises(InvalidInput, match=risky.task.label):
        sign(risky, lead, confirmation=other.task.label)
    with pytest.raises(InvalidInput, match=risky.task.label):
        sign(risky, lead, confirmation=f"{risky.task.label}0")
    assert not Signature.objects.exists()


@pytest.mark.parametrize("way", [str, str.lower, " {}\n".format])
def test_it_is_approved_with_its_label_in_any_case_and_blanks(risky, lead, way):
    sign(risky, lead, confirmation=way(risky.task.label))
    assert risky.state == ApprovalState.APPROVED
    entry = AuditEntry.objects.get(action="approval.approve")
    assert entry.detail["typed"] is True


@pytest.mark.parametrize("verdict", ["reject", "request_changes"])
def test_what_is_not_approved_is_not_typed(risky, lead, verdict):
    sign(risky, lead, verdict, note="Unsafe.")
    assert risky.state != ApprovalState.PENDING
    assert "typed" not in AuditEntry.objects.get(action=f"approval.{verdict}").detail


def test_low_and_medium_risk_and_a_report_ask_for_nothing_typed(
    bare, project, requester, lead, tmp_path
):
    medium = sealing.seal(make_change(project, requester, tmp_path))
    docs = {"docs/rounding.md": "Tax is rounded once.\n"}
    low = sealing.seal(make_change(project, requester, tmp_path, texts=docs))
    report = sealing.seal(make_report(project, requester))
    for approval in (medium, low, report):
        assert "typed_confirmation" not in approval.snapshot["policy"]
    assert (medium.risk, low.risk, report.risk) == ("medium", "low", "low")
    sign(low, lead)
    assert low.state == ApprovalState.APPROVED


def test_a_second_signer_is_the_confirmation(bare, project, requester, lead, second_lead, tmp_path):
    policies.change(project, by=lead, rules=[Rule(name="Two", risks=["high"], signatures_needed=2)])
    approval = dangerous(project, requester, tmp_path)
    assert not asks(approval)
    sign(approval, lead)
    sign(approval, second_lead)
    assert approval.state == ApprovalState.APPROVED


def test_a_policy_that_does_not_ask_and_what_was_sealed_before_keep_their_terms(
    risky, project, requester, lead, tmp_path
):
    policies.change(project, by=lead, typed_confirmation=False)
    later = dangerous(project, requester, tmp_path)
    assert (asks(risky), asks(later)) == (True, False)
    sign(later, lead)
    assert later.state == ApprovalState.APPROVED
    with pytest.raises(InvalidInput):
        sign(risky, lead)


def test_a_version_from_before_asks_for_nothing_typed_and_a_new_project_does(project, lead):
    assert policies.read_active(project).typed_confirmation
    assert policies.active_policy(project).typed_confirmation
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_default FROM information_schema.columns WHERE table_name = "
            "'approvals_policy' AND column_name = 'typed_confirmation'"
        )
        assert cursor.fetchone() == ("false",)
    Policy.objects.update(typed_confirmation=False)
    assert policies.change(project, by=lead, undo_seconds=20).typed_confirmation is False


def test_the_page_asks_for_it_and_keeps_the_note_of_who_forgot(client, risky, lead):
    client.force_login(lead)
    page = client.get(f"/review/{risky.task.label}/r1").content.decode()
    assert f'data-confirms="{risky.task.label}"' in page
    assert f"and to type {risky.task.label} to approve high risk" in " ".join(page.split())
    for typed in ("", "T-0"):
        answer = posted(client, risky, note="I have read it all.", confirmation=typed)
        page = answer.content.decode()
        assert answer.status_code == 400
        assert f"type {risky.task.label} to approve it" in page
        assert ">I have read it all.</textarea>" in page
        assert 'name="confirmation"' in page
    assert not Signature.objects.exists()
    assert posted(client, risky, confirmation=f" {risky.task.label.lower()} ").status_code == 302
    risky.refresh_from_db()
    assert risky.state == ApprovalState.APPROVED


def test_the_page_of_what_is_not_dangerous_has_no_such_field(
    client, bare, project, requester, lead, tmp_path
):
    approval = sealing.seal(make_change(project, requester, tmp_path))
    client.force_login(lead)
    page = client.get(f"/review/{approval.task.label}/r1").content.decode()
    assert 'id="approve"' in page
    assert "data-confirms=" not in page


def test_what_was_typed_is_not_typed_already_when_it_is_shown_again(client, risky, lead):
    client.force_login(lead)
    hunk = Hunk.objects.filter(file__proposal=risky.proposal).first()
    typed = {"confirmation": risky.task.label, f"verdict-{hunk.pk}": "refuse"}
    answer = posted(client, risky, **typed)
    assert answer.status_code == 400
    field = answer.content.decode().partition('name="confirmation"')[2].partition(">")[0]
    assert "value=" not in field


def test_the_api_refuses_without_and_takes_it_with(risky, lead):
    caller, path = by_session(lead), f"/api/v1/approvals/{risky.pk}/signatures"
    assert caller.get(f"/api/v1/approvals/{risky.pk}").json()["policy"]["typed_confirmation"]
    body = {"verdict": "approve", "digest": risky.digest, "nonce": risky.nonce}
    for typed in ({}, {"confirmation": ""}, {"confirmation": "T-0"}):
        answer = caller.post(path, body | typed)
        assert answer.status_code == 400
        assert answer.json()["errors"].keys() == {"confirmation"}
        assert risky.task.label in str(answer.json()["errors"])
    for wrong in (7, None, ["T-1"], "x" * 61, "\0"):
        assert caller.post(path, body | {"confirmation": wrong}).status_code == 400
    assert not Signature.objects.exists()
    assert caller.post(path, body | {"confirmation": risky.task.label}).status_code == 201


def test_a_form_sent_twice_signs_once(client, risky, lead):
    client.force_login(lead)
    label = risky.task.label
    answers = [posted(client, risky, confirmation=label).status_code for _ in range(2)]
    assert answers == [302, 409]
    assert posted(client, risky).status_code == 409
    assert Signature.objects.count() == 1


def test_it_is_not_approved_with_others(risky, lead):
    seen = bulk.Seen(id=risky.pk, digest=risky.digest, nonce=risky.nonce)
    with pytest.raises(CountersignError, match="high risk"):
        bulk.approve([seen], by=lead)
    assert not Signature.objects.exists()


def test_after_an_undo_it_is_typed_again(risky, lead):
    sign(risky, lead, confirmation=risky.task.label)
    again = undoing.undo(risky, by=lead)
    with pytest.raises(InvalidInput):
        sign(again, lead)
    sign(again, lead, confirmation=again.task.label)
    assert again.state == ApprovalState.APPROVED


def test_where_one_person_may_do_everything_they_type_it_too(
    bare, project, requester, lead, tmp_path
):
    project.single_person = True
    project.save()
    approval = dangerous(project, lead, tmp_path)
    with pytest.raises(InvalidInput):
        sign(approval, lead)
    sign(approval, lead, confirmation=approval.task.label)
    assert approval.state == ApprovalState.APPROVED


def test_what_was_edited_is_typed_as_it_is_signed(
    bare, project, requester, lead, second_lead, tmp_path
):
    policies.change(project, by=lead, protected_paths=["billing/**"])
    change = editable(project, requester, tmp_path)
    put(change, lead)
    edited = checked_anew(change)
    with pytest.raises(InvalidInput):
        sign(edited, second_lead)
    sign(edited, second_lead, confirmation=edited.task.label)
    assert edited.state == ApprovalState.APPROVED


def test_what_was_typed_holds_when_main_moved_in_another_file(
    bare, project, requester, lead, tmp_path
):
    policies.change(project, by=lead, protected_paths=["billing/**"], undo_seconds=0)
    first = sealing.seal(make_change(project, requester, tmp_path))
    sign(first, lead, confirmation=first.task.label)
    fall_stale(first, bare)
    again = merge_again(first, tmp_path)
    again.refresh_from_db()
    assert (asks(again), again.state) == (True, ApprovalState.APPROVED)
    assert again.signatures.get().carried_from is not None


def test_what_was_signed_untyped_does_not_hold_where_it_is_typed_since(
    bare, project, requester, lead, tmp_path
):
    terms = {"protected_paths": ["billing/**"], "undo_seconds": 0}
    policies.change(project, by=lead, typed_confirmation=False, **terms)
    first = sealing.seal(make_change(project, requester, tmp_path))
    sign(first, lead)
    fall_stale(first, bare)
    policies.change(project, by=lead, typed_confirmation=True)
    again = merge_again(first, tmp_path)
    assert (asks(again), again.state) == (True, ApprovalState.PENDING)
