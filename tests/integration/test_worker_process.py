"""Real Celery worker processes: killed, drained, and with Redis emptied under them."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
import redis

from agents.intake import submit
from agents.models import Attempt, Event, Step, Task
from agents.runtime import presence
from agents.seeding import seed_agents
from agents.workspace.demo import create_demo_repository
from tests.stub_model import Call, Reply, Request, StubModel
from tests.worker_fixtures import LEASE, Workers, until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from projects.models import Project

pytestmark = pytest.mark.django_db(transaction=True)

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


@pytest.fixture(autouse=True)
def _nobody_is_present() -> None:
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.flushall()


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
    stub = {"OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "stub"}
    with Workers(tmp_path, COUNTERSIGN_MODEL="openai:stub", **stub) as workers:
        yield workers.start


def is_in(task: Task, state: str) -> Callable[[], bool]:
    return lambda: Task.objects.filter(pk=task.pk, state=state).exists()


def present() -> list[bytes]:
    """Return the signs of life of workers; each test begins without one."""
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        return list(client.scan_iter(f"{presence.PREFIX}*"))


def gap_free(task: Task) -> bool:
    seqs = list(Event.objects.filter(task=task).order_by("seq").values_list("seq", flat=True))
    return seqs == list(range(1, len(seqs) + 1))


def test_killed_worker_loses_nothing_and_no_finished_turn_is_paid_twice(task, story, start):
    story.hold = 60.0
    first = start("first")
    until(lambda: "work 1" in story.asked)
    start("second")
    until(lambda: len(present()) == 2)
    first.send_signal(signal.SIGKILL)
    killed_at = time.monotonic()
    until(lambda: Attempt.objects.filter(step__key="note", number=2).exists())
    assert time.monotonic() - killed_at < LEASE + 10  # the next sweep, on a busy machine
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
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.flushall()
    until(is_in(task, "review"))
    assert gap_free(task)


def test_terminated_worker_gives_its_step_back_and_leaves_no_folder(task, story, start, tmp_path):
    story.hold = 60.0
    worker = start("only")
    until(lambda: "work 1" in story.asked)
    until(present, 10)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(15) == 0
    step = Step.objects.get(key="note")
    assert (step.state, step.lease_owner) == ("ready", "")
    assert step.attempts.get().state == "released"
    assert not list((tmp_path / "data" / "workspaces").glob("*/*"))
    assert not present()
