"""The runtime's loop on a real repository, with thinking of ours."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import pytest

from agents.intake import submit
from agents.messages import Check, ProposalDraft, StatedClaim, StepResult
from agents.models import Task
from agents.runtime.contract import Finished, Outcome, Work
from agents.runtime.database import in_db
from agents.runtime.loop import Runtime
from agents.workspace.demo import create_demo_repository
from projects.models import Project
from tests.runtime_fixtures import make_plan, plan_step

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


@pytest.fixture
def task(agents, project, requester, tmp_path, settings) -> Task:
    settings.DATA_DIR = tmp_path / "data"
    create_demo_repository(tmp_path / "demo.git")
    Project.objects.filter(pk=project.pk).update(
        repository=str(tmp_path / "demo.git"),
        checks_command="python -m unittest discover -s tests -v",
        allow_rlimits_only=True,
    )
    project.refresh_from_db()
    return submit(project=project, requester=requester, request="Fix the billing bug").task


@contextlib.asynccontextmanager
async def running(perform: Callable[[Work], Awaitable[Outcome]], owner: str = "here"):
    runtime = Runtime(perform=perform, owner=owner)
    task = asyncio.create_task(runtime.run())
    try:
        yield runtime
    finally:
        runtime.drain()
        await asyncio.wait_for(task, 30)


async def until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not await in_db(condition):
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.05)


def is_in(task: Task, state: str) -> Callable[[], bool]:
    return lambda: Task.objects.filter(pk=task.pk, state=state).exists()


DRAFT = Finished(ProposalDraft(title="Land the notes", summary="Three notes."))


async def answer(work: Work) -> Outcome:
    """Think as a model that edits one file of its own and claims what is true."""
    if work.step.kind == "route":
        assert "billing/invoice.py" in work.brief["files"]
        assert [agent["slug"] for agent in work.brief["agents"]] == [
            "coder",
            "tech-writer",
            "tester",
        ]
        return Finished(
            make_plan(
                plan_step("fix"),
                plan_step("cover", "tester", "fix"),
                plan_step("describe", "tech-writer"),
            )
        )
    if work.step.kind == "work":
        note = work.workspace.resolve(f"notes/{work.step.key}.txt")
        note.parent.mkdir(exist_ok=True)
        said = "".join(item["note"] for item in work.brief["feedback"])
        note.write_text(f"{work.step.key} in round {work.step.round}\n{said}\n")
        claim = StatedClaim(
            text="Refunds are untouched.",
            check=Check(kind="file_unchanged", path="billing/refunds.py"),
        )
        return Finished(StepResult(status="done", summary="Wrote a note.", claims=[claim]))
    assert {step["key"] for step in work.brief["steps"]} == {"fix", "describe", "cover"}
    return DRAFT
