"""An undo window that stands still under a hold is counted down nowhere, and is told to wait for its end."""

from __future__ import annotations

import re

import pytest
from django.utils.dateparse import parse_datetime

from agents import holds
from approvals import policies, sealing
from approvals.calls import carrying, ending, windows
from approvals.calls.undoing import undo
from approvals.exceptions import UndoRefused
from approvals.models import CallApproval, Effect
from approvals.stopping import stop_task
from tests.api_fixtures import by_session
from tests.approval_fixtures import approve, make_report, past_triggers
from tests.call_fixtures import decided, park, waiting_call, working_step
from tests.standing_fixtures import standing_grant

pytestmark = pytest.mark.django_db

COUNTED = re.compile(r'data-until="([^"]+)"')
BUTTON = re.compile(r'action="/calls/[0-9a-f-]+/undo"')


@pytest.fixture
def waiting(tool, project, requester, lead) -> CallApproval:
    policies.change(project, by=lead, call_undo_seconds=60)
    return waiting_call(project, requester)


@pytest.fixture
def allowed(waiting, lead) -> CallApproval:
    return decided(waiting, lead)


@pytest.fixture
def shown(client, lead):
    """Return what opens a page as the tech lead."""

    def opened(url: str) -> str:
        client.force_login(lead)
        answer = client.get(url)
        assert answer.status_code == 200
        return answer.content.decode()

    return opened


def _pages(row: CallApproval) -> tuple[str, ...]:
    return (
        f"/calls/{row.pk}",
        f"/calls/{row.pk}/live?shown=allowed-1",
        "/inbox?tab=with-agents",
        f"/inbox?tab=decided&at={row.pk}",
        f"/tasks/{row.task.label}",
    )


def _stood(seconds: int) -> None:
    """Let the hold have been placed so many seconds earlier, just after the decision it holds up."""
    for table, column in (
        ("agents_hold", "placed_at"),
        ("approvals_callapproval", "decided_at"),
        ("approvals_approval", "decided_at"),
    ):
        past_triggers(f"UPDATE {table} SET {column} = {column} - %s * interval '1 s'", seconds)  # noqa: S608
    past_triggers(
        "UPDATE approvals_effect SET not_before = not_before - %s * interval '1 s'", seconds
    )


@pytest.mark.parametrize("scope", ["task", "project", "everything"])
def test_a_call_that_is_held_counts_down_nowhere_and_can_be_undone(
    shown, allowed, project, lead, admin, scope
):
    aims = {"task": {"task": allowed.task}, "project": {"project": project}, "everything": {}}
    hold = holds.place(by=admin if scope == "everything" else lead, **aims[scope])
    _stood(600)
    words = "the task is resumed" if scope == "task" else "the hold is lifted"
    for page in _pages(allowed):
        text = shown(page)
        assert not COUNTED.search(text), page
        assert re.search(f"called after {words}", text, re.IGNORECASE), page
        assert BUTTON.search(text) or "/live" in page, page
    holds.lift(hold, by=admin if scope == "everything" else lead)
    ends = {parse_datetime(end) for page in _pages(allowed) for end in COUNTED.findall(shown(page))}
    assert len(ends) == 1
    assert (ends.pop() - allowed.decided_at).total_seconds() == pytest.approx(60, abs=20)


def test_a_pause_is_told_before_a_wider_hold(shown, allowed, lead, admin):
    holds.place(by=admin)
    pause = holds.place(by=lead, task=allowed.task)
    assert "called after the task is resumed" in shown(f"/calls/{allowed.pk}")
    holds.lift(pause, by=lead)
    assert "called after the hold is lifted" in shown(f"/calls/{allowed.pk}")


def test_an_open_page_is_told_of_a_pause_without_a_notice(shown, allowed, lead):
    live = f"/calls/{allowed.pk}/live?shown=allowed-1"
    assert COUNTED.search(shown(live))
    holds.place(by=lead, task=allowed.task)
    text = shown(live)
    assert "while it is held" in text
    assert "This page shows what was here" not in text


@pytest.mark.parametrize("seconds", [0, 60])
@pytest.mark.parametrize("scope", ["task", "project", "everything", "agent"])
def test_who_allows_what_is_held_is_told_when_it_is_called(
    client, tool, project, requester, lead, admin, scope, seconds
):
    policies.change(project, by=lead, call_undo_seconds=seconds)
    waiting = waiting_call(project, requester)
    aims = {
        "task": {"task": waiting.task},
        "project": {"project": project},
        "agent": {"agent": waiting.step.agent},
    }
    holds.place(by=lead if scope in {"task", "project"} else admin, **aims.get(scope, {}))
    client.force_login(lead)
    seal = {"digest": waiting.digest, "nonce": waiting.nonce}
    form = {**seal, "verdict": "allow", "confirmation": waiting.task.label}
    text = client.post(f"/calls/{waiting.pk}/decide", form, follow=True).text
    words = "the task is resumed" if scope == "task" else "the hold is lifted"
    assert f"Allowed. It is called after {words}; until then you can undo it." in text
    assert BUTTON.search(text)


def test_the_hold_of_another_task_is_none_of_its_own(shown, allowed, project, requester, lead):
    (other,) = park(working_step(project, requester), "I-2")
    holds.place(by=lead, task=other.task)
    assert COUNTED.search(shown(f"/calls/{allowed.pk}"))


def test_a_change_that_is_held_counts_down_nowhere_and_later_to_its_moved_end(
    shown, project, requester, lead
):
    policies.change(project, by=lead, undo_seconds=120)
    approval = sealing.seal(make_report(project, requester))
    approve(approval, lead)
    url = f"/review/{approval.task.label}/r1"
    hold = holds.place(by=lead, task=approval.task)
    _stood(600)
    text = shown(url)
    assert not COUNTED.search(text)
    assert "while it is held" in text
    assert f'action="{url}/undo"' in text
    holds.lift(hold, by=lead)
    effect = Effect.objects.get(approval=approval)
    for page in (url, f"/tasks/{approval.task.label}"):
        (end,) = COUNTED.findall(shown(page))
        moved = (parse_datetime(end) - effect.not_before).total_seconds()
        assert moved == pytest.approx(600, abs=20), page


def test_the_task_page_counts_no_change_down_under_a_wide_hold(
    shown, project, requester, lead, admin
):
    policies.change(project, by=lead, undo_seconds=120)
    approval = sealing.seal(make_report(project, requester))
    approve(approval, lead)
    holds.place(by=admin)
    text = shown(f"/tasks/{approval.task.label}")
    assert "Carried out when the hold is lifted." in text
    assert not COUNTED.search(text)


def test_the_api_gives_the_end_as_things_are(allowed, lead):
    holds.place(by=lead, task=allowed.task)
    _stood(600)
    read = by_session(lead)("GET", f"/api/v1/calls/{allowed.pk}").json()
    left = parse_datetime(read["undo_until"]) - parse_datetime(read["decided_at"])
    assert left.total_seconds() == pytest.approx(660, abs=20)


# An agent's hold stops no window, and yet keeps the call from being made.


def _window_is_over(row: CallApproval) -> bool:
    return CallApproval.objects.filter(pk=row.pk, **windows.is_over()).exists()


def test_a_call_can_be_undone_after_its_window_while_its_agent_is_held(
    shown, allowed, server, lead, admin
):
    holds.place(by=admin, agent=allowed.step.agent)
    _stood(600)
    assert _window_is_over(allowed)
    assert carrying.make_due("effects") == 0
    for page in _pages(allowed):
        text = shown(page)
        assert not COUNTED.search(text), page
        assert re.search("called after the hold is lifted", text, re.IGNORECASE), page
        assert BUTTON.search(text) or "/live" in page, page
    assert by_session(lead).get(f"/api/v1/calls/{allowed.pk}").json()["undo_until"]
    again = undo(allowed.pk, by=lead)
    assert again is not None
    assert again.state == "pending"
    assert server.requests == 0


def test_once_nothing_holds_it_any_more_it_says_that_it_is_not_called_yet(
    allowed, server, lead, admin
):
    hold = holds.place(by=admin, agent=allowed.step.agent)
    _stood(600)
    holds.lift(hold, by=admin)
    with pytest.raises(UndoRefused, match="It is not called yet"):
        undo(allowed.pk, by=lead)
    assert by_session(lead).get(f"/api/v1/calls/{allowed.pk}").json()["undo_until"] is None
    assert carrying.make_due("effects") == 1
    with pytest.raises(UndoRefused, match="is being made, or was"):
        undo(allowed.pk, by=lead)


def test_what_a_standing_grant_let_through_is_not_undone_under_a_hold(
    tool, server, project, requester, lead, admin
):
    standing_grant(project, requester, lead)
    (row,) = park(working_step(project, requester), "I-2")
    holds.place(by=admin, agent=row.step.agent)
    with pytest.raises(UndoRefused, match="Revoke that"):
        undo(row.pk, by=lead)


class _Killed(BaseException):
    """The process ended here."""


@pytest.fixture
def begun(tool, project, requester, lead, monkeypatch):
    """A call whose worker was killed before it sent anything."""
    row = decided(waiting_call(project, requester), lead)

    def die(_approval):
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(carrying, "_act", die)
        with pytest.raises(_Killed):
            carrying.make_due("effects")
    return row


def test_a_call_that_was_begun_and_is_held_is_said_to_go_on_and_ends_with_its_task(
    shown, begun, server, lead
):
    with pytest.raises(UndoRefused, match="is being made, or was"):
        undo(begun.pk, by=lead)
    assert "nothing was sent" not in shown(f"/calls/{begun.pk}")
    holds.place(by=lead, task=begun.task)
    assert "nothing was sent; it goes on after the task is resumed" in shown(f"/calls/{begun.pk}")
    stop_task(begun.task, by=lead)
    ending.withdraw_left()
    begun.refresh_from_db()
    assert (begun.state, server.requests) == ("withdrawn", 0)


def test_a_call_that_was_begun_is_undone_while_it_is_held(shown, begun, server, lead):
    hold = holds.place(by=lead, task=begun.task)
    assert "Undo" in shown(f"/calls/{begun.pk}").partition("Before it is called")[2]
    again = undo(begun.pk, by=lead)
    holds.lift(hold, by=lead)
    carrying.make_due("effects")
    begun.refresh_from_db()
    again.refresh_from_db()
    assert (begun.state, again.state, server.requests) == ("withdrawn", "pending", 0)


def test_a_call_that_is_undone_while_its_worker_is_at_it_is_not_sent(
    tool, project, requester, server, lead, monkeypatch
):
    row, act = decided(waiting_call(project, requester), lead), carrying._act

    def undoing(approval):
        hold = holds.place(by=lead, task=row.task)
        undo(row.pk, by=lead)
        holds.lift(hold, by=lead)
        act(approval)

    with monkeypatch.context() as patch:
        patch.setattr(carrying, "_act", undoing)
        carrying.make_due("effects")
    carrying.make_due("effects")
    row.refresh_from_db()
    assert (row.state, row.sent_at, server.requests) == ("withdrawn", None, 0)


def test_a_call_that_was_sent_is_not_undone_under_a_hold(begun, lead):
    begun.refresh_from_db()
    assert begun.note_sent()
    holds.place(by=lead, task=begun.task)
    with pytest.raises(UndoRefused, match="is being made, or was"):
        undo(begun.pk, by=lead)
