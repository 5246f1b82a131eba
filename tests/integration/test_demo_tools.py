"""The rehearsed story whose agent calls a tool outside: a call waits, is remembered, and is made once."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from agents.intake import submit
from agents.models import Escalation, Grant, Proposal, Task, Tool, ToolServer
from agents.runtime.database import in_db
from agents.seeding import seed_agents
from agents.workspace.demo import REMINDERS, SCENARIO
from approvals.calls import carrying, sealing
from approvals.calls.deciding import decide
from approvals.models import CallApproval, StandingGrant
from approvals.standing.granting import Asked
from approvals.standing.patterns import Kind, Pattern
from countersign import demo_tools
from projects.models import AuditEntry
from tests.integration import test_rehearsal_story as story
from tests.tool_server import PayServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.django_db(transaction=True)

demo = story.demo
billing = story.billing
MANAGE = Path(__file__).parents[2] / "manage.py"
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ANYTHING = {name: Pattern(kind=Kind.ANY, value=None) for name in ("invoice", "customer")}


class ReminderServer(PayServer):
    """The demo's own server; `said` is what it told its terminal."""

    def _paying(self):
        self.said: list[str] = []
        self.mcp = demo_tools.build(self.said.append)
        return demo_tools.served(self.mcp)


@pytest.fixture
def server() -> Iterator[ReminderServer]:
    with ReminderServer() as started:
        yield started


@pytest.fixture
def found(server) -> demo_tools.Outside:
    port = int(server.url.rpartition(":")[2].removesuffix("/mcp"))
    return asyncio.run(demo_tools.offer(server.mcp, port))


async def until(condition: Callable[[], object], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not await in_db(condition):
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.05)


def state_of(task: Task) -> str:
    sealing.seal_waiting()
    carrying.make_due("effects")
    return Task.objects.get(pk=task.pk).state


def asked() -> list[CallApproval]:
    sealing.seal_waiting()
    return list(CallApproval.objects.filter(state="pending"))


async def test_the_first_call_is_remembered_and_the_others_go_through(
    billing, server, found, requester, lead
):
    await in_db(lambda: demo_tools.switch_on(found))
    request = REMINDERS.example
    task = (await in_db(lambda: submit(project=billing, requester=requester, request=request))).task
    async with story.running():
        await until(asked)
        (row,) = await in_db(asked)
        assert row.original == {"invoice": "1007", "customer": "Ana Moss"}
        assert server.said == []
        remember = Asked(widened=ANYTHING)
        seal = {"digest": row.digest, "nonce": row.nonce}
        await in_db(lambda: decide(row.pk, by=lead, verdict="allow", remember=remember, **seal))
        await until(lambda: state_of(task) == "review")
    assert server.said == [
        "Reminded Ana Moss of invoice 1007.",
        "Reminded Jo Field of invoice 1012.",
        "Reminded Lee Park of invoice 1015.",
    ]
    grant = await in_db(StandingGrant.objects.get)
    assert grant.hits == 2
    proposal = await in_db(lambda: Proposal.objects.get(task=task))
    assert "3 of 3 reminders were sent." in proposal.report
    assert "Reminded Lee Park." in proposal.report


async def test_without_the_server_the_agent_says_what_it_lacks(billing, requester):
    request = REMINDERS.example
    task = (await in_db(lambda: submit(project=billing, requester=requester, request=request))).task
    async with story.running():
        await until(lambda: state_of(task) == "needs_human")
    escalation = await in_db(Escalation.objects.get)
    assert "manage.py demo_tools" in escalation.detail


def test_it_is_pinned_granted_and_switched_off(found):
    seed_agents()
    for _ in range(2):
        row = demo_tools.switch_on(found)
    tool = Tool.objects.get(server=row)
    assert (tool.name, tool.read_only, tool.idempotent) == ("remind", False, True)
    assert tool.needs_permission
    assert Grant.objects.get(tool=tool).agent.slug == "coder"
    demo_tools.switch_off(row)
    assert not ToolServer.objects.get(slug=REMINDERS.server).enabled
    demo_tools.switch_on(found)
    assert ToolServer.objects.get(slug=REMINDERS.server).enabled
    acts = AuditEntry.objects.order_by("pk").values_list("action", flat=True)
    assert list(acts) == ["demo.tools_on"] * 2 + ["demo.tools_off", "demo.tools_on"]


def test_a_port_in_use_is_said_and_nothing_is_pinned():
    seed_agents()
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(CommandError, match="cannot be used"),
    ):
        call_command("demo_tools", port=taken.getsockname()[1])
    assert not ToolServer.objects.filter(slug=REMINDERS.server).exists()


OTHERS = {
    "an admin's": {"name": "Reminders", "target": "https://tools.example.com/mcp"},
    "an admin's of its name": {"target": "https://tools.example.com/mcp"},
    "an admin's on this machine": {"name": "Reminders"},
    "one of another path": {"target": "http://127.0.0.1:8010/sse"},
    "a command": {"transport": "stdio", "target": "reminders"},
    "switched off": {"name": "Reminders", "enabled": False},
}


@pytest.mark.parametrize("other", OTHERS)
def test_another_server_of_its_slug_is_left_as_it_is(other):
    seed_agents()
    own = {"name": "Reminders (demo)", "transport": "http", "target": "http://127.0.0.1:8010/mcp"}
    row = ToolServer.objects.create(slug=REMINDERS.server, **own | OTHERS[other])
    was = ToolServer.objects.filter(pk=row.pk).values().get()
    with pytest.raises(CommandError) as refused:
        call_command("demo_tools", port=0)
    assert f"“{row.name}” at {row.target} is a tool server with the slug “reminders”" in str(
        refused.value
    )
    assert "an admin names it “Reminders (demo)” again" in str(refused.value)
    assert ToolServer.objects.filter(pk=row.pk).values().get() == was
    assert not Tool.objects.filter(server=row).exists()
    assert not AuditEntry.objects.filter(action__startswith="demo.tools").exists()


def test_one_that_was_started_since_stays_on_when_the_first_ends(found):
    seed_agents()
    first = demo_tools.switch_on(replace(found, target="http://127.0.0.1:8010/mcp"))
    second = demo_tools.switch_on(found)
    assert second.pk == first.pk
    assert not demo_tools.switch_off(first)
    row = ToolServer.objects.get(slug=REMINDERS.server)
    assert (row.enabled, row.target) == (True, found.target)
    assert demo_tools.switch_off(second)
    assert not ToolServer.objects.get(slug=REMINDERS.server).enabled
    acts = AuditEntry.objects.order_by("pk").values_list("action", flat=True)
    assert list(acts) == ["demo.tools_on"] * 2 + ["demo.tools_off"]


@contextmanager
def running(folder: Path, before: Any = signal.SIG_DFL) -> Iterator[subprocess.Popen[str]]:
    """Start the command as a process of its own that serves; it has taken over no signal but so."""
    environment = {
        **os.environ,
        "DATABASE_URL": os.environ["DATABASE_URL"].replace(
            "/countersign?", f"/{connection.settings_dict['NAME']}?"
        ),
        "COUNTERSIGN_DATA_DIR": str(folder / "data"),
        "PYTHONUNBUFFERED": "1",
    }
    process = subprocess.Popen(
        [sys.executable, str(MANAGE), "demo_tools", "--port", "0"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A process in the background is started with some of them ignored.
        preexec_fn=lambda: [signal.signal(number, before) for number in STOPS] and None,
    )
    try:
        told = process.stdout.readline()
        assert "listens on http://127.0.0.1:" in told, told + process.stdout.read()
        yield process
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


@pytest.mark.parametrize("number", STOPS)
def test_whatever_ends_it_its_server_is_switched_off(number, tmp_path):
    seed_agents()
    with running(tmp_path) as process:
        assert ToolServer.objects.get(slug=REMINDERS.server).enabled
        process.send_signal(number)
        assert process.wait(20) == 0
        assert "is switched off" in process.stdout.read()
    assert not ToolServer.objects.get(slug=REMINDERS.server).enabled
    assert AuditEntry.objects.latest("pk").action == "demo.tools_off"


def test_under_nohup_it_outlives_its_terminal(tmp_path):
    seed_agents()
    with running(tmp_path, signal.SIG_IGN) as process:
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.send_signal(signal.SIGINT)  # the web server asks for it, ignored or not
        assert process.wait(20) == 0
    assert not ToolServer.objects.get(slug=REMINDERS.server).enabled


def test_one_request_asks_for_one_story():
    assert REMINDERS.fits(REMINDERS.example)
    assert not SCENARIO.fits(REMINDERS.example)
    assert not REMINDERS.fits(SCENARIO.example)
