"""What a person holds is not carried out, crash or not; it goes on when the hold is lifted."""

from __future__ import annotations

import re

import pytest

from agents import holds
from agents.workspace.git import Store
from approvals import effects
from approvals.exceptions import UndoRefused
from approvals.stopping import stop_task
from approvals.undoing import undo
from projects.exceptions import TransitionRefused
from tests.approval_fixtures import first_parents, move_main

pytestmark = pytest.mark.django_db


class _Killed(BaseException):
    """The process ended here."""


@pytest.fixture
def crashed(approved, monkeypatch):
    """Its worker was killed as soon as the intent was on record."""
    begin = effects.begin

    def die(effect, *, worker):
        begin(effect, worker=worker)
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(effects, "begin", die)
        with pytest.raises(_Killed):
            effects.carry_out_due("worker-1")
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


def test_what_was_sent_is_not_said_to_wait(client, crashed, lead):
    crashed.note_sent()
    place(crashed, lead)
    told = _told(client, lead, crashed)
    assert "nothing was sent" not in told["review"]
    assert "Begun, held" not in told["review"]


def test_undo_and_stop_say_that_what_was_begun_goes_on_after_the_hold(crashed, lead):
    approval = crashed.approval
    with pytest.raises(UndoRefused, match="The undo window is over"):
        undo(approval, by=lead)
    with pytest.raises(TransitionRefused, match="Wait for it to end"):
        stop_task(approval.task, by=lead)
    place(crashed, lead)
    with pytest.raises(UndoRefused, match="Nothing was sent; it goes on when the hold is lifted"):
        undo(approval, by=lead)
    with pytest.raises(TransitionRefused, match="It goes on when the hold is lifted"):
        stop_task(approval.task, by=lead)
    assert state(crashed) == ("doing", False)
