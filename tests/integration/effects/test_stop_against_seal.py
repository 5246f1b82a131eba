"""A task that is stopped while what was signed is sealed again on a main that has moved."""

from __future__ import annotations

from threading import Thread

import pytest
from django.db import connection, transaction

from agents.models import Task
from approvals import sealing, stopping
from projects.exceptions import TransitionRefused
from tests import forging_fixtures
from tests.holding_fixtures import effect_of, fall_stale, propose_again
from tests.waiting_locks import until_somebody_waits

scene = forging_fixtures.scene
pytestmark = pytest.mark.django_db(transaction=True)


def test_nothing_is_stopped_past_what_was_just_approved_again(scene):
    fall_stale(scene.root, scene.bare)
    proposal = propose_again(scene.root, scene.folder)
    said = []

    def stop():
        try:
            stopping.stop_task(Task.objects.get(pk=scene.root.task_id), by=scene.lead)
        except TransitionRefused as error:
            said.append(str(error))
        finally:
            connection.close()

    stopper = Thread(target=stop)
    with transaction.atomic():
        again = sealing.seal(proposal)
        assert again.state == "approved"
        stopper.start()
        until_somebody_waits()
    stopper.join(10)
    assert said == [
        "It was just put up on a main that has moved. Nothing was stopped; stop it once more."
    ]
    assert effect_of(again).state == "planned"
    stopping.stop_task(Task.objects.get(pk=scene.root.task_id), by=scene.lead)
    again.refresh_from_db()
    assert (again.state, effect_of(again).state) == ("withdrawn", "withdrawn")
    assert Task.objects.get(pk=scene.root.task_id).state == "cancelled"
