"""A worker is killed with many steps in flight: another goes on with each where it was."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest
import redis
from django.db.models.functions import Now

from agents.models import Attempt, Event, Step, ToolCall
from agents.runtime import presence
from tests.bench import _inflight_rows as rows
from tests.stub_model import Call, Reply, Request, StubModel
from tests.worker_fixtures import Workers, until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.django_db(transaction=True)

STEPS = 60
LEASE = 12  # long enough for a machine that is busy with other things
LOOK = Call("list_files", {"path": ""})
DONE = Call("report_result", {"status": "done", "summary": "Looked.", "report": "Fine."})


class Story:
    """Lets every step look around at once, and holds its report until the worker is dead."""

    def __init__(self) -> None:
        self.killed = threading.Event()
        self.asked: Counter[int] = Counter()  # by turn
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Reply:
        with self._lock:
            self.asked[request.turn] += 1
        if request.turn == 0:
            return Reply(text="I look.", calls=[LOOK])
        self.killed.wait(300)
        return Reply(calls=[DONE])


def present() -> int:
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        return len(list(client.scan_iter(f"{presence.PREFIX}*")))


def in_second_turn() -> int:
    """Count the steps whose first turn is stored and whose tool has answered."""
    looked = ToolCall.objects.filter(state="done", attempt__state="running", attempt__turns=1)
    return looked.values("attempt").distinct().count()


def test_a_killed_worker_with_many_steps_repeats_no_finished_turn(tmp_path: Path, settings) -> None:
    settings.DATA_DIR = tmp_path / "data"
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.flushall()
    project, user = rows.furnish(tmp_path)
    steps = rows.prepare(project, user, STEPS, first=0)
    story = Story()
    lease = {"COUNTERSIGN_LEASE_SECONDS": str(LEASE), "COUNTERSIGN_HEARTBEAT_SECONDS": "2"}
    with StubModel(story) as model:
        stub = {"OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "not-a-key"}
        with Workers(tmp_path, COUNTERSIGN_MODEL="openai:stub", **stub, **lease) as workers:
            first = workers.start("first")
            until(lambda: present() == 1, 120)
            Step.objects.filter(pk__in=steps).update(available_at=Now())
            until(lambda: in_second_turn() == STEPS, 240)
            looked = story.asked[0]
            first.send_signal(signal.SIGKILL)
            first.wait(10)
            story.killed.set()
            workers.start("second")
            until(lambda: not Step.objects.filter(pk__in=steps).exclude(state="done").exists(), 300)
    assert story.asked[0] == looked  # no finished turn is paid twice
    assert ToolCall.objects.filter(state="done").count() == STEPS
    ended = Counter(Attempt.objects.filter(step__in=steps).values_list("state", flat=True))
    assert ended["finished"] == STEPS
    assert ended["lost"] >= STEPS
    tasks = Step.objects.filter(pk__in=steps).values_list("task_id", flat=True)
    for task in tasks:
        seqs = list(Event.objects.filter(task=task).order_by("seq").values_list("seq", flat=True))
        assert seqs == list(range(1, len(seqs) + 1))
