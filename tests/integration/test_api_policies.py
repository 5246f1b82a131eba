"""A project's policy over the API: members read it, admins put a new version in force."""

from __future__ import annotations

import uuid

import pytest
from django.contrib.auth.models import Permission

from approvals import policies
from approvals.models import Policy
from projects.models import AuditEntry, Membership, Project, Role
from tests.api_fixtures import by_session, by_token

pytestmark = pytest.mark.django_db
ADDRESS = "/api/v1/projects/acme-billing/policy"
KEPT = ("in_force_since", "changed_by", "leads", "warnings")


@pytest.fixture
def boss(admin, project):
    Membership.objects.create(user=admin, project=project, role=Role.LEAD)
    return admin


@pytest.fixture
def body(boss):
    """What was read, as it is sent back."""
    read = by_session(boss).get(ADDRESS).json()
    return {name: value for name, value in read.items() if name not in KEPT}


def rule(**facts):
    return {"name": "Money", "paths": ["billing/**"], "signatures_needed": 2, **facts}


def test_members_read_what_is_in_force(project, requester, lead, second_lead):
    policies.change(
        project, by=lead, extend_hours=5, rules=[policies.Rule(name="Ravi", signers=[second_lead])]
    )
    for person in (requester, lead):
        read = by_session(person).get(ADDRESS).json()
        assert (read["version"], read["extend_hours"]) == (2, 5)
        assert read["changed_by"]["name"] == "Dana Kim"
        assert read["rules"][0]["signers"] == [str(second_lead.pk)]
        assert {one["name"] for one in read["leads"]} == {"Dana Kim", "Ravi Singh"}
    assert by_token(requester, "approvals:read").get(ADDRESS).json() == read


def test_reading_the_defaults_changes_nothing(project, requester):
    caller = by_session(requester)
    read = caller.get(ADDRESS).json()
    assert caller.get(ADDRESS).json() == read
    assert not Policy.objects.exists()
    made = policies.active_policy(project)
    again = caller.get(ADDRESS).json()
    assert {**again, "in_force_since": read["in_force_since"]} == read
    assert (read["version"], read["money_paths"]) == (1, made.money_paths)
    assert (read["rules"], read["changed_by"], bool(read["in_force_since"])) == ([], None, True)


def test_what_was_read_can_be_sent_back_changed(project, body, boss, second_lead):
    body |= {
        "undo_seconds": 60,
        "call_undo_seconds": 30,
        "remind_half": "people",
        "remind_people": [str(second_lead.pk)],
        "extend_hours": 12,
        "rules": [rule(signers=[str(second_lead.pk)], risks=["high"], tools=["pay/*"])],
    }
    answer = by_session(boss)("PUT", ADDRESS, body)
    assert answer.status_code == 200
    assert answer.json() == by_session(boss).get(ADDRESS).json()
    new = policies.active_policy(project)
    assert (new.version, new.undo_seconds, new.extend_hours) == (2, 60, 12)
    assert new.call_undo_seconds == 30
    assert list(new.remind_people.all()) == [second_lead]
    (written,) = new.rules.all()
    assert (written.name, written.risks, written.signatures_needed) == ("Money", ["high"], 2)
    assert written.tools == answer.json()["rules"][0]["tools"] == ["pay/*"]
    entry = AuditEntry.objects.get(action="policy.changed")
    assert (entry.actor, entry.detail["rules"][0]["signers"]) == (boss, ["ravi"])
    again = {**answer.json(), "rules": []}
    sent = {name: value for name, value in again.items() if name not in KEPT}
    assert by_session(boss)("PUT", ADDRESS, sent).json()["rules"] == []


def test_a_version_not_in_force_any_more_changes_nothing(project, body, boss, lead):
    policies.change(project, by=lead, undo_seconds=30)
    answer = by_session(boss)("PUT", ADDRESS, body)
    assert answer.status_code == 409
    assert "open the newest and change that" in answer.json()["detail"]
    assert policies.active_policy(project).undo_seconds == 30


def test_who_may_change_it(project, body, boss, lead, requester, stranger, admin):
    staff = lead
    for person in (lead, requester):
        assert by_session(person)("PUT", ADDRESS, body).status_code == 403
    staff.is_staff = True
    staff.save()
    assert by_session(staff)("PUT", ADDRESS, body).status_code == 403
    staff.user_permissions.add(Permission.objects.get(codename="change_policy"))
    assert by_session(staff)("PUT", ADDRESS, body).status_code == 200
    assert by_token(boss)("PUT", ADDRESS, body).status_code == 403
    assert by_session(stranger)("PUT", ADDRESS, body).status_code == 404
    Membership.objects.filter(user=admin).delete()
    assert by_session(admin)("PUT", ADDRESS, body).status_code == 404
    assert Policy.objects.count() == 2


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("version", 99, "version"),
        ("version", None, "version"),
        ("signatures_needed", 0, "signatures_needed"),
        ("signatures_needed", "2", "signatures_needed"),
        ("undo_seconds", 301, "undo_seconds"),
        ("call_undo_seconds", 301, "call_undo_seconds"),
        ("call_at_expiry", "allow", "call_at_expiry"),
        ("expires_hours", 2_161, "expires_hours"),
        ("extend_hours", 0, "extend_hours"),
        ("remind_half", "all", "remind_half"),
        ("remind_half", "people", "remind_people"),
        ("remind_people", [str(uuid.uuid4())], "remind_people"),
        ("remind_people", "x", "remind_people"),
        ("money_paths", ["x" * 301], "money_paths.0"),
        ("money_paths", ["\x00"], "money_paths.0"),
        ("protected_paths", [7], "protected_paths.0"),
        ("bulk_allowed", "yes", "bulk_allowed"),
        ("signatures_hold", "yes", "signatures_hold"),
        ("editors_alone", 1, "editors_alone"),
        ("typed_confirmation", "no", "typed_confirmation"),
        ("every_file_from", "none", "every_file_from"),
        ("rules", [{"name": "Nothing"}], "rules.0"),
        ("rules", [rule(name="")], "rules.0.name"),
        ("rules", [rule(risks=["none"])], "rules.0.risks.0"),
        ("rules", [rule(tools=["x" * 301])], "rules.0.tools.0"),
        ("rules", [rule(signers=[str(uuid.uuid4())])], "rules.0.signers"),
        ("rules", [rule(), rule(undo_seconds=999)], "rules.1.undo_seconds"),
        ("rules", [rule(other=1)], "rules.0.other"),
        ("rules", [rule()] * 51, "rules"),
        ("rules", None, "rules"),
        ("other", 1, "other"),
    ],
)
def test_what_is_wrong_is_named_and_changes_nothing(project, body, boss, field, value, named):
    answer = by_session(boss)("PUT", ADDRESS, {**body, field: value})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [named])
    assert not Policy.objects.exists()


def test_nothing_may_be_left_out(body, boss):
    answer = by_session(boss)("PUT", ADDRESS, {})
    assert set(answer.json()["errors"]) == set(body)


def test_the_requester_of_the_project_cannot_be_named(body, boss, requester):
    body["rules"] = [rule(signers=[str(requester.pk)])]
    answer = by_session(boss)("PUT", ADDRESS, body)
    assert list(answer.json()["errors"]) == ["rules.0.signers"]


def test_what_nobody_here_could_sign_is_said_and_put_in_force(project, body, boss, lead):
    call = by_session(boss)
    assert body["signatures_needed"] == 1
    assert call.get(ADDRESS).json()["warnings"] == []
    (said,) = call("PUT", ADDRESS, body | {"signatures_needed": 2}).json()["warnings"]
    assert said.startswith(
        "2 signatures are asked for, and acme/billing has 2 tech leads: what one"
    )
    answer = call("PUT", ADDRESS, body | {"version": 2, "rules": [rule(signatures_needed=5)]})
    assert (answer.status_code, answer.json()["version"]) == (200, 3)
    (said,) = answer.json()["warnings"]
    assert said.startswith(
        "5 signatures are asked for where “Money” applies, and acme/billing has 2 "
    )
    assert said.endswith("nothing of it can be approved until there are more.")
    assert call.get(ADDRESS).json()["warnings"] == [said]


def test_one_person_who_may_do_everything_is_warned_of_nothing(project, body, boss, lead):
    Project.objects.update(single_person=True)
    body |= {"signatures_needed": 2}
    assert by_session(boss)("PUT", ADDRESS, body).json()["warnings"] == []
