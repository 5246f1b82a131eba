"""A child that ends again and again is started later each time, and never ends its supervisor."""

from __future__ import annotations

import subprocess
import time

import pytest

from countersign.supervisor.children import LONGEST_PAUSE, Child


@pytest.fixture
def child(tmp_path) -> Child:
    log = tmp_path / "child.log"
    child = Child(name="child", title="a child", command=["true"], log=log, env={})
    child.process = subprocess.Popen(["true"])
    child.process.wait()
    return child


def test_pause_grows_to_its_longest_however_often_the_child_has_ended(child):
    pauses = []
    for _ in range(2_000):
        child._started_at = time.monotonic()
        child.ended(1)
        pauses.append(child.due_at - time.monotonic())
    assert pauses[0] == pytest.approx(0.5, abs=0.1)
    assert pauses[3] > pauses[1]
    assert pauses[-1] == pytest.approx(LONGEST_PAUSE, abs=0.1)
