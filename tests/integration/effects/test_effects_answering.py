"""Stopping where an approved effect failed: what was approved is withdrawn with the answer."""

from __future__ import annotations

import pytest

from agents.models import Escalation, Step
from approvals import effects
from projects.models import AuditEntry
from tests.api_fixtures import URL, by_token

pytestmark = pytest.mark.django_db


@pytest.fixture
def failed(approved, bare) -> Escalation:
    """The approved merge could not be carried out; a person is asked."""
    bare.rename(bare.with_name("away.git"))
    effects.carry_out_due("worker-1")
    return approved.approval.task.escalations.select_related("task__project").get()


@pytest.mark.parametrize("way", ["api", "page"])
def test_stop_withdraws_the_approval_at_once(approved, failed, lead, client, way):
    task = failed.task
    if way == "api":
        answer = by_token(lead).post(
            f"{URL}/{task.pk}/escalations/{failed.pk}", {"choice": "stop", "note": "Too late."}
        )
        assert answer.status_code == 200
    else:
        client.force_login(lead)
        path = f"/tasks/T-{task.number}/escalations/{failed.pk}"
        client.post(path, {"choice": "stop", "note": "Too late."})
    for row in (approved, approved.approval, task, failed):
        row.refresh_from_db()
    assert (task.state, task.reason) == ("cancelled", "Too late.")
    assert (approved.approval.state, failed.choice) == ("withdrawn", "stop")
    assert approved.state == "failed"
    actions = list(AuditEntry.objects.order_by("-id").values_list("action", "address")[:3])
    assert {action for action, _ in actions} == {
        "escalation.resolved",
        "approval.withdrawn",
        "task.stopped",
    }
    assert {address for _, address in actions} == {"127.0.0.1"}
    effects.carry_out_due("worker-1")
    assert Step.objects.filter(task=task, state="ready").count() == 0


def test_stop_is_refused_while_nobody_knows_what_landed(approved, failed, lead):
    type(approved).objects.filter(pk=approved.pk).update(state="unknown")
    path = f"{URL}/{failed.task_id}/escalations/{failed.pk}"
    answer = by_token(lead).post(path, {"choice": "stop"})
    assert (answer.status_code, answer.json()["state"]) == (409, "open")
    assert "Answer the open question first" in answer.json()["detail"]
    failed.refresh_from_db()
    approved.approval.refresh_from_db()
    assert (failed.state, approved.approval.state) == ("open", "approved")
