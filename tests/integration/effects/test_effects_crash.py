"""A crash at every point of the merge, and many executors at once: exactly one merge or none."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from agents.events import Kind
from agents.workspace.git import Store
from approvals import effects, policies, sealing
from approvals.models import Approval
from tests.approval_fixtures import (
    approve,
    first_parents,
    git,
    make_change,
    make_repository,
    move_main,
)

pytestmark = pytest.mark.django_db


class _Killed(BaseException):
    """The process ended here."""


def _kill_before(monkeypatch, owner, name):
    def die(*_, **__):
        raise _Killed

    monkeypatch.setattr(owner, name, die)


def _kill_after(monkeypatch, owner, name):
    original = getattr(owner, name)

    def die(*args, **kwargs):
        original(*args, **kwargs)
        raise _Killed

    monkeypatch.setattr(owner, name, die)


@pytest.mark.parametrize(
    ("kill", "owner", "name"),
    [
        (_kill_before, effects, "begin"),
        (_kill_after, effects, "begin"),
        (_kill_before, Store, "fetch"),
        (_kill_before, Store, "diff"),
        (_kill_before, Store, "commit"),
        (_kill_after, Store, "commit"),
        (_kill_before, Store, "push_main"),
        (_kill_after, Store, "push_main"),
        (_kill_before, effects, "finish"),
        (_kill_after, effects, "finish"),
    ],
)
@pytest.mark.parametrize("main_moves_meanwhile", [False, True])
def test_a_crash_at_any_point_leads_to_exactly_one_merge_or_none(
    approved, bare, monkeypatch, kill, owner, name, main_moves_meanwhile
):
    with monkeypatch.context() as patch:
        kill(patch, owner, name)
        with pytest.raises(_Killed):
            effects.carry_out_due("worker-1")
    landed = len(first_parents(bare)) == 2
    if main_moves_meanwhile:
        move_main(bare)
    effects.carry_out_due("worker-2")
    effects.carry_out_due("worker-3")
    approved.refresh_from_db()
    trailer = f"Countersign-Approval: {approved.approval_id}"
    merges = git(bare, "log", "--format=%H", "-F", f"--grep={trailer}", "main").split()
    if landed or not main_moves_meanwhile:
        assert (approved.state, len(merges)) == ("done", 1)
        assert approved.result["commit"] == merges[0]
    else:
        assert (approved.state, merges) == ("failed", [])
        assert Approval.objects.get().state == "stale"


@pytest.mark.django_db(transaction=True)
def test_eight_executors_on_one_effect_merge_once(project, requester, lead, tmp_path):
    policies.change(project, by=lead, undo_seconds=0)
    bare = make_repository(tmp_path, project)
    gate = threading.Barrier(8)

    def run(number: int) -> int:
        gate.wait()
        try:
            return effects.carry_out_due(f"worker-{number}")
        finally:
            connection.close()

    approval = sealing.seal(make_change(project, requester, tmp_path))
    effect = approve(approval, lead)
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(run, range(8))) == 1
    effect.refresh_from_db()
    assert (effect.state, len(first_parents(bare))) == ("done", 2)
    started = approval.task.events.filter(kind=Kind.EFFECT_STARTED)
    assert started.count() == 1
