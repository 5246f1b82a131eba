"""What a person holds is not carried out, crash or not: it goes on when the hold is lifted, or is taken back."""

from __future__ import annotations

import re

import pytest

from agents import holds
from agents.workspace.git import Store
from approvals import effects, reverting, stopping, undoing
from approvals.exceptions import UndoRefused
from projects.exceptions import TransitionRefused
from tests.approval_fixtures import approve, first_parents, move_main

pytestmark = pytest.mark.django_db


class _Killed(BaseException):
    """The process ended here."""


def kill(monkeypatch, name: str, *, after: bool) -> None:
    """End the process that carries out just before it does this, or just after."""
    real = getattr(effects, name)

    def die(*args, **kwargs):
        if after:
            real(*args, **kwargs)
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(effects, name, die)
        with pytest.raises(_Killed):
            effects.carry_out_due("worker-1")


@pytest.fixture
def crashed(approved, monkeypatch):
    """Its worker was killed as soon as the intent was on record."""
    kill(monkeypatch, "begin", after=True)
    return approved


def place(effect, by, scope: str = "task"):
    task = effect.approval.task
    aim = {"task": {"task": task}, "project": {"project": task.project}}.get(scope, {})
    return holds.place(by=by, reason="A bad release.", **aim)


def state(effect) -> tuple[str, bool]:
    effect.refresh_from_db()
    return effect.state, effect.sent_at is not None


@pytest.mark.parametrize("scope", ["task", "project", "everything"])
def test_what_a_crash_left_begun_waits_for_the_end_of_a_hold(crashed, bare, lead, admin, scope):
    by = admin if scope == "everything" else lead
    hold = place(crashed, by, scope)
    assert effects.carry_out_due("worker-2") == 0
    assert (state(crashed), len(first_parents(bare))) == (("doing", False), 1)
    holds.lift(hold, by=by)
    assert effects.carry_out_due("worker-3") == 1
    assert (state(crashed), len(first_parents(bare))) == (("done", True), 2)
    crashed.approval.task.refresh_from_db()
    assert crashed.approval.task.state == "done"


def test_what_a_crash_left_under_a_hold_falls_stale_afterwards_where_main_moved(
    crashed, bare, lead
):
    hold = place(crashed, lead)
    move_main(bare)
    effects.carry_out_due("worker-2")
    assert state(crashed) == ("doing", False)
    holds.lift(hold, by=lead)
    effects.carry_out_due("worker-3")
    assert state(crashed) == ("failed", False)


def test_a_hold_before_the_push_stops_what_has_begun(approved, bare, lead, monkeypatch):
    commit, placed = Store.commit, []

    def placing(*args, **kwargs):
        placed.append(place(approved, lead))
        return commit(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "commit", placing)
        effects.carry_out_due("worker-1")
    effects.carry_out_due("worker-2")
    assert (state(approved), len(first_parents(bare))) == (("doing", False), 1)
    assert approved.approval.task.events.filter(kind="effect.started").count() == 1
    holds.lift(placed[0], by=lead)
    effects.carry_out_due("worker-3")
    assert (state(approved), len(first_parents(bare))) == (("done", True), 2)
    assert approved.approval.task.events.filter(kind="effect.started").count() == 1


def _told(client, person, effect) -> dict[str, str]:
    client.force_login(person)
    task = effect.approval.task
    pages = {
        "review": f"/review/{task.label}/r1",
        "task": f"/tasks/{task.label}",
        "decided": "/inbox?tab=decided",
    }
    found = {name: client.get(url).text.partition("<main")[2] for name, url in pages.items()}
    return {name: " ".join(re.sub("<[^>]+>", " ", text).split()) for name, text in found.items()}


@pytest.mark.parametrize("scope", ["task", "project", "everything"])
def test_pages_say_of_what_was_begun_and_is_held_that_nothing_was_sent(
    client, crashed, lead, admin, scope
):
    by = admin if scope == "everything" else lead
    before = _told(client, lead, crashed)
    assert "It is being carried out." in before["review"]
    assert "Carrying out" in before["decided"]
    hold = place(crashed, by, scope)
    told = _told(client, lead, crashed)
    until = "the task is resumed" if scope == "task" else "the hold is lifted"
    for page in ("review", "task"):
        said = f"It has begun; nothing was sent, and it goes on when {until}."
        assert said in told[page], page
        assert "It is being carried out." not in told[page], page
    for page in ("review", "decided"):
        assert "Begun, held" in told[page], page
    assert "begun, held" in told["task"]
    assert not any("carrying out" in text.lower() for text in told.values())
    holds.lift(hold, by=by)
    after = _told(client, lead, crashed)
    assert "It is being carried out." in after["review"]
    assert "Carrying out" in after["decided"]


def test_pages_offer_undo_of_what_was_begun_while_it_is_held(client, crashed, lead):
    client.force_login(lead)
    label = crashed.approval.task.label
    pages, undo = [f"/review/{label}/r1", f"/tasks/{label}"], f'/review/{label}/r1/undo"'
    assert not any(undo in client.get(page).text for page in pages)
    place(crashed, lead)
    assert all(undo in client.get(page).text for page in pages)


def test_what_was_sent_is_not_said_to_wait(client, crashed, lead):
    crashed.note_sent()
    place(crashed, lead)
    told = _told(client, lead, crashed)
    assert "nothing was sent" not in told["review"]
    assert "Begun, held" not in told["review"]


def test_what_a_crash_left_begun_is_undone_under_a_hold(crashed, bare, lead):
    hold = place(crashed, lead)
    effects.carry_out_due("worker-2")
    assert undoing.undo(crashed.approval, by=lead).state == "pending"
    holds.lift(hold, by=lead)
    effects.carry_out_due("worker-3")
    assert (state(crashed), len(first_parents(bare))) == (("withdrawn", False), 1)


def test_what_a_crash_left_begun_is_stopped_under_a_hold(crashed, bare, lead):
    hold = place(crashed, lead)
    stopping.stop_task(crashed.approval.task, by=lead)
    holds.lift(hold, by=lead)
    effects.carry_out_due("worker-3")
    assert (state(crashed), len(first_parents(bare))) == (("withdrawn", False), 1)


def test_what_was_taken_back_while_its_worker_was_at_it_is_not_pushed(
    approved, bare, lead, monkeypatch
):
    commit = Store.commit

    def taking_back(*args, **kwargs):
        hold = place(approved, lead)
        undoing.undo(approved.approval, by=lead)
        holds.lift(hold, by=lead)
        return commit(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "commit", taking_back)
        effects.carry_out_due("worker-1")
    effects.carry_out_due("worker-2")
    assert (state(approved), len(first_parents(bare))) == (("withdrawn", False), 1)


def test_without_a_hold_what_has_begun_is_neither_undone_nor_stopped(crashed, lead):
    with pytest.raises(UndoRefused):
        undoing.undo(crashed.approval, by=lead)
    with pytest.raises(TransitionRefused):
        stopping.stop_task(crashed.approval.task, by=lead)
    assert state(crashed) == ("doing", False)


def test_what_is_held_after_its_window_is_undone(approval, lead):
    holds.place(by=lead, task=approval.task)
    approve(approval, lead)
    approval.refresh_from_db()
    assert undoing.undo(approval, by=lead).state == "pending"


def test_what_landed_before_a_crash_is_noted_under_a_hold(approved, bare, lead, monkeypatch):
    kill(monkeypatch, "finish", after=False)
    place(approved, lead)
    with pytest.raises(UndoRefused):
        undoing.undo(approved.approval, by=lead)
    with pytest.raises(TransitionRefused):
        stopping.stop_task(approved.approval.task, by=lead)
    effects.carry_out_due("worker-2")
    assert (state(approved), len(first_parents(bare))) == (("done", True), 2)
    assert reverting.merged(approved.approval) is not None
