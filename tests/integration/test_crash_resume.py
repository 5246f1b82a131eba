"""A worker killed with SIGKILL inside a step: the next attempt goes on, and nothing happens twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.conf import settings as django_settings
from django.db import connection

from agents.models import Attempt, Task, ToolCall
from agents.runtime.contract import Finished
from agents.runtime.database import in_db
from agents.runtime.performing import perform
from agents.seeding import seed_agents
from agents.workspace import sandbox
from agents.workspace.demo import create_demo_repository
from agents.workspace.files import Workspace
from tests.stub_model import Call, Reply, Request, StubModel
from tests.thinking_fixtures import DONE, going_on, make_step, make_task

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).parents[2]
EDIT = Call("edit_file", {"path": "billing/money.py", "old": '"EUR"', "new": '"EUR" "EUR"'})
NEW = Call("write_file", {"path": "new.txt", "content": "new\n"})


def script(request: Request) -> Reply:
    """Answer by the turn the conversation has reached, however often it is asked."""
    answers = [
        Reply(text="I begin.", calls=[EDIT, Call("read_file", {"path": "billing/money.py"})]),
        Reply(text="I go on, word by word.", calls=[NEW, Call("run_checks", {})], pace=0.05),
        Reply(calls=[Call("report_result", DONE)]),
    ]
    return answers[request.turn]


@pytest.fixture
def task(project, requester, settings, tmp_path) -> Task:
    settings.DATA_DIR = tmp_path / "data"
    project.repository = str(create_demo_repository(tmp_path / "demo.git"))
    project.checks_command = "sleep 1"
    project.allow_rlimits_only = True
    project.save()
    seed_agents()
    return make_task(project, requester)


def start_child(step_id: object, base_url: str) -> subprocess.Popen[str]:
    url = urlsplit(os.environ["DATABASE_URL"])
    name = connection.settings_dict["NAME"]
    environment = {
        **os.environ,
        "DATABASE_URL": urlunsplit(url._replace(path=f"/{name}")),
        "DJANGO_SETTINGS_MODULE": "countersign.settings",
        "PYTHONPATH": f"{ROOT / 'platform'}:{ROOT}",
        "COUNTERSIGN_DATA_DIR": str(django_settings.DATA_DIR),
        "OPENAI_BASE_URL": base_url,
        "OPENAI_API_KEY": "sk-test-0123456789",
    }
    command = [sys.executable, "-m", "tests.performing_child", str(step_id)]
    return subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def wait_for(reached: Callable[[], bool], child: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def kill(child: subprocess.Popen[str]) -> None:
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=10)


def _asked(count: int):
    return lambda server, folder: len(server.requests) >= count


def _stored(turns: int):
    return lambda server, folder: Attempt.objects.filter(turns__gte=turns).exists()


def _row(tool: str, *states: str):
    return lambda server, folder: ToolCall.objects.filter(tool=tool, state__in=states).exists()


POINTS = {
    "before the first answer": _asked(1),
    "after the first answer is stored": _stored(1),
    "inside an edit or just after it": _row("edit_file", "started", "done"),
    "after the edit is recorded": _row("edit_file", "done"),
    "in the middle of the second answer": _asked(2),
    "when a file has just been written": lambda server, folder: (folder / "new.txt").exists(),
    "inside the checks": _row("run_checks", "started"),
    "before the last answer": _asked(3),
}


@pytest.mark.skipif(sandbox.available() is None, reason="no sandbox and no resource limits here")
@pytest.mark.parametrize("point", POINTS)
async def test_killed_anywhere_nothing_is_done_or_paid_twice(task, settings, point) -> None:
    step = await in_db(make_step, task, "coder")
    folder = (await in_db(Workspace.for_step, step)).folder
    with StubModel(script) as server:
        settings.OPENAI_BASE_URL = server.base_url
        settings.OPENAI_API_KEY = "sk-test-0123456789"
        child = await in_db(start_child, step.pk, server.base_url)
        await in_db(wait_for, lambda: POINTS[point](server, folder), child)
        kill(child)
        stored = await in_db(lambda: Attempt.objects.get(step=step).turns)
        asked = len(server.requests)
        work = await in_db(lambda: going_on(step, state="lost"))
        assert isinstance(await perform(work), Finished)
    assert asked - stored <= 1  # at most one unfinished turn was lost
    assert len(server.requests) - asked == 3 - stored  # finished turns were not asked for again
    files = work.workspace.folder
    assert (files / "billing/money.py").read_text().count('"EUR"') == 2
    assert (files / "new.txt").read_text() == "new\n"
    done = await in_db(lambda: list(ToolCall.objects.filter(state="done").values_list("tool")))
    assert sorted(tool for (tool,) in done) == [
        "edit_file", "read_file", "run_checks", "write_file",
    ]  # fmt: skip
    spent = await in_db(lambda: Task.objects.get(pk=task.pk).model_calls)
    assert spent == 3
