"""Stub models that go in circles, and the steps they do it in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents.finishing import settle
from agents.models import Agent, Escalation, Event, Step, Task, ToolCall
from agents.runtime.database import in_db
from agents.runtime.performing import perform
from agents.seeding import seed_agents
from agents.workspace.demo import create_demo_repository
from agents.workspace.git import Store
from tests.stub_model import Call, Reply
from tests.thinking_fixtures import DONE, make_step, make_task, on_files

if TYPE_CHECKING:
    from pathlib import Path

    from agents.runtime.contract import Outcome, Work
    from projects.models import Project, User

READ = Call("read_file", {"path": "README.md"})
LIST = Call("list_files", {})
REPORT = Reply(calls=[Call("report_result", DONE)])


def demo_task(project: Project, requester: User, folder: Path, **facts: Any) -> Task:
    """Create a task on the demo repository, with checks that fail alike every time."""
    project.repository = str(create_demo_repository(folder / "demo.git"))
    project.checks_command = "sh -c 'echo Ran 1 test in 0.00$$s; exit 1'"
    project.allow_rlimits_only = True
    project.save()
    seed_agents()
    return make_task(project, requester, **facts)


def opened(task: Task, slug: str = "coder", **facts: Any) -> Work:
    """Open a step on the files of main, as the runtime does."""
    step = make_step(task, slug, base_commit=Store.of(task.project).fetch())
    return on_files(step, step.base_commit, **facts)


def calls(*wanted: Call) -> Reply:
    """Answer with tool calls."""
    return Reply(calls=list(wanted))


def write(path: str, content: str) -> Call:
    """Write a file."""
    return Call("write_file", {"path": path, "content": content})


async def carried(work: Work) -> tuple[Outcome, Escalation | None]:
    """Perform an attempt and settle it; return the escalation it opened, if any."""
    outcome = await perform(work)
    assert await in_db(settle, work.attempt, outcome) is True

    def opened_one() -> Escalation | None:
        return Escalation.objects.filter(step=work.step, state="open").first()

    return outcome, await in_db(opened_one)


def rows(task: Task) -> list[ToolCall]:
    """Return the ledger of a task."""
    return list(ToolCall.objects.filter(attempt__step__task=task).order_by("response", "pk"))


def warnings(task: Task, rule: str) -> list[dict[str, Any]]:
    """Return what `limit.warned` said by a rule."""
    warned = Event.objects.filter(task=task, kind="limit.warned", data__rule=rule)
    return [event.data for event in warned.order_by("seq")]


def coder_step(task: Task) -> Step:
    """Return the task's only step of work."""
    return Step.objects.get(task=task, agent=Agent.objects.get(slug="coder"))
