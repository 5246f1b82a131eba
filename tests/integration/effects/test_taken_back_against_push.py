"""What is undone or stopped under a hold while that is lifted, and a worker is about to push it."""

from __future__ import annotations

from threading import Thread

import pytest
from django.db import connection

from agents import holds
from approvals import effects, stopping, undoing
from tests.approval_fixtures import first_parents
from tests.integration.effects.test_effects_held import kill, place, state
from tests.waiting_locks import until_somebody_waits

pytestmark = pytest.mark.django_db(transaction=True)


def _aside(act, *arguments, **named) -> Thread:
    """Do it in a session of its own, at once."""

    def run() -> None:
        try:
            act(*arguments, **named)
        finally:
            connection.close()

    thread = Thread(target=run)
    thread.start()
    return thread


def _before(monkeypatch, module, name: str, first) -> None:
    """Let something else happen just before it is done, while what came before is not committed."""
    real = getattr(module, name)

    def then(*arguments, **named):
        first()
        return real(*arguments, **named)

    monkeypatch.setattr(module, name, then)


@pytest.mark.parametrize("how", ["undone", "stopped"])
def test_a_worker_that_waited_for_it_pushes_nothing(approved, bare, lead, monkeypatch, how):
    kill(monkeypatch, "begin", after=True)
    hold = place(approved, lead, "project")
    workers = []

    def lift_and_carry_out() -> None:
        _aside(holds.lift, hold, by=lead).join(10)
        workers.append(_aside(effects.carry_out_due, "worker-2"))
        until_somebody_waits()  # for the row, which is withdrawn and not committed

    if how == "undone":
        _before(monkeypatch, undoing.sealing, "seal", lift_and_carry_out)
        undoing.undo(approved.approval, by=lead)
    else:
        _before(monkeypatch, stopping.stopping, "stop", lift_and_carry_out)
        stopping.stop_task(approved.approval.task, by=lead)
    workers[0].join(20)
    assert (state(approved), len(first_parents(bare))) == (("withdrawn", False), 1)
