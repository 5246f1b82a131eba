"""A standing grant waits while the call it was made with is held, since that can be undone as long."""

from __future__ import annotations

import re

import pytest

from agents import holds
from approvals import policies
from approvals.calls import carrying
from approvals.calls.undoing import undo
from approvals.models import CallApproval, StandingGrant, StandingUse
from projects.models import AuditEntry
from tests.api_fixtures import by_session
from tests.approval_fixtures import past_triggers
from tests.call_fixtures import park, working_step
from tests.standing_fixtures import asks, let_any, remembered

pytestmark = pytest.mark.django_db

SCOPES = ["task", "project", "everything", "agent"]


@pytest.fixture
def waiting(tool, project, requester, lead) -> CallApproval:
    let_any(project, lead)
    return park(working_step(project, requester), "I-1")[0]


def _hold(row: CallApproval, by, scope: str):
    aims = {
        "task": {"task": row.task},
        "project": {"project": row.project},
        "agent": {"agent": row.step.agent},
    }
    return holds.place(by=by, **aims.get(scope, {}))


def _placed_by(scope: str, lead, admin):
    return lead if scope in {"task", "project"} else admin


def _window_over() -> None:
    """Let the decision and the hold that came before it be ten minutes ago."""
    for table, column in (("agents_hold", "placed_at"), ("approvals_callapproval", "decided_at")):
        past_triggers(f"UPDATE {table} SET {column} = {column} - interval '600 s'")  # noqa: S608


@pytest.mark.parametrize("scope", SCOPES)
def test_it_lets_nothing_through_before_that_call_can_be_made(
    waiting, server, project, requester, lead, admin, scope
):
    by = _placed_by(scope, lead, admin)
    hold = _hold(waiting, by, scope)
    grant = remembered(waiting, lead)
    (early,) = asks(project, requester, "I-2")
    assert early.state == "pending"
    carrying.make_due("effects")
    assert (server.requests, StandingUse.objects.count()) == (0, 0)
    holds.lift(hold, by=by)
    (later,) = asks(project, requester, "I-3")
    assert (later.state, StandingUse.objects.get().grant) == ("allowed", grant)


@pytest.mark.parametrize("scope", SCOPES)
def test_held_after_it_was_made_it_lets_nothing_more_through(
    waiting, project, requester, lead, admin, scope
):
    remembered(waiting, lead)
    assert asks(project, requester, "I-2")[0].state == "allowed"
    _hold(waiting, _placed_by(scope, lead, admin), scope)
    assert asks(project, requester, "I-3")[0].state == "pending"


def test_an_agents_hold_keeps_it_back_after_the_window(waiting, project, requester, lead, admin):
    policies.change(project, by=lead, call_undo_seconds=60)
    (row,) = park(working_step(project, requester), "I-4")
    hold = _hold(row, admin, "agent")
    remembered(row, lead)
    _window_over()
    assert asks(project, requester, "I-2")[0].state == "pending"
    holds.lift(hold, by=admin)
    assert asks(project, requester, "I-3")[0].state == "allowed"


def test_undone_under_a_hold_it_has_let_nothing_through(waiting, server, project, requester, lead):
    holds.place(by=lead, task=waiting.task)
    grant = remembered(waiting, lead)
    (other,) = asks(project, requester, "I-2")
    undo(waiting.pk, by=lead)
    carrying.make_due("effects")
    assert (other.state, server.requests) == ("pending", 0)
    assert StandingGrant.objects.get().revoked_by == lead
    acts = AuditEntry.objects.filter(object_id=str(grant.pk)).order_by("id")
    assert list(acts.values_list("action", flat=True)) == [
        "standing_grant.made",
        "standing_grant.revoked",
    ]


def _plain(html: str) -> str:
    return " ".join(re.sub("<[^>]+>", " ", html).split())


@pytest.mark.parametrize("scope", SCOPES)
def test_pages_say_what_it_waits_for_and_no_time(client, waiting, lead, admin, scope):
    by = _placed_by(scope, lead, admin)
    hold = _hold(waiting, by, scope)
    grant = remembered(waiting, lead)
    words = "the task is resumed" if scope == "task" else "the hold is lifted"
    client.force_login(lead)
    pages = ["/standing-grants", f"/standing-grants/{grant.pk}"]
    for url in pages:
        main = client.get(url).content.decode().partition("<main")[2]
        assert f"After {words}" in _plain(main), url
        assert not re.search(r"From \d\d:\d\d|before \d\d:\d\d|\bIn force by", _plain(main)), url
    assert f"called after {words}. Nothing goes through before that." in _plain(main)
    assert "Until then the grant lets nothing through" in _plain(
        client.get(f"/calls/{waiting.pk}").content.decode()
    )
    path = f"/api/v1/standing-grants/{grant.pk}"
    assert by_session(lead).get(path).json()["begins_at"]
    holds.lift(hold, by=by)
    assert "In force by Dana Kim" in _plain(client.get(pages[1]).content.decode())
    assert by_session(lead).get(path).json()["begins_at"] is None


def test_who_allows_what_is_held_is_told_beforehand_that_it_can_be_undone(client, waiting, lead):
    holds.place(by=lead, task=waiting.task)
    client.force_login(lead)
    text = client.get(f"/calls/{waiting.pk}").content.decode()
    assert "It is called after the task is resumed; until then that can be undone." in text
    assert "It lets nothing through while the permission of this call can be undone" in text
    assert "You can undo until the task is resumed." in client.get(f"/inbox?at={waiting.pk}").text


def test_who_remembers_what_is_held_is_told_when_both_begin(client, waiting, lead, admin):
    holds.place(by=admin, agent=waiting.step.agent)
    client.force_login(lead)
    text = client.get(f"/calls/{waiting.pk}").text
    agreed = re.search('name="agreed" value="([0-9a-f]{64})"', text)
    seal = {"digest": waiting.digest, "nonce": waiting.nonce}
    form = {**seal, "verdict": "remember", "confirmation": waiting.task.label}
    url = f"/calls/{waiting.pk}/decide"
    text = client.post(url, {**form, "agreed": agreed[1]}, follow=True).text
    assert "Allowed and remembered. It is called after the hold is lifted, and further" in text
