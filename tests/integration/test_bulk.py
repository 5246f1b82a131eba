"""Several are approved at once only when each is small and green, and all do the same."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from approvals import bulk, pacing, policies, sealing, viewing
from approvals.bulk import Seen
from approvals.exceptions import BulkRefused, UnknownApproval
from approvals.models import Approval, Effect, Signature
from approvals.policies import Rule
from projects import across
from projects.exceptions import InvalidInput, NotAllowed
from projects.models import AuditEntry, Membership, Project, Role
from tests.api_fixtures import by_session, by_token
from tests.approval_fixtures import (
    end_time,
    make_change,
    make_report,
    make_repository,
    move_main,
    past_triggers,
)
from tests.reviewing import decide

pytestmark = pytest.mark.django_db
URL = "/api/v1/approvals/bulk"


@pytest.fixture
def bare(tmp_path, project, settings):
    settings.DATA_DIR = tmp_path / "data"
    return make_repository(tmp_path, project)


@pytest.fixture
def put_up(bare, tmp_path, project, requester):
    """Return what seals one more change, low risk and green unless said otherwise."""
    policies.change(project, by=requester, money_paths=[])

    def made(**facts) -> Approval:
        of = {"project": project, "requester": requester, **facts}
        return sealing.seal(make_change(of.pop("project"), of.pop("requester"), tmp_path, **of))

    return made


@pytest.fixture
def three(put_up) -> list[Approval]:
    return [put_up() for _ in range(3)]


def seen(*approvals: Approval) -> list[Seen]:
    return [Seen(id=each.pk, digest=each.digest, nonce=each.nonce) for each in approvals]


def outcomes(results) -> list[str]:
    return [each.outcome for each in results]


def nothing_signed() -> bool:
    return not Signature.objects.exists() and not Effect.objects.exists()


def body(*approvals: Approval, **more):
    items = [{"id": str(e.pk), "digest": e.digest, "nonce": e.nonce} for e in approvals]
    return {"items": items, **more}


def test_each_is_signed_by_itself_and_those_due_first(three, lead):
    end_time(three[2], in_seconds=600)
    results = bulk.approve(seen(*three), by=lead, note="Routine.", address="10.0.0.1")
    assert outcomes(results) == ["approved"] * 3
    assert results[0].approval == three[2]
    signed = Signature.objects.order_by("at")
    assert next(each.approval_id for each in signed) == three[2].pk
    assert {(each.digest, each.note) for each in signed} == {
        (each.digest, "Routine.") for each in three
    }
    effects = Effect.objects.order_by("not_before").values_list("approval", flat=True)
    assert next(iter(effects)) == three[2].pk
    assert set(effects) == {each.pk for each in three}


def test_the_audit_log_says_that_they_were_approved_together(three, lead):
    bulk.approve(seen(*three), by=lead, address="10.0.0.1")
    entry = AuditEntry.objects.get(action="approvals.bulk")
    assert entry.actor == lead
    assert set(entry.detail["approvals"]) == {str(each.pk) for each in three}
    signed = AuditEntry.objects.filter(action="approval.approve")
    assert [each.detail["together"] for each in signed] == [entry.pk] * 3


def test_those_approved_together_are_one_decision_of_a_pace_however_slow_the_repository(
    three, put_up, lead
):
    alone = put_up()
    bulk.approve(seen(*three), by=lead)
    decide(alone.pk, by=lead, verdict="approve", digest=alone.digest, nonce=alone.nonce)
    now = timezone.now()
    for place, each in enumerate((*three, alone)):
        at = now + timedelta(seconds=1.5 * place)
        past_triggers("UPDATE approvals_approval SET decided_at = %s WHERE id = %s", at, each.pk)
    found = across.values({"": pacing.latest(lead)})[""]
    assert len(found) == 4
    assert pacing.pace_of(found).quick == 1


def test_what_it_needs_is_in_the_seal(put_up, project, lead):
    allowed = put_up()
    policies.change(project, by=lead, bulk_allowed=False)
    forbidden = put_up()
    assert [e.snapshot["policy"]["bulk_allowed"] for e in (allowed, forbidden)] == [True, False]
    policies.change(
        project, by=lead, bulk_allowed=True, rules=[Rule(name="No", bulk_forbidden=True)]
    )
    assert put_up().snapshot["policy"]["bulk_allowed"] is False
    with pytest.raises(BulkRefused, match="each decided by itself"):
        bulk.approve(seen(allowed, forbidden), by=lead)
    assert nothing_signed()


def test_one_that_was_sealed_before_there_was_bulk_is_not_allowed(three, lead):
    sealed = three[0].snapshot
    del sealed["policy"]["bulk_allowed"]
    assert not bulk.Required.sealed(sealed).bulk


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"checks": {}}, "medium risk"),
        ({"warnings": [{"kind": "no_change", "path": "README.md", "line": 0}]}, "a warning"),
        (
            {"warnings": [{"kind": "hidden_character", "path": "README.md", "line": 1}]},
            "medium risk",
        ),
    ],
)
def test_one_that_is_not_small_and_green_keeps_all_from_it(three, put_up, lead, facts, said):
    odd = put_up(**facts)
    with pytest.raises(BulkRefused, match=said) as refused:
        bulk.approve(seen(*three, odd), by=lead)
    assert odd.task.label in str(refused.value)
    assert nothing_signed()


def test_medium_risk_smuggled_in_is_refused_whatever_the_page_showed(three, put_up, lead, project):
    policies.change(project, by=lead, money_paths=["billing/**"])
    medium = put_up()
    selection = bulk.look(lead, [each.pk for each in (*three, medium)])
    assert (list(selection.blocked), selection.allowed) == ([medium.pk], False)
    answer = by_session(lead).post(URL, body(*three, medium))
    assert answer.status_code == 409
    assert f"{medium.task.label} is medium risk" in answer.json()["detail"]
    assert nothing_signed()


def test_a_report_is_decided_by_itself(put_up, project, requester, lead):
    report = sealing.seal(make_report(project, requester))
    with pytest.raises(BulkRefused, match=f"{report.task.label} is a report, which"):
        bulk.approve(seen(put_up(), report), by=lead)
    assert nothing_signed()


def test_what_goes_elsewhere_is_not_approved_with_it(put_up, tmp_path, lead, requester):
    other = Project.objects.create(slug="acme-web", name="acme/web", repository="/nowhere.git")
    (tmp_path / "other").mkdir()
    make_repository(tmp_path / "other", other)
    for person, role in ((lead, Role.LEAD), (requester, Role.REQUESTER)):
        Membership.objects.create(user=person, project=other, role=role)
    policies.change(other, by=lead, money_paths=[])
    here, there = put_up(), put_up(project=other)
    with pytest.raises(BulkRefused, match=f"{there.task.label} does something else"):
        bulk.approve(seen(here, there), by=lead)
    assert outcomes(bulk.approve(seen(there), by=lead)) == ["approved"]


def test_one_of_a_foreign_project_is_unknown_and_nothing_is_signed(three, put_up, tmp_path, lead):
    other = Project.objects.create(slug="secret", name="secret", repository="/nowhere.git")
    (tmp_path / "other").mkdir()
    make_repository(tmp_path / "other", other)
    foreign = put_up(project=other)
    with pytest.raises(UnknownApproval):
        bulk.approve(seen(*three, foreign), by=lead)
    answers = [
        by_session(lead).post(URL, body(*three, each))
        for each in (foreign, Approval(pk=uuid.uuid4(), digest="0" * 64, nonce="n"))
    ]
    assert [each.status_code for each in answers] == [404, 404]
    assert nothing_signed()


def test_the_digest_of_another_signs_neither(three, lead):
    first, second, third = three
    swapped = [
        Seen(id=first.pk, digest=second.digest, nonce=second.nonce),
        Seen(id=second.pk, digest=second.digest, nonce=first.nonce),
        *seen(third),
    ]
    results = {each.approval: each.outcome for each in bulk.approve(swapped, by=lead)}
    assert results == {first: "changed", second: "changed", third: "approved"}
    assert list(Signature.objects.values_list("approval", flat=True)) == [third.pk]


def test_the_requester_never_signs_in_bulk_either(three, put_up, requester, lead):
    Membership.objects.filter(user=requester).update(role=Role.LEAD)
    with pytest.raises(NotAllowed, match="You asked for this work"):
        bulk.approve(seen(*three), by=requester)
    own = put_up(requester=lead)
    with pytest.raises(NotAllowed, match=own.task.label):
        bulk.approve(seen(*three, own), by=lead)
    assert nothing_signed()


def test_who_lost_the_role_signs_nothing(three, lead):
    Membership.objects.filter(user=lead).update(role=Role.REQUESTER)
    with pytest.raises(NotAllowed):
        bulk.approve(seen(*three), by=lead)
    assert nothing_signed()


def test_a_token_never_decides(three, lead):
    assert by_token(lead).post(URL, body(*three)).status_code == 403
    with pytest.raises(NotAllowed):
        bulk.approve(seen(*three), by=lead, via="token")
    assert nothing_signed()


def test_two_signatures_are_never_given_in_bulk(put_up, project, lead, second_lead):
    policies.change(project, by=lead, signatures_needed=2)
    first, second = put_up(), put_up()
    with pytest.raises(BulkRefused, match="needs one more signature besides yours"):
        bulk.approve(seen(first, second), by=lead)
    for each in (first, second):
        decide(each.pk, by=second_lead, verdict="approve", digest=each.digest, nonce=each.nonce)
    assert outcomes(bulk.approve(seen(first, second), by=lead)) == ["approved"] * 2


def test_files_are_viewed_where_the_policy_asks_for_it(put_up, project, lead):
    policies.change(project, by=lead, rules=[Rule(name="All", every_file_viewed=True)])
    first, second = put_up(), put_up()
    with pytest.raises(BulkRefused, match="2 files you have not viewed"):
        bulk.approve(seen(first, second), by=lead)
    for path in viewing.left_for(lead, first):
        viewing.mark(first, path, by=lead)
    results = bulk.approve(seen(first, second), by=lead)  # the same blobs in both
    assert outcomes(results) == ["approved"] * 2


def test_one_decided_meanwhile_is_told_and_the_others_are_approved(three, lead, second_lead):
    first = three[0]
    decide(first.pk, by=second_lead, verdict="approve", digest=first.digest, nonce=first.nonce)
    results = bulk.approve(seen(*three), by=lead)
    assert outcomes(results) == ["over", "approved", "approved"]
    assert results[0].said.startswith("Ravi Singh approved this")


def test_the_same_request_again_changes_nothing(three, lead):
    call = by_session(lead)
    first, again = (call.post(URL, body(*three)).json()["results"] for _ in range(2))
    assert [each["outcome"] for each in first] == ["approved"] * 3
    assert [each["outcome"] for each in again] == ["over"] * 3
    assert "approved this" in again[0]["detail"]
    assert Signature.objects.count() == Effect.objects.count() == 3


def test_one_whose_main_moved_is_changed_and_so_are_those_after_it(three, bare, lead):
    move_main(bare)
    assert outcomes(bulk.approve(seen(*three), by=lead)) == ["changed"] * 3
    assert nothing_signed()


def test_one_nobody_decided_in_time_is_over(three, lead):
    end_time(three[0], in_seconds=-1)
    assert outcomes(bulk.approve(seen(*three), by=lead)) == ["over", "approved", "approved"]


def test_at_most_twenty_and_each_once(three, lead):
    many = [Seen(id=uuid.uuid4(), digest="0" * 64, nonce="n") for _ in range(21)]
    for given in ([], many, [*seen(three[0]), *seen(three[0])]):
        with pytest.raises(InvalidInput):
            bulk.approve(given, by=lead)
    assert by_session(lead).post(URL, {"items": []}).status_code == 400
    assert by_session(lead).post(URL, {"items": [{"id": "x"}]}).status_code == 400
    assert nothing_signed()


def test_the_look_asks_the_database_little(three, lead, django_assert_max_num_queries):
    with django_assert_max_num_queries(4):
        selection = bulk.look(lead, [each.pk for each in three])
    assert selection.allowed
    assert selection.common == "all low risk, reversible, all checks green"


@pytest.mark.django_db(transaction=True)
def test_two_leads_at_once_sign_each_exactly_once(three, lead, second_lead):
    gate = threading.Barrier(2)

    def run(person):
        gate.wait()
        try:
            return outcomes(bulk.approve(seen(*three), by=person))
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        mine, theirs = pool.map(run, [lead, second_lead])
    assert [{a, b} for a, b in zip(mine, theirs, strict=True)] == [{"approved", "over"}] * 3
    assert Signature.objects.count() == Effect.objects.count() == 3
