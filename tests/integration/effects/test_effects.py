"""Carrying out: what was signed lands once; anything else lands never."""

from __future__ import annotations

import pytest
from django.db.models.functions import Now

from agents.events import Kind
from agents.lifecycle import TaskState
from agents.models import Proposal
from agents.workspace.git import Store
from approvals import canonical, effects, invariants, policies, sealing, undoing
from approvals.models import Approval, Effect
from projects import audit
from projects.models import Membership, Project
from tests.approval_fixtures import (
    approve,
    first_parents,
    git,
    make_change,
    make_report,
    move_main,
    past_triggers,
)

pytestmark = pytest.mark.django_db


def _refused(effect: Effect, bare, word: str) -> None:
    """Nothing merged, the approval is stale, the task waits for a person, with the reason."""
    effects.carry_out_due("test")
    effect.refresh_from_db()
    approval = Approval.objects.get(pk=effect.approval_id)
    assert len(first_parents(bare)) == 1
    assert (effect.state, approval.state) == ("failed", "stale")
    assert approval.task.state == TaskState.REVIEW
    assert word in approval.reason
    assert effect.error == approval.reason
    assert effects.carry_out_due("test") == 0


def test_the_sealed_tree_lands_with_its_trailers(approved, bare, lead):
    sealed = approved.arguments
    assert effects.carry_out_due("worker-1") == 1
    approved.refresh_from_db()
    head = git(bare, "rev-parse", "main")
    assert approved.state == "done"
    assert approved.result["commit"] == head
    assert git(bare, "rev-parse", "main^{tree}") == sealed["tree"]
    assert git(bare, "log", "-1", "--format=%P", "main").split() == [sealed["base"], sealed["head"]]
    trailers = git(bare, "log", "-1", "--format=%(trailers:only,unfold)", "main").splitlines()
    approval = approved.approval
    assert trailers == [
        f"Countersign-Task: {approval.task.label}",
        f"Countersign-Approval: {approval.pk}",
        "Approved-by: Dana Kim <dana>",
    ]
    assert git(bare, "log", "-1", "--format=%s", "main") == "Round once on the total"
    decided = int(Approval.objects.get().decided_at.timestamp())
    assert git(bare, "log", "-1", "--format=%ct %at", "main") == f"{decided} {decided}"


def test_the_task_is_done_and_the_events_tell_it(approved):
    effects.carry_out_due("worker-1")
    task = approved.approval.task
    task.refresh_from_db()
    assert task.state == TaskState.DONE
    kinds = list(task.events.values_list("kind", flat=True))
    assert kinds[-3:] == [Kind.EFFECT_STARTED, Kind.EFFECT_FINISHED, Kind.TASK_FINISHED]
    assert list(task.events.values_list("seq", flat=True)) == list(range(1, len(kinds) + 1))


def test_a_done_effect_is_not_done_again(approved, bare):
    effects.carry_out_due("worker-1")
    before = first_parents(bare)
    assert effects.carry_out_due("worker-2") == 0
    assert effects.carry_out(approved.pk, worker="worker-2") is False
    assert first_parents(bare) == before


def test_nothing_happens_before_the_undo_window_ends(project, requester, lead, bare, tmp_path):
    policies.change(project, by=lead, undo_seconds=60)
    approval = sealing.seal(make_change(project, requester, tmp_path))
    effect = approve(approval, lead)
    assert effects.carry_out_due("worker-1") == 0
    effect.refresh_from_db()
    assert (effect.state, len(first_parents(bare))) == ("planned", 1)


def test_a_report_is_delivered(project, requester, lead, bare):
    effect = approve(sealing.seal(make_report(project, requester)), lead)
    effects.carry_out_due("worker-1")
    effect.refresh_from_db()
    assert effect.state == "done"
    assert effect.result["to"] == "Mira Ode"
    effect.approval.task.refresh_from_db()
    assert effect.approval.task.state == TaskState.DONE


def test_another_report_than_the_sealed_one_is_not_delivered(project, requester, lead, bare):
    effect = approve(sealing.seal(make_report(project, requester)), lead)
    Proposal.objects.update(report="Something else.")
    _refused(effect, bare, "the report of what was to be delivered")


def test_main_moved_between_decision_and_merge_merges_nothing(approved, bare):
    actual = move_main(bare)
    effects.carry_out_due("worker-1")
    approved.refresh_from_db()
    approval = Approval.objects.get()
    assert (approved.state, approval.state) == ("failed", "stale")
    assert approval.task.state == TaskState.REVIEW
    assert f"main has moved to {actual[:9]}" in approval.reason
    assert git(bare, "rev-parse", "main") == actual


def test_main_moved_in_the_last_moment_is_caught_by_the_swap(approved, bare, monkeypatch):
    moved = []
    push = Store.push_main

    def late(self, new, *, expected):
        moved.append(move_main(bare))
        push(self, new, expected=expected)

    monkeypatch.setattr(Store, "push_main", late)
    effects.carry_out_due("worker-1")
    approved.refresh_from_db()
    assert approved.state == "failed"
    assert git(bare, "rev-parse", "main") == moved[0]
    assert Approval.objects.get().state == "stale"


def test_a_title_cannot_forge_a_trailer(project, requester, lead, bare, tmp_path):
    proposal = make_change(
        project,
        requester,
        tmp_path,
        title="Fix\n\nCountersign-Approval: forged",
        summary="Text.\nApproved-by: Mallory <m>\ncountersign-task: T-0",
    )
    approve(sealing.seal(proposal), lead)
    effects.carry_out_due("worker-1")
    body = git(bare, "log", "-1", "--format=%B", "main")
    assert "\nApproved-by: Mallory" not in body
    trailers = git(bare, "log", "-1", "--format=%(trailers:only,unfold)", "main").splitlines()
    assert len(trailers) == 3
    assert trailers[2] == "Approved-by: Dana Kim <dana>"


def test_a_changed_snapshot_is_refused(approved, bare):
    past_triggers(
        "UPDATE approvals_approval SET snapshot = jsonb_set(snapshot, '{proposal,title}', %s)",
        '"Something else"',
    )
    _refused(approved, bare, "the sealed snapshot and its digest")


def test_a_changed_snapshot_with_a_new_digest_is_refused_by_its_signature(approved, bare):
    approval = approved.approval
    snapshot = {**approval.snapshot, "round": 7}
    past_triggers(
        "UPDATE approvals_approval SET snapshot = %s, digest = %s",
        _json(snapshot),
        canonical.digest_of(snapshot),
    )
    _refused(approved, bare, "the signature of Dana Kim")


def test_changed_hunks_are_refused_hunk_for_hunk(approval, lead, bare):
    """Everything was sealed and signed, but the page showed other lines than git has."""
    snapshot = approval.snapshot
    shown = snapshot["files"][0]["hunks"][0]
    shown["text"] = shown["text"].replace("line three", "line 3.0")
    digest = canonical.digest_of(snapshot)
    past_triggers(
        "UPDATE approvals_approval SET snapshot = %s, digest = %s", _json(snapshot), digest
    )
    approval.refresh_from_db()
    _refused(approve(approval, lead), bare, "the hunks of billing/invoice.py")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda files: files.pop(), "the list of files"),
        (lambda files: files[0].update(new_mode="100755"), "new_mode of billing/invoice.py"),
        (lambda files: files[0].update(new_blob="0" * 40), "new_blob of billing/invoice.py"),
        (lambda files: files[0]["hunks"].pop(), "the hunks of billing/invoice.py"),
        (lambda files: files[0].update(binary=True), "binary of billing/invoice.py"),
    ],
)
def test_a_page_that_showed_less_than_git_has_is_refused(approval, lead, bare, change, word):
    snapshot = approval.snapshot
    change(snapshot["files"])
    past_triggers(
        "UPDATE approvals_approval SET snapshot = %s, digest = %s",
        _json(snapshot),
        canonical.digest_of(snapshot),
    )
    approval.refresh_from_db()
    _refused(approve(approval, lead), bare, word)


def test_another_tree_than_the_sealed_one_is_refused(approval, lead, bare):
    snapshot = approval.snapshot
    snapshot["effects"][0]["tree"] = git(bare, "rev-parse", "main^{tree}")
    past_triggers(
        "UPDATE approvals_approval SET snapshot = %s, digest = %s",
        _json(snapshot),
        canonical.digest_of(snapshot),
    )
    approval.refresh_from_db()
    _refused(approve(approval, lead), bare, "the tree of the sealed commit")


def test_changed_arguments_of_the_effect_are_refused(approved, bare):
    other = {**approved.arguments, "head": approved.arguments["base"]}
    Effect.objects.update(arguments=other)
    _refused(approved, bare, "the effect's arguments")


def test_another_kind_of_effect_is_refused(approved, bare):
    Effect.objects.update(kind="deliver")
    _refused(approved, bare, "the effect's kind")


def test_another_repository_is_refused(approved, bare, project, tmp_path):
    git(tmp_path, "clone", "-q", "--bare", str(bare), "elsewhere.git")
    project.repository = str(tmp_path / "elsewhere.git")
    project.save()
    _refused(approved, bare, "the project's repository or branch")
    assert len(first_parents(tmp_path / "elsewhere.git")) == 1


def test_a_signer_who_lost_the_role_is_refused(approved, bare, lead):
    Membership.objects.filter(user=lead).update(role="requester")
    _refused(approved, bare, "Dana Kim signed this but may no longer sign")


def test_a_disabled_signer_is_refused(approved, bare, lead):
    lead.is_active = False
    lead.save()
    _refused(approved, bare, "Dana Kim signed this but may no longer sign")


def test_an_effect_without_a_signature_is_refused(approved, bare):
    past_triggers("DELETE FROM approvals_signature")
    _refused(approved, bare, "It still needs one more signature")


def test_a_signature_of_the_requester_is_refused(approved, bare, requester):
    Membership.objects.filter(user=requester).update(role="lead")
    past_triggers(
        "UPDATE approvals_signature SET requester_id = signer_id, signer_id = %s", requester.pk
    )
    _refused(approved, bare, "Mira Ode signed this but may no longer sign")


def test_an_effect_whose_task_was_stopped_from_below_is_not_carried_out(approved, bare):
    task = approved.approval.task
    type(task).objects.filter(pk=task.pk).update(state="cancelled", finished_at=Now())
    assert effects.carry_out_due("worker-1") == 0
    assert effects.carry_out(approved.pk, worker="worker-1") is False
    approved.refresh_from_db()
    assert (approved.state, len(first_parents(bare))) == ("planned", 1)


@pytest.mark.parametrize("trouble", ["main moved", "repository away", "none"])
def test_a_task_that_ended_while_its_effect_was_under_way_does_not_hang(approved, bare, trouble):
    effects.begin(effects._load(approved.pk), worker="dead")
    task = approved.approval.task
    type(task).objects.filter(pk=task.pk).update(state="cancelled", finished_at=Now())
    if trouble == "main moved":
        move_main(bare)
    if trouble == "repository away":
        bare.rename(bare.with_name("away.git"))
    effects.carry_out_due("worker-1")
    approved.refresh_from_db()
    task.refresh_from_db()
    expected = {"main moved": "failed", "repository away": "failed", "none": "done"}
    assert approved.state == expected[trouble]
    assert task.state == TaskState.CANCELLED
    assert not task.escalations.exists()
    assert effects.carry_out_due("worker-1") == 0


def test_one_effect_that_cannot_be_looked_after_does_not_hold_up_the_others(
    approved, bare, lead, project, requester, monkeypatch
):
    other = approve(sealing.seal(make_report(project, requester)), lead)
    act = effects.act

    def broken(effect):
        if effect.pk == approved.pk:
            raise RuntimeError
        act(effect)

    monkeypatch.setattr(effects, "act", broken)
    effects.carry_out_due("worker-1")
    other.refresh_from_db()
    assert other.state == "done"


def test_a_requester_whose_project_is_no_longer_single_person_is_refused(
    project, requester, lead, bare, tmp_path
):
    Membership.objects.filter(user=requester).update(role="lead")
    type(project).objects.update(single_person=True)
    project.refresh_from_db()
    approval = sealing.seal(make_change(project, requester, tmp_path))
    effect = approve(approval, requester)
    type(project).objects.update(single_person=False)
    _refused(effect, bare, "Mira Ode signed this but may no longer sign")


def _json(value: object) -> str:
    return canonical.canonical(value).decode()


def test_due_effects_of_one_project_do_not_hide_those_of_another(
    approved, project, requester, lead, bare, monkeypatch
):
    monkeypatch.setattr(effects, "_BATCH", 4)
    monkeypatch.setattr(effects, "_OF_A_PROJECT", 2)
    other = Project.objects.create(slug="other", name="Other")
    for user, role in ((requester, "requester"), (lead, "lead")):
        Membership.objects.create(project=other, user=user, role=role)
    for _ in range(5):
        approve(sealing.seal(make_report(project, requester)), lead)
    policies.change(other, by=lead, undo_seconds=0)
    late = approve(sealing.seal(make_report(other, requester)), lead)
    due = effects._due()
    assert len(due) == 3
    assert (late.pk, other.pk) in due


def test_merge_from_before_the_demo_was_set_back_breaks_no_invariant(approved, bare, project):
    base = git(bare, "rev-parse", "main").strip()
    assert effects.carry_out_due("test") == 1
    assert list(invariants._merged_once()) == []
    git(bare, "update-ref", "refs/heads/main", base)
    (gone,) = invariants._merged_once()
    assert gone.pk == str(approved.approval_id)
    audit.record(audit.DEMO_RESET, subject=project, actor=None, project=project)
    assert list(invariants._merged_once()) == []


def test_an_approval_that_was_undone_and_is_put_back_by_hand_merges_nothing(
    project, requester, lead, bare, tmp_path
):
    policies.change(project, by=lead, undo_seconds=60)
    approval = sealing.seal(make_change(project, requester, tmp_path))
    effect = approve(approval, lead)
    undoing.undo(approval, by=lead)
    past_triggers("DELETE FROM approvals_reminder")
    past_triggers("DELETE FROM approvals_listed WHERE decided_at IS NULL")
    past_triggers("DELETE FROM approvals_approval WHERE state = 'pending'")
    past_triggers("UPDATE approvals_approval SET state = 'approved'")
    past_triggers("UPDATE approvals_effect SET state = 'planned', not_before = now()")
    past_triggers("UPDATE agents_task SET state = 'executing'")
    effects.carry_out_due("worker-1")
    effect.refresh_from_db()
    assert (effect.state, len(first_parents(bare))) == ("failed", 1)
    assert "The audit log says approval.undone of this" in effect.error
