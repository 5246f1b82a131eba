"""Deciding: one winner, nothing without the right, nothing on another digest."""

from __future__ import annotations

import pytest
from django.db.models.functions import Now

from agents.events import Kind
from agents.lifecycle import StepState, TaskState
from agents.models import Step
from agents.rounds import RoundsExhausted
from approvals import policies, sealing
from approvals.deciding import (
    AlreadyDecided,
    ApprovalExpired,
    DigestMismatch,
    HunkDecision,
    NotAllowed,
    StaleApproval,
    UnknownApproval,
)
from approvals.models import Approval, Effect, Signature
from memory.models import Memory
from projects.exceptions import InvalidInput, TransitionRefused
from projects.models import AuditEntry, Membership
from tests.approval_fixtures import end_time, make_change, make_report, make_repository
from tests.reviewing import decide

pytestmark = pytest.mark.django_db


@pytest.fixture
def report(project, requester, lead, second_lead) -> Approval:
    return sealing.seal(make_report(project, requester))


@pytest.fixture
def change(project, requester, lead, second_lead, tmp_path) -> Approval:
    make_repository(tmp_path, project)
    return sealing.seal(make_change(project, requester, tmp_path))


def _decide(approval: Approval, by, verdict="approve", **facts) -> Signature:
    given = {"digest": approval.digest, "nonce": approval.nonce, **facts}
    return decide(approval.pk, by=by, verdict=verdict, **given)


def _hunks(approval: Approval, agent: str) -> list[dict]:
    hunks = [hunk for file in approval.snapshot["files"] for hunk in file["hunks"]]
    return [hunk for hunk in hunks if hunk["author"]["agent"] == agent]


def _nothing_changed(approval: Approval) -> None:
    fresh = Approval.objects.get(pk=approval.pk)
    assert (fresh.state, fresh.decided_at) == ("pending", None)
    assert not Signature.objects.exists()
    assert not Effect.objects.exists()
    assert fresh.task.state == TaskState.REVIEW


def test_approving_plans_exactly_the_sealed_effects_after_the_undo_window(change, lead):
    signature = _decide(change, lead, note="Good.")
    change.refresh_from_db()
    effect = Effect.objects.get()
    assert change.state == "approved"
    assert change.decided_by == lead
    assert effect.arguments == change.snapshot["effects"][0]
    assert (effect.kind, effect.state, effect.position) == ("git.merge", "planned", 0)
    assert (effect.not_before - change.decided_at).total_seconds() == 10
    assert change.task.state == TaskState.EXECUTING
    assert (signature.digest, signature.nonce) == (change.digest, change.nonce)


def test_a_decision_is_told_in_events_and_in_the_audit_log(change, lead):
    _decide(change, lead, address="192.0.2.7")
    events = list(change.task.events.values_list("kind", flat=True))
    assert events == [
        Kind.APPROVAL_REQUESTED,
        Kind.APPROVAL_SIGNED,
        Kind.APPROVAL_DECIDED,
        Kind.TASK_STATE,
    ]
    entry = AuditEntry.objects.filter(action="approval.approve").get()
    assert (entry.actor, entry.address) == (lead, "192.0.2.7")
    assert entry.detail["digest"] == change.digest


def test_the_requester_never_signs_even_as_a_lead(change, requester):
    Membership.objects.filter(user=requester).update(role="lead")
    with pytest.raises(NotAllowed, match="You asked for this work"):
        _decide(change, requester)
    _nothing_changed(change)


def test_the_requester_signs_where_the_project_was_sealed_as_single_person(
    project, requester, lead
):
    Membership.objects.filter(user=requester).update(role="lead")
    project.single_person = True
    project.save()
    approval = sealing.seal(make_report(project, requester))
    assert _decide(approval, requester).single_person


def test_a_seal_as_single_person_ends_with_the_project_being_one(project, requester, lead):
    Membership.objects.filter(user=requester).update(role="lead")
    type(project).objects.update(single_person=True)
    project.refresh_from_db()
    approval = sealing.seal(make_report(project, requester))
    type(project).objects.update(single_person=False)
    with pytest.raises(NotAllowed, match="You asked for this work"):
        _decide(approval, requester)
    _nothing_changed(approval)


def test_a_superuser_who_asked_does_not_sign_either(change, requester):
    requester.is_superuser = requester.is_staff = True
    requester.save()
    with pytest.raises(NotAllowed):
        _decide(change, requester)
    _nothing_changed(change)


def test_a_plain_member_does_not_decide(change, stranger, project):
    Membership.objects.create(user=stranger, project=project, role="requester")
    with pytest.raises(NotAllowed, match="Only a tech lead"):
        _decide(change, stranger)
    _nothing_changed(change)


def test_people_outside_the_project_do_not_even_see_it(change, stranger, admin):
    for person in (stranger, admin):
        with pytest.raises(UnknownApproval):
            _decide(change, person)
    _nothing_changed(change)


def test_a_disabled_lead_does_not_decide(change, lead):
    lead.is_active = False
    lead.save()
    with pytest.raises(UnknownApproval):
        _decide(change, lead)
    _nothing_changed(change)


def test_a_token_never_decides(change, lead):
    with pytest.raises(NotAllowed, match="token"):
        _decide(change, lead, via="token")
    _nothing_changed(change)


@pytest.mark.parametrize(
    "facts",
    [
        {"digest": "0" * 64},
        {"nonce": "another"},
        {"digest": ""},
        {"digest": "\x00"},
        {"nonce": "\ud800"},
    ],
)
@pytest.mark.parametrize("verdict", ["approve", "request_changes", "reject"])
def test_another_digest_or_nonce_is_refused(change, lead, facts, verdict):
    with pytest.raises(DigestMismatch):
        _decide(change, lead, verdict, note="Because.", **facts)
    _nothing_changed(change)


def test_the_digest_of_an_earlier_approval_is_stale(change, lead):
    old = change.digest
    Approval.objects.filter(pk=change.pk).update(state="expired", decided_at=Now())
    new = sealing.seal(change.proposal)
    with pytest.raises(StaleApproval, match="earlier version"):
        _decide(new, lead, digest=old)


def test_digest_and_nonce_of_another_task_are_refused(change, lead, project, requester):
    other = sealing.seal(make_report(project, requester))
    with pytest.raises(DigestMismatch):
        _decide(change, lead, digest=other.digest, nonce=other.nonce)


def test_an_expired_approval_is_not_decided(change, lead):
    end_time(change)
    with pytest.raises(ApprovalExpired, match="Nothing was merged"):
        _decide(change, lead)
    _nothing_changed(change)


def test_the_second_decision_is_refused_and_names_the_first(change, lead, second_lead):
    _decide(change, lead)
    for verdict in ("approve", "request_changes", "reject"):
        with pytest.raises(AlreadyDecided, match=r"Dana Kim approved this at \d{4}-"):
            _decide(change, second_lead, verdict, note="No.")
    assert Signature.objects.count() == 1
    assert Effect.objects.count() == 1


def test_two_signatures_are_needed_where_the_policy_says_so(project, requester, lead, second_lead):
    policies.change(project, by=lead, signatures_needed=2)
    approval = sealing.seal(make_report(project, requester))
    _decide(approval, lead)
    approval.refresh_from_db()
    assert approval.state == "pending"
    assert not Effect.objects.exists()
    with pytest.raises(AlreadyDecided, match="signed this already"):
        _decide(approval, lead)
    _decide(approval, second_lead)
    approval.refresh_from_db()
    assert approval.state == "approved"
    assert Effect.objects.count() == 1
    signed = approval.task.events.filter(kind=Kind.APPROVAL_SIGNED).values_list("data", flat=True)
    assert [(one["signed"], one["needed"]) for one in signed] == [(1, 2), (2, 2)]


def test_one_rejection_ends_it_where_two_signatures_are_needed(
    project, requester, lead, second_lead
):
    policies.change(project, by=lead, signatures_needed=2)
    approval = sealing.seal(make_report(project, requester))
    _decide(approval, lead)
    _decide(approval, second_lead, "reject", note="Not needed.")
    approval.refresh_from_db()
    assert (approval.state, approval.task.state) == ("rejected", TaskState.REJECTED)
    assert not Effect.objects.exists()


def test_rejecting_needs_a_reason(change, lead):
    with pytest.raises(InvalidInput) as refused:
        _decide(change, lead, "reject", note="  ")
    assert refused.value.field == "note"
    _nothing_changed(change)


def test_rejecting_ends_the_task_and_proposes_the_reason_as_a_lesson(change, lead):
    _decide(change, lead, "reject", note="Rounding belongs to the ledger, not to the invoice.")
    change.refresh_from_db()
    assert change.task.state == TaskState.REJECTED
    assert change.task.reason == "Rounding belongs to the ledger, not to the invoice."
    lesson = Memory.objects.get()
    assert (lesson.state, lesson.source) == ("proposed", "review_reject")
    assert lesson.source_label == f"your reject of {change.task.label}"
    assert (lesson.source_task, lesson.source_approval) == (change.task_id, change.pk)


def test_a_lesson_is_kept_when_the_reviewer_says_so(change, lead):
    docs = _hunks(change, "tech-writer")[0]["id"]
    _decide(
        change,
        lead,
        "request_changes",
        hunks=[HunkDecision(id=docs, verdict="refuse", note="It is half even.")],
        lesson="Tax is rounded half even.",
        keep_lesson=True,
    )
    lesson = Memory.objects.get()
    assert (lesson.state, lesson.approved_by) == ("active", lead)
    assert lesson.paths == ["docs/rounding.md"]
    assert lesson.source == "review_changes"


def test_a_lesson_nobody_asked_to_keep_waits(change, lead):
    _decide(change, lead, "request_changes", note="No.", lesson="Round once.")
    assert Memory.objects.get().state == "proposed"


def test_a_lesson_that_cannot_be_kept_refuses_the_decision(change, lead):
    with pytest.raises(InvalidInput) as refused:
        _decide(change, lead, "reject", note="No.", lesson="half\u200bup")
    assert refused.value.field == "lesson"
    _nothing_changed(change)


def test_a_reason_that_is_no_fit_lesson_still_rejects(change, lead):
    _decide(change, lead, "reject", note="half\u200bup")
    change.refresh_from_db()
    assert change.state == "rejected"
    assert not Memory.objects.exists()


def test_a_refused_hunk_goes_to_the_agent_that_wrote_it_and_to_no_other(change, lead):
    docs = _hunks(change, "tech-writer")[0]["id"]
    code = _hunks(change, "coder")[0]["id"]
    _decide(
        change,
        lead,
        "request_changes",
        hunks=[
            HunkDecision(id=docs, verdict="refuse", note="Say half even."),
            HunkDecision(id=code, verdict="accept"),
        ],
    )
    task = change.task
    task.refresh_from_db()
    assert (task.state, task.round) == (TaskState.WORKING, 2)
    steps = {step.agent.slug: step for step in task.steps.filter(round=2)}
    assert set(steps) == {"tech-writer", "aggregator"}
    assert steps["tech-writer"].state == StepState.READY
    told = steps["tech-writer"].feedback
    assert [one["note"] for one in told] == ["Say half even."]
    assert told[0]["path"] == "docs/rounding.md"
    comments = {comment.verdict: comment for comment in change.comments.all()}
    assert comments["refuse"].goes_to.slug == "tech-writer"
    assert comments["accept"].goes_to is None


def test_a_general_note_goes_to_every_author(change, lead):
    _decide(change, lead, "request_changes", note="Keep the old names.")
    slugs = set(Step.objects.filter(round=2).values_list("agent__slug", flat=True))
    assert slugs == {"coder", "tech-writer", "aggregator"}


def test_a_general_note_goes_only_to_the_agents_named(change, lead):
    _decide(change, lead, "request_changes", note="Keep the old names.", agents=["coder"])
    slugs = set(Step.objects.filter(round=2).values_list("agent__slug", flat=True))
    assert slugs == {"coder", "aggregator"}


def test_a_note_on_a_report_goes_to_everybody_who_worked(report, lead):
    _decide(report, lead, "request_changes", note="Name the lines.")
    slugs = set(Step.objects.filter(round=2).values_list("agent__slug", flat=True))
    assert slugs == {"coder", "tech-writer", "aggregator"}


def test_an_agent_that_did_not_work_on_it_cannot_be_named(change, lead):
    with pytest.raises(InvalidInput, match="painter"):
        _decide(change, lead, "request_changes", note="No.", agents=["painter"])
    _nothing_changed(change)


def test_requesting_changes_needs_a_word(change, lead):
    with pytest.raises(InvalidInput, match="Say what must change"):
        _decide(change, lead, "request_changes")
    _nothing_changed(change)


def test_approving_with_a_refused_hunk_is_refused(change, lead):
    docs = _hunks(change, "tech-writer")[0]["id"]
    with pytest.raises(InvalidInput, match="request changes"):
        _decide(change, lead, hunks=[HunkDecision(id=docs, verdict="refuse")])
    _nothing_changed(change)


@pytest.mark.parametrize("verdict", ["approve", "request_changes", "reject"])
def test_a_hunk_of_another_proposal_is_refused(change, lead, verdict):
    foreign = HunkDecision(id="00000000-0000-7000-8000-000000000000", note="Whose?")
    with pytest.raises(InvalidInput) as refused:
        _decide(change, lead, verdict, note="No.", hunks=[foreign])
    assert refused.value.field == "hunks"
    _nothing_changed(change)


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"verdict": "merge"}, "verdict"),
        ({"note": "a\x00b"}, "note"),
        ({"note": "\ud800"}, "note"),
        ({"note": "x" * 5_001}, "note"),
        ({"lesson": "x" * 601}, "lesson"),
        ({"hunks": [HunkDecision(id="1", verdict="maybe")]}, "hunks"),
        ({"hunks": [HunkDecision(id="1"), HunkDecision(id="1")]}, "hunks"),
    ],
)
def test_input_that_cannot_be_accepted_names_its_field(change, lead, facts, field):
    verdict = facts.pop("verdict", "approve")
    with pytest.raises(InvalidInput) as refused:
        _decide(change, lead, verdict, **facts)
    assert refused.value.field == field
    _nothing_changed(change)


def test_no_round_is_opened_beyond_the_limit(change, lead):
    task = change.task
    type(task).objects.filter(pk=task.pk).update(limits={"rounds": 1})
    with pytest.raises(RoundsExhausted):
        _decide(change, lead, "request_changes", note="Once more.")
    _nothing_changed(change)


def test_a_decision_on_a_task_that_is_over_changes_nothing(change, lead):
    type(change.task).objects.filter(pk=change.task_id).update(state="cancelled", finished_at=Now())
    with pytest.raises(TransitionRefused):
        _decide(change, lead)
    assert not Signature.objects.exists()
    assert not Effect.objects.exists()
    assert Approval.objects.get().state == "pending"
