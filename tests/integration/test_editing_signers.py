"""Who signs what a person edited: at low risk who did, else somebody who did not, unless sealed otherwise."""

from __future__ import annotations

import pytest

from approvals import effects, policies, selectors
from approvals.exceptions import NotAllowed
from approvals.models import Approval, Edit, Effect
from countersign import invariants
from projects.models import Membership, User
from tests.approval_fixtures import make_repository
from tests.editing_fixtures import TEXT, checked_anew, editable, put, sign

pytestmark = pytest.mark.django_db


@pytest.fixture
def bare(project, tmp_path, settings):
    settings.DATA_DIR = tmp_path / "data"
    return make_repository(tmp_path, project)


@pytest.fixture
def change(project, requester, lead, second_lead, bare, tmp_path) -> Approval:
    return editable(project, requester, tmp_path)


def test_at_low_risk_who_edited_is_enough(project, change, lead):
    policies.change(project, by=lead, money_paths=[], protected_paths=[])
    project.checks_command = "true"
    project.save()
    put(change, lead)
    new = checked_anew(change)
    assert new.risk == "low", new.snapshot["risk"]
    assert "not_alone" not in new.snapshot["policy"]
    sign(new, lead)
    new.refresh_from_db()
    assert new.state == "approved"


@pytest.fixture
def risky(project, change, lead) -> Approval:
    """Return a change whose risk is above low: the policy says the docs are money paths."""
    policies.change(project, by=lead, money_paths=["docs/**"])
    return change


def test_above_low_risk_somebody_who_did_not_edit_signs_too(risky, lead, second_lead):
    put(risky, lead)
    new = checked_anew(risky)
    assert new.risk == "medium"
    assert new.snapshot["policy"]["not_alone"] == [{"id": str(lead.pk), "name": lead.display_name}]
    sign(new, lead)
    new.refresh_from_db()
    assert new.state == "pending"
    assert not Effect.objects.exists()
    assert [row.pk for row in selectors.needs_you(second_lead).pending] == [new.pk]
    assert selectors.needs_you(lead).pending == []
    assert selectors.count_needs_you(lead, cap=10) == 0
    sign(new, second_lead)
    new.refresh_from_db()
    assert new.state == "approved"


def test_somebody_who_did_not_edit_is_enough(risky, lead, second_lead):
    put(risky, lead)
    new = checked_anew(risky)
    sign(new, second_lead)
    new.refresh_from_db()
    assert new.state == "approved"


def test_where_one_person_does_everything_the_editor_signs_alone(project, risky, lead, bare):
    project.single_person = True
    project.save()
    put(risky, lead)
    new = checked_anew(risky)
    before = {one.check.name: one.found.count for one in invariants.verify()}
    sign(new, lead)
    new.refresh_from_db()
    assert new.state == "approved"
    Effect.objects.update(not_before="2020-01-01T00:00:00Z")
    assert effects.carry_out(Effect.objects.get().pk, worker="test")
    assert Effect.objects.get().state == "done"
    assert {one.check.name: one.found.count for one in invariants.verify()} == before


def test_an_editor_does_not_sign_alone_once_one_person_may_not(project, risky, lead):
    project.single_person = True
    project.save()
    put(risky, lead)
    new = checked_anew(risky)
    type(project).objects.update(single_person=False)
    sign(new, lead)
    new.refresh_from_db()
    assert new.state == "pending"


def test_what_an_editor_signed_alone_is_not_merged_once_one_person_may_not(project, risky, lead):
    project.single_person = True
    project.save()
    put(risky, lead)
    sign(checked_anew(risky), lead)
    type(project).objects.update(single_person=False)
    Effect.objects.update(not_before="2020-01-01T00:00:00Z")
    effects.carry_out(Effect.objects.get().pk, worker="test")
    assert Effect.objects.get().state != "done"


@pytest.fixture
def third_lead(project):
    user = User.objects.create(username="kim", first_name="Kim", last_name="Third")
    Membership.objects.create(user=user, project=project, role="lead")
    return user


def test_what_nobody_else_could_sign_is_not_edited(risky, lead, second_lead):
    type(second_lead).objects.filter(pk=second_lead.pk).update(is_active=False)
    with pytest.raises(NotAllowed, match="Nobody else may sign this, and at medium risk"):
        put(risky, lead)
    assert Approval.objects.get(pk=risky.pk).state == "pending"
    assert not Edit.objects.exists()


def test_the_last_who_has_not_edited_it_does_not_edit_it(risky, lead, second_lead):
    put(risky, lead)
    new = checked_anew(risky)
    with pytest.raises(NotAllowed, match="Nobody else may sign this"):
        put(new, second_lead, text=TEXT + "Twice.\n")
    assert Approval.objects.get(pk=new.pk).state == "pending"
    sign(new, second_lead)
    assert Approval.objects.get(pk=new.pk).state == "approved"


def test_at_low_risk_nobody_else_is_needed_to_edit(project, change, lead, second_lead):
    policies.change(project, by=lead, money_paths=[], protected_paths=[])
    project.checks_command = "true"
    project.save()
    put(change, lead, text=TEXT)
    Membership.objects.filter(user=second_lead).delete()
    low = checked_anew(change)
    assert low.risk == "low"
    put(low, lead, text=TEXT + "Twice.\n")
    sign(checked_anew(low), lead)


def test_where_the_policy_says_so_who_edited_signs_alone(risky, project, lead, second_lead, bare):
    type(second_lead).objects.filter(pk=second_lead.pk).update(is_active=False)
    policies.change(project, by=lead, editors_alone=True)
    put(risky, lead)
    new = checked_anew(risky)
    assert new.snapshot["policy"]["editors_alone"] is True
    policies.change(project, by=lead, editors_alone=False)  # what waits keeps its terms
    before = {one.check.name: one.found.count for one in invariants.verify()}
    sign(new, lead)
    new.refresh_from_db()
    assert new.state == "approved"
    Effect.objects.update(not_before="2020-01-01T00:00:00Z")
    effects.carry_out(Effect.objects.get().pk, worker="test")
    assert Effect.objects.get().state == "done"
    assert {one.check.name: one.found.count for one in invariants.verify()} == before


def test_a_term_of_the_policy_that_was_not_sealed_lets_no_editor_sign_alone(risky, project, lead):
    put(risky, lead)
    new = checked_anew(risky)
    policies.change(project, by=lead, editors_alone=True)
    sign(new, lead)
    new.refresh_from_db()
    assert new.state == "pending"


def test_two_editors_after_one_another_are_both_named(risky, lead, second_lead, third_lead):
    put(risky, lead)
    first = checked_anew(risky)
    put(first, second_lead, text=TEXT + "Twice.\n")
    second = checked_anew(first)
    assert second.proposal.version == 3
    names = [one["name"] for one in second.snapshot["policy"]["not_alone"]]
    assert names == [lead.display_name, second_lead.display_name]
    sign(second, lead)
    sign(second, second_lead)
    second.refresh_from_db()
    assert second.state == "pending"
