"""Real Celery worker processes: killed, drained, and with Redis emptied under them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
import redis
from django.db import connection

from agents.intake import submit
from agents.models import Attempt, Event, Step, Task
from agents.runtime import presence
from agents.seeding import seed_agents
from agents.workspace.demo import create_demo_repository
from tests.stub_model import Call, Reply, Request, StubModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from projects.models import Project

pytestmark = pytest.mark.django_db(transaction=True)

LEASE = 3
PLAN = {
    "title": "Note it",
    "outcome": "change",
    "steps": [{"id": "note", "agent": "coder", "title": "Write a note", "instructions": "Note."}],
}
WRITE = Call("write_file", {"path": "NOTE.md", "content": "noted\n"})
DONE = Call("report_result", {"status": "done", "summary": "Wrote NOTE.md."})
DRAFT = Call("submit_proposal", {"title": "Add a note", "summary": "One note."})


class Story:
    """Answers as a model; holds the coder's second turn until it is let go."""

    def __init__(self) -> None:
        self.hold = 0.0  # seconds
        self.asked: list[str] = []

    def __call__(self, request: Request) -> Reply:
        if "submit_plan" in request.tools:
            self.asked.append("route")
            return Reply(calls=[Call("submit_plan", PLAN)])
        if "submit_proposal" in request.tools:
            self.asked.append("assemble")
            return Reply(calls=[DRAFT])
        self.asked.append(f"work {request.turn}")
        if request.turn == 0:
            return Reply(calls=[WRITE])
        held, self.hold = self.hold, 0.0
        return Reply(calls=[DONE], delay=held)


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture
def model(story: Story) -> Iterator[StubModel]:
    with StubModel(story) as server:
        yield server


@pytest.fixture
def task(project: Project, requester: Any, model: StubModel, tmp_path: Path, settings: Any) -> Task:
    seed_agents()
    create_demo_repository(tmp_path / "demo.git")
    project.repository = str(tmp_path / "demo.git")
    project.save()
    settings.COUNTERSIGN_MODEL = "openai:stub"
    return submit(project=project, requester=requester, request="Write a note").task


@pytest.fixture
def start(model: StubModel, tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Start an agent worker by name; every one is gone when the test ends."""
    name = connection.settings_dict["NAME"]
    environment = {
        **os.environ,
        "DATABASE_URL": os.environ["DATABASE_URL"].replace("/countersign?", f"/{name}?"),
        "COUNTERSIGN_DATA_DIR": str(tmp_path / "data"),
        "COUNTERSIGN_MODEL": "openai:stub",
        "OPENAI_BASE_URL": model.base_url,
        "OPENAI_API_KEY": "stub",
        "COUNTERSIGN_LEASE_SECONDS": str(LEASE),
        "COUNTERSIGN_HEARTBEAT_SECONDS": "1",
        "COUNTERSIGN_DRAIN_SECONDS": "2",
    }
    started: list[subprocess.Popen[bytes]] = []

    def _start(worker: str) -> subprocess.Popen[bytes]:
        command = "celery -A countersign worker -P threads -c 2 -Q steps --without-gossip"
        with (tmp_path / f"{worker}.log").open("wb") as log:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    *command.split(),
                    "--without-mingle",
                    "-n",
                    f"{worker}@test",
                ],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        started.append(process)
        return process

    yield _start
    for process in started:
        process.kill()
        process.wait(10)


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def is_in(task: Task, state: str) -> Callable[[], bool]:
    return lambda: Task.objects.filter(pk=task.pk, state=state).exists()


def gap_free(task: Task) -> bool:
    seqs = list(Event.objects.filter(task=task).order_by("seq").values_list("seq", flat=True))
    return seqs == list(range(1, len(seqs) + 1))


def test_killed_worker_loses_nothing_and_no_finished_turn_is_paid_twice(task, story, start):
    story.hold = 60.0
    first = start("first")
    until(lambda: "work 1" in story.asked)
    first.send_signal(signal.SIGKILL)
    killed_at = time.monotonic()
    start("second")
    until(lambda: Attempt.objects.filter(step__key="note", number=2).exists())
    assert time.monotonic() - killed_at < LEASE + 25  # a worker's own start included
    until(is_in(task, "review"))
    assert story.asked == ["route", "work 0", "work 1", "work 1", "assemble"]
    attempts = Attempt.objects.filter(step__key="note").order_by("number")
    assert [attempt.state for attempt in attempts] == ["lost", "finished"]
    assert attempts[1].resumes == attempts[0]
    step = Step.objects.get(key="note")
    assert step.attempts.filter(tool_calls__tool="write_file").count() == 1
    assert gap_free(task)


def test_emptied_redis_loses_nothing(task, story, start):
    story.hold = 2.0
    start("only")
    until(lambda: "work 1" in story.asked)
    redis.Redis.from_url(os.environ["REDIS_URL"]).flushall()
    until(is_in(task, "review"))
    assert gap_free(task)


def test_terminated_worker_gives_its_step_back_and_leaves_no_folder(task, story, start, tmp_path):
    story.hold = 60.0
    worker = start("only")
    until(lambda: "work 1" in story.asked)
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    until(lambda: list(client.scan_iter(f"{presence.PREFIX}*")), 10)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(15) == 0
    step = Step.objects.get(key="note")
    assert (step.state, step.lease_owner) == ("ready", "")
    assert step.attempts.get().state == "released"
    assert not list((tmp_path / "data" / "workspaces").glob("*/*"))
    assert not list(client.scan_iter(f"{presence.PREFIX}*"))
