"""A child that ends again and again is started later each time, and never ends its supervisor."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

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


def test_a_child_may_leave_the_processor_to_others_first(tmp_path):
    sleeping = {"command": ["sleep", "60"], "log": tmp_path / "child.log", "env": {}}
    children = [Child(name="c", title="a child", niceness=n, **sleeping) for n in (0, 3, 3)]
    try:
        for child in children:
            child.start()
        ours = os.getpriority(os.PRIO_PROCESS, 0)
        nice = [os.getpriority(os.PRIO_PROCESS, child.pid) for child in children]
        assert nice == [ours, ours + 3, ours + 3]
        if Path("/proc/self/autogroup").exists():
            groups = [Path(f"/proc/{child.pid}/autogroup").read_text() for child in children]
            assert [group.split("nice ")[1].strip() for group in groups] == [
                "0",
                str(ours + 3),
                str(ours + 3),
            ]
    finally:
        for child in children:
            child.stop(5)
