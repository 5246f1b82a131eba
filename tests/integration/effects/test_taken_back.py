"""What is taken back under its worker: that is an end, and no fault."""

from __future__ import annotations

import logging

import pytest

from agents import holds
from agents.workspace.exceptions import NoSuchBranch
from approvals import effects, merging, policies, sealing, undoing, verifying
from approvals.exceptions import Refused
from projects.exceptions import TransitionRefused
from tests.approval_fixtures import approve, make_report, move_main
from tests.integration.effects.test_effects_held import place, state

pytestmark = pytest.mark.django_db


@pytest.fixture
def delivery(project, requester, lead, second_lead):
    """A report that is approved and due."""
    policies.change(project, by=lead, undo_seconds=0)
    return approve(sealing.seal(make_report(project, requester)), lead)


def _take_back(effect, lead) -> None:
    hold = place(effect, lead)
    undoing.undo(effect.approval, by=lead)
    holds.lift(hold, by=lead)


def _carried_out(effect, caplog) -> None:
    with caplog.at_level(logging.ERROR):
        effects.carry_out_due("worker-1")
    assert not caplog.records
    assert state(effect) == ("withdrawn", False)
    assert not effect.approval.task.escalations.exists()


@pytest.mark.parametrize("refused", [False, True])
def test_a_delivery_ends_so(delivery, lead, monkeypatch, caplog, refused):
    def taking_back(effect):
        _take_back(effect, lead)
        if refused:
            raise Refused("The report is another. Nothing was done.")

    monkeypatch.setattr(verifying, "require_same_report", taking_back)
    _carried_out(delivery, caplog)


@pytest.mark.parametrize("trouble", ["main moved", "no such branch"])
def test_a_merge_ends_so(approved, bare, lead, monkeypatch, caplog, trouble):
    def taking_back(*args, **kwargs):
        _take_back(approved, lead)
        if trouble == "main moved":
            raise merging.MainMoved(move_main(bare))
        raise NoSuchBranch

    monkeypatch.setattr(merging.verifying, "require_same_objects", taking_back)
    _carried_out(approved, caplog)


def test_any_other_refusal_is_a_fault(delivery, monkeypatch, caplog):
    def fail(*args, **kwargs):
        raise TransitionRefused("Something else.")

    monkeypatch.setattr(effects, "finish", fail)
    with caplog.at_level(logging.ERROR):
        effects.carry_out_due("worker-1")
    assert [record.message for record in caplog.records] == [
        f"effect {delivery.pk} could not be looked after"
    ]
