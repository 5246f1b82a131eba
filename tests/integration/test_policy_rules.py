"""What a rule of the policy asks is sealed, waited for, and proven again before anything is done."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from agents.lifecycle import TaskState
from approvals import effects, invariants, policies, sealing, selectors
from approvals.lifecycle import ApprovalState
from approvals.models import Approval, Effect, PolicyRule
from approvals.policies import Rule
from projects.invariants import sql
from projects.models import Membership, Role, User
from tests.approval_fixtures import (
    first_parents,
    make_change,
    make_report,
    make_repository,
    past_triggers,
)
from tests.reviewing import decide

pytestmark = pytest.mark.django_db

NEVER = Rule(name="Docs of others", paths=["elsewhere/**"], signatures_needed=5)


@pytest.fixture
def bare(project, tmp_path):
    return make_repository(tmp_path, project)


@pytest.fixture
def third_lead(project) -> User:
    person = User.objects.create_user("ana", first_name="Ana", last_name="Ruiz")
    Membership.objects.create(user=person, project=project, role=Role.LEAD)
    return person


def sign(approval: Approval, by: User) -> None:
    decide(approval.pk, by=by, verdict="approve", digest=approval.digest, nonce=approval.nonce)
    approval.refresh_from_db()


def asked(approval: Approval) -> dict:
    return approval.snapshot["policy"]


def hours(approval: Approval) -> int:
    return round((approval.expires_at - approval.requested_at) / timedelta(hours=1))


def test_the_strictest_of_all_that_applies_is_sealed(project, requester, lead, bare, tmp_path):
    policies.change(
        project,
        by=lead,
        every_file_from="rules",
        rules=[
            Rule(name="Invoices", paths=["billing/**"], undo_seconds=120, expires_hours=24),
            Rule(name="Any merge", kinds=["git.merge"], signatures_needed=2, undo_seconds=60),
            Rule(name="Long", expires_hours=500),
            NEVER,
            Rule(name="High", risks=["high"], signatures_needed=4),
        ],
    )
    change = sealing.seal(make_change(project, requester, tmp_path))
    assert asked(change) == {
        "id": str(change.policy_id),
        "version": 1 + 1,
        "signatures_needed": 2,
        "undo_seconds": 120,
        "expires_hours": 24,
        "every_file_viewed": False,
        "reminders": {"half": "leads", "extend_hours": 0, "people": []},
        "bulk_allowed": True,
        "signatures_hold": True,
        "rules": ["Invoices", "Any merge", "Long"],
        "signers": [],
    }
    assert hours(change) == 24
    report = sealing.seal(make_report(project, requester))
    assert (asked(report)["rules"], asked(report)["signatures_needed"]) == (["Long"], 1)
    assert hours(report) == 72


def test_a_named_person_is_waited_for_however_many_others_sign(
    project, requester, lead, second_lead, third_lead
):
    rules = [Rule(name="Reports", signers=[second_lead, third_lead])]
    policies.change(project, by=lead, rules=rules)
    approval = sealing.seal(make_report(project, requester))
    sign(approval, lead)
    assert approval.state == ApprovalState.PENDING
    assert not Effect.objects.exists()
    sign(approval, third_lead)
    assert approval.state == ApprovalState.APPROVED
    assert approval.signatures.count() == 2
    assert list(Effect.objects.values_list("kind", flat=True)) == ["deliver"]


def test_each_rule_wants_one_of_its_own_and_one_person_may_do_for_two(
    project, requester, lead, second_lead, third_lead
):
    rules = [
        Rule(name="First", signers=[second_lead]),
        Rule(name="Second", signers=[second_lead, third_lead]),
    ]
    policies.change(project, by=lead, rules=rules)
    approval = sealing.seal(make_report(project, requester))
    sign(approval, third_lead)
    assert approval.state == ApprovalState.PENDING
    sign(approval, second_lead)
    assert approval.state == ApprovalState.APPROVED
    other = sealing.seal(make_report(project, requester))
    sign(other, second_lead)
    assert other.state == ApprovalState.APPROVED


def test_nobody_is_waited_for_who_asked_for_the_work(project, lead, second_lead):
    policies.change(project, by=lead, rules=[Rule(name="Reports", signers=[lead, second_lead])])
    approval = sealing.seal(make_report(project, lead))
    (named,) = asked(approval)["signers"]
    assert [each["name"] for each in named["anyone_of"]] == ["Ravi Singh"]


def test_what_a_later_version_asks_changes_nothing_that_is_sealed(
    project, requester, lead, second_lead
):
    approval = sealing.seal(make_report(project, requester))
    policies.change(project, by=lead, rules=[Rule(name="Reports", signers=[second_lead])])
    sign(approval, lead)
    assert approval.state == ApprovalState.APPROVED


def test_a_version_keeps_the_rules_it_does_not_change(project, lead, second_lead):
    rule = Rule(name="Reports", kinds=["deliver"], risks=["low", "high"], signers=[second_lead])
    first = policies.change(project, by=lead, rules=[rule, NEVER])
    second = policies.change(project, by=lead, undo_seconds=30)
    names = ("name", "kinds", "risks", "paths", "signatures_needed")
    kept = [list(each.rules.values_list(*names)) for each in (first, second)]
    assert kept[0] == kept[1]
    assert len(kept[0]) == 2
    assert list(second.rules.get(name="Reports").signers.all()) == [second_lead]
    third = policies.change(project, by=lead, rules=[])
    assert not third.rules.exists()


def test_without_the_signature_of_one_it_names_nothing_is_carried_out(
    project, requester, lead, second_lead, bare, tmp_path
):
    policies.change(
        project, by=lead, undo_seconds=0, rules=[Rule(name="Merges", signers=[second_lead])]
    )
    approval = sealing.seal(make_change(project, requester, tmp_path))
    sign(approval, lead)
    # As somebody would who can write to the database, but cannot sign as another.
    past_triggers(
        "UPDATE approvals_approval SET state = 'approved', decided_at = now(), decided_by_id = %s",
        lead.pk,
    )
    past_triggers(
        "INSERT INTO approvals_effect (id, approval_id, position, kind, arguments, state,"
        " not_before, worker, result, error) SELECT gen_random_uuid(), id, 0, 'git.merge',"
        " snapshot -> 'effects' -> 0, 'planned', now(), '', '{}', '' FROM approvals_approval"
    )
    past_triggers("UPDATE agents_task SET state = 'executing'")
    effects.carry_out_due("worker-1")
    effect = Effect.objects.get()
    assert (effect.state, len(first_parents(bare))) == ("failed", 1)
    assert "It still needs Ravi Singh (rule “Merges”)" in effect.error
    approval.task.refresh_from_db()
    assert approval.task.state == TaskState.REVIEW
    past_triggers("UPDATE approvals_effect SET state = 'done', started_at = now()")
    past_triggers("UPDATE approvals_approval SET state = 'approved'")
    assert sql(invariants._SIGNED).count == 1
    past_triggers("UPDATE approvals_signature SET signer_id = %s", second_lead.pk)
    assert sql(invariants._SIGNED).count == 0


def test_who_has_signed_is_not_asked_again(project, requester, lead, second_lead):
    policies.change(project, by=lead, rules=[Rule(name="Reports", signers=[second_lead])])
    approval = sealing.seal(make_report(project, requester))
    sign(approval, lead)
    assert selectors.needs_you(lead).pending == []
    assert selectors.needs_you(second_lead).pending == [approval]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ("name = ''", "rule_has_a_name"),
        ("risks = '{dire}'", "rule_risks_known"),
        ("kinds = '{git.push}'", "rule_kinds_known"),
        ("signatures_needed = 6", "rule_1_to_5_signatures"),
        ("undo_seconds = 301", "rule_undo_up_to_300_s"),
        ("expires_hours = 0", "rule_expires_in_1_h_to_90_days"),
    ],
)
def test_the_database_refuses_what_is_no_rule(project, lead, change, name):
    policies.change(project, by=lead, rules=[NEVER])
    statement = f"UPDATE approvals_policyrule SET {change}"  # noqa: S608  # our own
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        connection.cursor().execute(statement)
    assert PolicyRule.objects.get().name == NEVER.name


def test_the_review_page_and_the_api_say_who_must_sign(
    client, project, requester, lead, second_lead
):
    rule = Rule(name="<b>Reports", signatures_needed=2, signers=[second_lead])
    policies.change(project, by=lead, rules=[rule])
    approval = sealing.seal(make_report(project, requester))
    client.force_login(lead)
    page = client.get(f"/review/{approval.task.label}/r1").content.decode()
    assert "asks for 2 signatures, one by Ravi Singh (rule “&lt;b&gt;Reports”)." in page
    assert "One must be Ravi Singh (rule “&lt;b&gt;Reports”)." in page
    said = client.get(f"/api/v1/approvals/{approval.pk}").json()["policy"]
    assert (said["signatures_needed"], said["rules"]) == (2, ["<b>Reports"])
    person = {"id": str(second_lead.pk), "name": "Ravi Singh"}
    assert said["signers"] == [{"rule": "<b>Reports", "anyone_of": [person]}]
