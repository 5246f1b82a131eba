"""What a seal holds: everything shown and done, nothing secret, and the same digest for ever."""

from __future__ import annotations

import pytest
from django.db.models.functions import Now

from agents.events import Kind
from agents.models import Hunk, Step
from approvals import canonical, expiring, sealing, snapshots
from approvals.deciding import HunkDecision
from approvals.models import Approval
from approvals.snapshots import same_repository
from memory.models import Memory, MemoryUse
from projects.exceptions import TransitionRefused
from tests import console_fixtures as fixtures
from tests.approval_fixtures import end_time, make_change, make_report, make_repository
from tests.reviewing import decide

pytestmark = pytest.mark.django_db

KEYS = {
    "version",
    "task",
    "requester",
    "round",
    "proposal",
    "effects",
    "files",
    "claims",
    "checks",
    "warnings",
    "risk",
    "policy",
    "agents",
    "planned_by",
    "memories",
    "usage",
    "single_person",
    "nonce",
    "expires_at",
}
LONG = {"files", "memories", "warnings"}


@pytest.fixture
def proposal(project, requester, lead, tmp_path):
    make_repository(tmp_path, project)
    return make_change(project, requester, tmp_path)


def test_the_database_keeps_the_short_parts_for_lists(proposal):
    sealed = sealing.seal(proposal)
    short = {name: part for name, part in sealed.snapshot.items() if name not in LONG}
    del short["proposal"]["report"]
    assert Approval.objects.get(pk=sealed.pk).outline == short


def test_the_snapshot_holds_everything_the_page_shows(proposal, requester):
    snapshot = sealing.seal(proposal).snapshot
    assert set(snapshot) == KEYS
    assert snapshot["requester"] == {"id": str(requester.pk), "name": "Mira Ode"}
    assert snapshot["effects"] == [
        {
            "kind": "git.merge",
            "repository": proposal.task.project.repository,
            "project": "acme/billing",
            "branch": "main",
            "base": proposal.base_commit,
            "head": proposal.head_commit,
            "tree": proposal.tree,
            "files": 2,
            "added": 3,
            "removed": 3,
            "reversible": True,
        }
    ]
    invoice, docs = snapshot["files"]
    assert (invoice["path"], docs["path"]) == ("billing/invoice.py", "docs/rounding.md")
    assert [len(file["hunks"]) for file in snapshot["files"]] == [2, 1]
    author = docs["hunks"][0]["author"]
    assert (author["agent"], author["name"]) == ("tech-writer", "Docs agent")
    assert (author["attempt"], author["round"]) == (1, 1)
    assert snapshot["claims"][0]["verdict"] == "proven"
    assert [agent["version"] for agent in snapshot["agents"]] == [1, 1, 1]


def test_who_planned_it_is_sealed_in_which_version_and_gets_no_comments(
    client, project, requester, lead
):
    made = fixtures.reviewed_task(project, requester)
    sealed = made.approval.snapshot
    (router,) = sealed["planned_by"]
    version = Step.objects.get(task=made.task, kind="route").version.number
    assert (router["slug"], router["version"]) == ("router", version)
    assert "router" not in {agent["slug"] for agent in sealed["agents"]}
    client.force_login(lead)
    page = " ".join(client.get(f"/review/{made.task.label}/r1").content.decode().split())
    assert f"Planned by {router['name']}, version {version}<" in page


def test_what_was_sealed_without_who_planned_it_verifies_and_is_shown(
    client, project, requester, lead, monkeypatch
):
    build = snapshots.build

    def before(*given, **facts):
        sealed = build(*given, **facts)
        del sealed["planned_by"]
        return sealed

    monkeypatch.setattr(snapshots, "build", before)  # as an older version of ours sealed
    made = fixtures.reviewed_task(project, requester)
    client.force_login(lead)
    page = client.get(f"/review/{made.task.label}/r1").content.decode()
    assert "Prepared by" in page
    assert "Planned by" not in page
    stored = Approval.objects.get()
    assert canonical.digest_of(stored.snapshot) == stored.digest
    seen = {"digest": stored.digest, "nonce": stored.nonce}
    decide(stored.pk, by=lead, verdict="approve", **seen)
    assert Approval.objects.get().state == "approved"


def test_the_stored_snapshot_still_has_its_digest(proposal):
    approval = sealing.seal(proposal)
    stored = Approval.objects.get()
    assert canonical.digest_of(stored.snapshot) == stored.digest == approval.digest
    assert stored.snapshot["checks"]["seconds"] == "1.25"
    assert stored.snapshot["expires_at"] == stored.expires_at.isoformat()


def test_two_seals_of_one_proposal_differ(proposal):
    first = sealing.seal(proposal)
    Approval.objects.update(state="expired", decided_at=Now())
    assert sealing.seal(proposal).digest != first.digest


def test_a_password_in_the_repository_address_is_not_sealed(project, requester):
    project.repository = "https://robot:hunter2@git.example.org/acme/billing.git"
    project.save()
    proposal = make_report(project, requester)
    type(proposal).objects.filter(pk=proposal.pk).update(
        kind="change", base_commit="a" * 40, head_commit="b" * 40, tree="c" * 40
    )
    proposal.refresh_from_db()
    approval = sealing.seal(proposal)
    assert b"hunter2" not in canonical.canonical(approval.snapshot)
    project.repository = "https://robot:hunter3@git.example.org/acme/billing.git"
    assert same_repository(project, approval.snapshot["effects"][0])
    project.repository = "https://robot:hunter3@git.example.org/acme/other.git"
    assert not same_repository(project, approval.snapshot["effects"][0])


def test_the_memories_used_are_sealed_once_each(proposal, project):
    memory = Memory.objects.create(
        project=project, content="Round once.", text_digest="d", source="user_stated"
    )
    for step in Step.objects.filter(task=proposal.task):
        MemoryUse.objects.create(
            memory=memory,
            task=proposal.task_id,
            step=step.pk,
            attempt=1,
            agent_slug="coder",
            rank=1,
            score=0.9,
            shown_tokens=3,
        )
    snapshot = sealing.seal(proposal).snapshot
    assert snapshot["memories"] == [{"id": str(memory.pk)}]


def test_sealing_is_told_in_an_event(proposal):
    approval = sealing.seal(proposal)
    event = approval.task.events.get(kind=Kind.APPROVAL_REQUESTED)
    assert event.data == {"approval": str(approval.pk), "risk": approval.risk}


def test_only_a_task_in_review_is_sealed(proposal):
    type(proposal.task).objects.update(state="working")
    with pytest.raises(TransitionRefused):
        sealing.seal(proposal)
    assert sealing.seal_ready() == 0


def test_only_the_newest_proposal_is_sealed(proposal, project, requester, tmp_path):
    proposal.task.round = 2
    newer = make_change(project, requester, tmp_path, task=proposal.task)
    assert sealing.seal_ready() == 1
    assert Approval.objects.get().proposal == newer
    assert sealing.seal_ready() == 0


def test_a_hunk_nobody_can_be_named_for_goes_back_to_everybody_who_worked(proposal, lead):
    hunk = Hunk.objects.filter(file__proposal=proposal).first()
    Hunk.objects.filter(pk=hunk.pk).update(author_step=None, author_attempt=None)
    approval = sealing.seal(proposal)
    decide(
        approval.pk,
        by=lead,
        verdict="request_changes",
        digest=approval.digest,
        nonce=approval.nonce,
        hunks=[HunkDecision(id=str(hunk.pk), verdict="refuse", note="Whose is this?")],
    )
    asked = Step.objects.filter(round=2, kind="work")
    assert {step.agent.slug for step in asked} == {"coder", "tech-writer"}
    assert all(step.feedback[0]["note"] == "Whose is this?" for step in asked)


def test_tasks_whose_approval_has_expired_hide_no_newer_one(project, requester, monkeypatch):
    monkeypatch.setattr(sealing, "_LOOKED_AT", 2)
    for _ in range(5):
        expired = sealing.seal(make_report(project, requester))
        end_time(expired)
        expiring.expire_due()
    new = make_report(project, requester)
    assert sealing.seal_ready(limit=1) == 1
    assert Approval.objects.get(state="pending").proposal == new
    assert sealing.seal_ready(limit=1) == 0
