"""The tab of what was decided says what came of it."""

from __future__ import annotations

import pytest

from approvals import effects, policies, sealing, stopping, undoing
from approvals.lifecycle import EffectState
from approvals.models import Approval, Effect
from tests.approval_fixtures import make_change, make_report, make_repository
from tests.reviewing import decide

pytestmark = pytest.mark.django_db


def approve(approval: Approval, by) -> Approval:
    seen = {"digest": approval.digest, "nonce": approval.nonce}
    decide(approval.pk, by=by, verdict="approve", **seen)
    return Approval.objects.get(pk=approval.pk)


def decided_tab(client, lead) -> str:
    client.force_login(lead)
    return " ".join(client.get("/inbox?tab=decided").content.decode().split())


def test_a_merge_says_as_what(client, project, requester, lead, tmp_path):
    policies.change(project, by=lead, undo_seconds=0)
    make_repository(tmp_path, project)
    approve(sealing.seal(make_change(project, requester, tmp_path)), lead)
    assert "Merged as" not in decided_tab(client, lead)
    effects.carry_out_due("worker")
    commit = Effect.objects.get().result["commit"]
    page = decided_tab(client, lead)
    assert page.count(f"Merged as {commit[:7]}") == 2  # in its row, and in the look beside it


def test_what_failed_says_so(client, project, requester, lead):
    approve(sealing.seal(make_report(project, requester)), lead)
    effect = Effect.objects.get()
    effect.move(EffectState.DOING)
    effect.move(EffectState.FAILED, error="The mail server said no.")
    assert decided_tab(client, lead).count("Approved, but it failed") == 2


def test_what_was_undone_says_who_did_it(client, project, requester, lead):
    policies.change(project, by=lead, undo_seconds=300)
    approval = approve(sealing.seal(make_report(project, requester)), lead)
    undoing.undo(approval, by=lead)
    assert "Withdrawn: Dana Kim undid the approval." in decided_tab(client, lead)


def test_what_was_stopped_says_why(client, project, requester, lead):
    approval = sealing.seal(make_report(project, requester))
    stopping.stop_task(approval.task, by=lead, reason="Not this year.")
    assert "Not this year." in decided_tab(client, lead)
