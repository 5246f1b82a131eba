"""Holds, pauses, notes and stops reach real workers: over the wire, within seconds."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from agents import dispatch, holds, notes, stopping
from agents.intake import submit
from agents.models import Attempt, Event, Step, Task
from agents.seeding import seed_agents
from agents.workspace.demo import create_demo_repository
from tests.stub_model import Call, Reply, Request, StubModel
from tests.worker_fixtures import Workers, until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from projects.models import Project

pytestmark = pytest.mark.django_db(transaction=True)

NORMALLY = 2.0  # seconds; the deadline below leaves room for a busy machine
AT_MOST = 60.0
BOOT = 240.0  # of workers, on a machine that does much else
PLAN = {
    "title": "Note it twice",
    "outcome": "change",
    "steps": [
        {"id": key, "agent": agent, "title": f"Write {key}", "instructions": "Note."}
        for key, agent in (("one", "coder"), ("two", "tester"))
    ],
}
DONE = Call("report_result", {"status": "done", "summary": "Wrote it."})
DRAFT = Call("submit_proposal", {"title": "Add notes", "summary": "Two notes."})
ENDLESS = "still thinking " * 2_000


class Story:
    """Answers as a model whose second turns talk on and on until they are let go."""

    def __init__(self) -> None:
        self.talks = True
        self.asked: list[str] = []
        self.lock = threading.Lock()

    def __call__(self, request: Request) -> Reply:
        with self.lock:
            self.asked.append(self._what(request))
        if "submit_plan" in request.tools:
            return Reply(calls=[Call("submit_plan", PLAN)])
        if "submit_proposal" in request.tools:
            return Reply(calls=[DRAFT])
        if request.turn == 0:
            key = "one" if "Write one" in request.prompt else "two"
            return Reply(calls=[Call("write_file", {"path": f"{key}.md", "content": "noted\n"})])
        return Reply(text=ENDLESS, pace=0.05) if self.talks else Reply(calls=[DONE])

    def _what(self, request: Request) -> str:
        for tool, word in (("submit_plan", "route"), ("submit_proposal", "assemble")):
            if tool in request.tools:
                return word
        return f"work {request.turn}"

    def talking(self, count: int) -> Callable[[], bool]:
        return lambda: self.asked.count("work 1") >= count


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture
def model(story: Story) -> Iterator[StubModel]:
    with StubModel(story) as server:
        yield server


@pytest.fixture
def task(project: Project, requester: Any, tmp_path: Path, settings: Any) -> Task:
    seed_agents()
    create_demo_repository(tmp_path / "demo.git")
    project.repository = str(tmp_path / "demo.git")
    project.save()
    settings.COUNTERSIGN_MODEL = "openai:stub"
    return submit(project=project, requester=requester, request="Write two notes").task


@pytest.fixture
def start(model: StubModel, tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    stub = {"OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "stub"}
    # One step for each process, so that both are at work.
    room = {"COUNTERSIGN_STEPS_IN_FLIGHT": "1"}
    with Workers(tmp_path, COUNTERSIGN_MODEL="openai:stub", **stub, **room) as workers:
        yield workers.start


def is_in(task: Task, state: str) -> Callable[[], bool]:
    return lambda: Task.objects.filter(pk=task.pk, state=state).exists()


def nothing_runs() -> bool:
    return not Step.objects.filter(state="leased").exists()


def gap_free(task: Task) -> bool:
    seqs = list(Event.objects.filter(task=task).order_by("seq").values_list("seq", flat=True))
    return seqs == list(range(1, len(seqs) + 1))


def test_kill_switch_closes_every_model_call_of_two_workers_and_all_goes_on(
    task, project, requester, admin, story, model, start
):
    start("first")
    start("second")
    until(story.talking(2), BOOT)
    workers = Step.objects.filter(state="leased").values_list("lease_owner", flat=True)
    assert len(set(workers)) == 2
    hold = holds.place(by=admin, reason="A bad release.")
    placed_at = time.monotonic()
    until(lambda: len(model.left) == 2, AT_MOST)
    print(f"closed after {max(model.left.values()) - placed_at:.2f} s, normally <= {NORMALLY} s")
    until(nothing_runs)
    assert set(Attempt.objects.filter(step__kind="work").values_list("state", "error")) == {
        ("released", "")
    }
    later = submit(project=project, requester=requester, request="Later").task
    asked = len(story.asked)
    for _ in range(6):  # bells and polls claim nothing
        dispatch.ring()
        time.sleep(0.5)
        assert nothing_runs()
    assert (len(story.asked), is_in(later, "queued")()) == (asked, True)
    story.talks = False
    holds.lift(hold, by=admin)
    until(is_in(task, "review"), BOOT)
    until(is_in(later, "review"), BOOT)
    mine = Attempt.objects.filter(step__task=task, step__kind="work")
    assert sorted(mine.values_list("number", "state", "turns")) == [
        *[(1, "released", 1)] * 2,
        *[(2, "finished", 2)] * 2,
    ]
    assert story.asked.count("route") == 2
    assert gap_free(task)


def test_paused_task_is_told_what_was_said_meanwhile_at_its_next_turn(
    task, requester, story, model, start
):
    start("only")
    until(story.talking(1), BOOT)
    notes.add_note(task, text="Written before the pause.", by=requester)
    holds.place(by=requester, task=task)
    until(lambda: len(model.left) == 1, AT_MOST)
    until(nothing_runs)
    notes.add_note(task, text="Written while it was paused.", by=requester)
    story.talks = False
    before = len(model.requests)
    holds.resume(task, by=requester)
    until(is_in(task, "review"), BOOT)
    resumed = next(r for r in model.requests[before:] if r.turn == 1)
    said = resumed.prompt
    assert said.count("Written before the pause.") == 1
    assert said.count("Written while it was paused.") == 1
    kinds = Event.objects.filter(task=task).values_list("kind", flat=True)
    assert {"task.paused", "task.resumed"} <= set(kinds)
    assert gap_free(task)


def test_stopped_task_closes_its_model_call_and_calls_no_more(task, lead, story, model, start):
    start("only")
    until(story.talking(1), BOOT)
    stopping.stop(Task.objects.get(), by=lead)
    stopped_at = time.monotonic()
    until(lambda: len(model.left) == 1, AT_MOST)
    print(f"closed after {model.left.popitem()[1] - stopped_at:.2f} s, normally <= {NORMALLY} s")
    asked = len(story.asked)
    dispatch.ring()
    time.sleep(1.0)
    assert len(story.asked) == asked
    assert not Attempt.objects.filter(state="running").exists()
