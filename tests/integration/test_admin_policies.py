"""A changed policy is a new version in force; the old one stays as it was signed under."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.urls import reverse

from approvals import policies
from approvals.models import Policy
from approvals.policies import active_policy
from projects.exceptions import TransitionRefused
from projects.models import AuditEntry, Membership, Project


@pytest.fixture
def as_admin(client, admin):
    client.force_login(admin)
    return client


@pytest.fixture
def policy(project):
    return active_policy(project)


def page(policy=None):
    name = f"admin:approvals_policy_{'change' if policy else 'add'}"
    return reverse(name, args=[policy.pk] if policy else [])


def form(policy, **changes):
    fields = {
        "signatures_needed": policy.signatures_needed,
        "undo_seconds": policy.undo_seconds,
        "expires_hours": policy.expires_hours,
        "call_undo_seconds": policy.call_undo_seconds,
        "call_at_expiry": policy.call_at_expiry,
        "bulk_allowed": "on" if policy.bulk_allowed else "",
        "signatures_hold": "on" if policy.signatures_hold else "",
        "editors_alone": "on" if policy.editors_alone else "",
        "typed_confirmation": "on" if policy.typed_confirmation else "",
        "every_file_from": policy.every_file_from,
        "remind_half": policy.remind_half,
        "standing_grants": policy.standing_grants,
        "money_paths": "\n".join(policy.money_paths),
        "protected_paths": "\n".join(policy.protected_paths),
        "rules-TOTAL_FORMS": 0,
        "rules-INITIAL_FORMS": 0,
    }
    return {**fields, **changes}


def rules(*given, kept=()):
    """Return what the form sends of rules: `kept` are in force, `given` the fields of each."""
    fields = {"rules-TOTAL_FORMS": len(given), "rules-INITIAL_FORMS": len(kept)}
    for number, rule in enumerate(given):
        own = {"id": kept[number].pk} if number < len(kept) else {}
        fields |= {f"rules-{number}-{name}": value for name, value in {**own, **rule}.items()}
    return fields


def as_sent(rule):
    """Return the fields of a rule in force, as the page shows them."""
    names = ("name", "risks", "kinds", "signatures_needed", "undo_seconds", "expires_hours")
    fields = {name: getattr(rule, name) for name in names if getattr(rule, name) is not None}
    signers = [person.pk for person in rule.signers.all()]
    globs = {name: "\n".join(getattr(rule, name)) for name in ("paths", "tools")}
    return {**fields, **globs, "signers": signers}


def test_change_puts_a_new_version_in_force_and_keeps_the_old(policy, project, as_admin, admin):
    response = as_admin.post(page(policy), form(policy, undo_seconds=60))
    new = Policy.objects.get(project=project, active=True)
    assert response["Location"] == page(new)
    assert (new.version, new.undo_seconds, new.created_by) == (2, 60, admin)
    assert new.money_paths == policy.money_paths
    policy.refresh_from_db()
    assert (policy.version, policy.active, policy.undo_seconds) == (1, False, 10)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.project) == ("policy.changed", admin, project)
    assert entry.detail == {"version": 2, "undo_seconds": 60}


def test_saving_without_a_change_makes_no_version(policy, as_admin):
    as_admin.post(page(policy), form(policy))
    assert Policy.objects.count() == 1
    assert not AuditEntry.objects.exists()


def test_version_no_longer_in_force_is_only_shown(policy, as_admin):
    as_admin.post(page(policy), form(policy, undo_seconds=60))
    assert as_admin.get(page(policy)).status_code == 200
    assert 'name="undo_seconds"' not in as_admin.get(page(policy)).content.decode()
    late = as_admin.post(page(policy), form(policy, undo_seconds=7, money_paths="kept/**"))
    shown = late.content.decode()
    assert "Version 2 is in force since you opened version 1." in shown
    assert 'name="undo_seconds" value="7"' in shown
    assert "kept/**</textarea>" in shown
    assert Policy.objects.count() == 2
    same = as_admin.post(page(policy), form(policy))
    assert same.status_code == 200
    assert "Version 2 is in force since you opened version 1." in same.content.decode()


def test_paths_are_one_per_line(policy, as_admin, project):
    as_admin.post(page(policy), form(policy, money_paths="billing/**\r\n\r\n  pay/** "))
    assert Policy.objects.get(active=True).money_paths == ["billing/**", "pay/**"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("signatures_needed", 0),
        ("signatures_needed", 6),
        ("undo_seconds", -1),
        ("undo_seconds", 301),
        ("call_undo_seconds", 301),
        ("call_at_expiry", "allow"),
        ("expires_hours", 0),
        ("expires_hours", "soon"),
        ("money_paths", "x" * 301),
    ],
)
def test_bad_value_names_its_field_and_changes_nothing(policy, as_admin, field, value):
    response = as_admin.post(page(policy), form(policy, **{field: value}))
    assert response.status_code == 200
    assert field in response.context["adminform"].form.errors
    assert Policy.objects.get().active


def test_policy_added_for_a_project_that_has_one_follows_it(policy, project, as_admin):
    as_admin.post(page(), form(policy, project=project.pk, signatures_needed=2))
    new = Policy.objects.get(project=project, active=True)
    assert (new.version, new.signatures_needed) == (2, 2)


def test_policy_cannot_be_deleted(policy, as_admin):
    delete = reverse("admin:approvals_policy_delete", args=[policy.pk])
    assert as_admin.post(delete, {"post": "yes"}).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_two_changes_at_once_become_two_versions(project, admin):
    active_policy(project)
    start = threading.Barrier(2)

    def change(seconds: int) -> int:
        try:
            start.wait()
            return policies.change(project, by=admin, undo_seconds=seconds).version
        finally:
            connection.close()

    for number in range(10):
        with ThreadPoolExecutor(2) as pool:
            made = sorted(pool.map(change, (number, number + 100)))
        assert made == [2 * number + 2, 2 * number + 3]
    assert Policy.objects.filter(project=project, active=True).count() == 1


def test_rules_are_written_down_changed_and_taken_out_each_in_a_new_version(
    policy, project, as_admin, lead
):
    merges = {"name": "Merges", "kinds": ["git.merge"], "signers": [lead.pk]}
    high = {
        "name": "High",
        "risks": ["high"],
        "paths": "auth/**\r\n",
        "tools": "pay/*\r\nmail/send",
        "signatures_needed": 2,
    }
    as_admin.post(page(policy), form(policy, **rules(merges, high)))
    second = Policy.objects.get(project=project, active=True)
    first_rule, second_rule = second.rules.all()
    assert (first_rule.name, first_rule.kinds) == ("Merges", ["git.merge"])
    assert list(first_rule.signers.all()) == [lead]
    assert (second_rule.risks, second_rule.paths) == (["high"], ["auth/**"])
    assert second_rule.tools == ["pay/*", "mail/send"]
    told = [
        {"name": "Merges", "kinds": ["git.merge"], "signers": ["dana"]},
        {
            "name": "High",
            "risks": ["high"],
            "paths": ["auth/**"],
            "tools": ["pay/*", "mail/send"],
            "signatures_needed": 2,
        },
    ]
    assert AuditEntry.objects.get().detail == {"version": 2, "rules": told}

    kept = [first_rule, second_rule]
    same = [as_sent(rule) for rule in kept]
    as_admin.post(page(second), form(second, **rules(*same, kept=kept)))
    assert Policy.objects.get(active=True) == second
    changed = [{**same[0], "DELETE": "on"}, {**same[1], "signatures_needed": 3}]
    as_admin.post(page(second), form(second, **rules(*changed, kept=kept)))
    third = Policy.objects.get(project=project, active=True)
    assert [(each.name, each.signatures_needed) for each in third.rules.all()] == [("High", 3)]
    assert second.rules.count() == 2


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"name": "Nothing"}, "This rule asks for nothing"),
        ({"name": "", "signatures_needed": 2}, "This field is required"),
        ({"name": "Many", "signatures_needed": 6}, "less than or equal to 5"),
        ({"name": "Dire", "risks": ["dire"], "undo_seconds": 5}, "not one of the available"),
        ({"name": "Them", "signers": ["requester"]}, "not one of the available choices"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(policy, as_admin, requester, rule, said):
    if "signers" in rule:
        rule = {**rule, "signers": [requester.pk]}
    response = as_admin.post(page(policy), form(policy, **rules(rule)))
    assert response.status_code == 200
    assert said in response.content.decode()
    assert Policy.objects.get().active


def test_a_tech_lead_of_another_project_cannot_be_named(policy, as_admin, stranger):
    other = Project.objects.create(slug="other", name="other", repository="/nowhere.git")
    Membership.objects.create(user=stranger, project=other, role="lead")
    rule = {"name": "Merges", "signers": [stranger.pk]}
    response = as_admin.post(page(policy), form(policy, **rules(rule)))
    assert "is not one of the available choices" in response.content.decode()
    # Before a project is chosen every tech lead is offered.
    facts = {"project": policy.project_id, **rules(rule)}
    response = as_admin.post(page(), form(policy, **facts))
    assert "Sam Stranger is no tech lead of acme/billing" in response.content.decode()
    assert Policy.objects.get().active


def test_who_has_lost_the_role_is_not_dropped_in_silence(policy, project, as_admin, lead):
    merges = {"name": "Merges", "signatures_needed": 2, "signers": [lead.pk]}
    as_admin.post(page(policy), form(policy, **rules(merges)))
    second = Policy.objects.get(active=True)
    Membership.objects.filter(user=lead).update(role="requester")
    kept = list(second.rules.all())
    same = [as_sent(rule) for rule in kept]
    as_admin.post(page(second), form(second, **rules(*same, kept=kept)))
    assert Policy.objects.get(active=True) == second
    changed = [{**same[0], "signatures_needed": 3}]
    response = as_admin.post(page(second), form(second, **rules(*changed, kept=kept)))
    assert "Dana Kim is no tech lead of acme/billing" in response.content.decode()
    assert Policy.objects.get(active=True) == second


def test_a_version_that_is_not_in_force_any_more_is_not_changed(policy, project, admin):
    policies.change(project, by=admin, undo_seconds=20)
    with pytest.raises(TransitionRefused, match="Version 2 is in force since you opened version 1"):
        policies.change(project, by=admin, over=policy, undo_seconds=30)
    assert Policy.objects.get(active=True).undo_seconds == 20


def test_who_is_reminded_is_named_and_kept(policy, project, as_admin, lead, requester):
    refused = as_admin.post(page(policy), form(policy, remind_half="people"))
    assert "Name at least one person to be reminded." in refused.content.decode()
    stranger = as_admin.post(
        page(policy), form(policy, remind_half="people", remind_people=[str(requester.pk)])
    )
    assert "is not one of the available choices" in stranger.content.decode()
    wanted = {"remind_half": "people", "remind_people": [str(lead.pk)], "extend_hours": 12}
    as_admin.post(page(policy), form(policy, **wanted))
    new = active_policy(project)
    assert (new.version, new.remind_half, new.extend_hours) == (2, "people", 12)
    assert list(new.remind_people.all()) == [lead]
    as_admin.post(page(new), form(new, remind_half="leads", extend_hours=""))
    newest = active_policy(project)
    assert (newest.remind_half, newest.extend_hours) == ("leads", None)
    assert not newest.remind_people.exists()
    told = AuditEntry.objects.filter(action="policy.changed").order_by("pk")
    assert [entry.detail["remind_people"] for entry in told] == [["dana"], []]


def test_what_nobody_here_could_sign_is_said_and_put_in_force(as_admin, policy, lead):
    shown = as_admin.post(page(policy), form(policy, signatures_needed=5), follow=True).text
    assert "5 signatures are asked for, and acme/billing has 1 tech lead: nothing of it" in shown
    assert active_policy(policy.project).signatures_needed == 5
    newest = active_policy(policy.project)
    shown = as_admin.post(page(newest), form(newest, signatures_needed=1), follow=True).text
    assert (
        "1 signature is asked for, and acme/billing has 1 tech lead: what that one asks for"
        in shown
    )
