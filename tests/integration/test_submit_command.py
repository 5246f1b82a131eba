"""`manage.py submit` against a real server: live progress, exit codes, one sentence per error."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest
from django.conf import settings

from agents.lifecycle import TaskState
from agents.models import Task
from agents.runtime.database import in_db
from countersign.management.commands.submit import Command, projects_of
from projects import tokens
from tests.api_fixtures import make_crew
from tests.live_fixtures import serving

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).parents[2]
LONGEST = 180  # seconds: a process that starts, on a machine that is busy


@pytest.fixture
def token(requester):
    make_crew()
    _, text = tokens.issue(requester, name="terminal")
    return text


async def start(*arguments, host="127.0.0.1:1", token="", data=None, project="acme-billing"):
    environment = {**os.environ, "COUNTERSIGN_TOKEN": token, "PYTHONUNBUFFERED": "1"}
    if data:
        environment["COUNTERSIGN_DATA_DIR"] = str(data)
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "manage.py"),
        "submit",
        "Fix the billing bug",
        *("--project", project, "--url", f"http://{host}"),
        *arguments,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ended(process):
    async with asyncio.timeout(LONGEST):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def submitted_task():
    async with asyncio.timeout(LONGEST):
        while not (task := await in_db(Task.objects.select_related("project").first)):  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.05)
    return task


def _run_to(task, *states):
    for state in states[:-1]:
        task.move(state)
    task.move(states[-1], kind="task.finished")


WHOLE_WAY = ("planning", "working", "assembling", "review", "executing", "done")


async def test_without_watch_it_prints_where_to_look(token):
    async with serving() as host:
        code, out, err = await ended(await start(host=host, token=token))
    task = await submitted_task()
    assert (code, err) == (0, "")
    assert f"T-{task.number} accepted" in out
    for word in (str(task.pk), "/events", "/stream", "ws://"):
        assert word in out


@pytest.mark.parametrize(
    ("states", "code"),
    [(WHOLE_WAY, 0), (("cancelled",), 1), (("failed",), 1), ((*WHOLE_WAY[:4], "rejected"), 1)],
)
async def test_watching_ends_with_the_outcome(token, states, code):
    async with serving() as host:
        process = await start("--watch", host=host, token=token)
        task = await submitted_task()
        await in_db(_run_to, task, *map(TaskState, states))
        found, out, err = await ended(process)
    assert (found, err) == (code, "")
    assert f"T-{task.number} {states[-1]}" in out


async def test_it_says_that_it_waits_for_a_signature(token):
    async with serving() as host:
        process = await start("--watch", host=host, token=token)
        task = await submitted_task()
        await in_db(task.record, "approval.requested", {})
        await in_db(task.record, "approval.requested", {})
        await in_db(_run_to, task, TaskState.CANCELLED)
        _, out, _ = await ended(process)
    review = f"http://{host}/review/T-{task.number}/r1"
    assert f"Waits for a signature: {review}\nStill watching; Ctrl-C leaves it running.\n" in out
    assert out.count("Still watching") == 1


async def test_until_review_ends_when_it_waits_for_a_signature(token):
    async with serving() as host:
        process = await start("--until", "review", host=host, token=token)
        task = await submitted_task()
        await in_db(task.record, "approval.requested", {})
        code, out, err = await ended(process)
    assert (code, err) == (0, "")
    assert out.rstrip().endswith(f"Waits for a signature: http://{host}/review/T-{task.number}/r1")
    await in_db(task.refresh_from_db)
    assert task.state == "queued"


async def test_until_review_fails_with_a_task_that_never_comes_there(token):
    async with serving() as host:
        process = await start("--until", "review", host=host, token=token)
        task = await submitted_task()
        await in_db(_run_to, task, TaskState.FAILED)
        code, _, _ = await ended(process)
    assert code == 1


async def test_until_review_ends_when_it_needs_a_person(token):
    async with serving() as host:
        process = await start("--until", "review", host=host, token=token)
        task = await submitted_task()
        await in_db(task.record, "escalation.raised", {"detail": "All turns are used."})
        code, out, err = await ended(process)
    assert (code, err) == (1, "")
    assert f"Needs a person: All turns are used.\nhttp://{host}/tasks/T-{task.number}\n" in out


async def test_ctrl_c_leaves_the_task_running(token):
    async with serving() as host:
        process = await start("--watch", host=host, token=token)
        task = await submitted_task()
        await process.stdout.readline()
        await asyncio.sleep(0.5)
        process.send_signal(signal.SIGINT)
        code, out, err = await ended(process)
    assert (code, err) == (130, "")
    assert f"T-{task.number} goes on without you" in out
    await in_db(task.refresh_from_db)
    assert task.state == "queued"


async def test_a_server_that_is_restarted_is_waited_for(token):
    async with serving() as host:
        process = await start("--watch", host=host, token=token)
        task = await submitted_task()
        assert b"accepted" in await process.stdout.readline()
    port = int(host.partition(":")[2])
    async with serving(port):
        await in_db(_run_to, task, *map(TaskState, WHOLE_WAY))
        code, out, _ = await ended(process)
    assert code == 0
    assert f"T-{task.number} done" in out


async def test_an_answer_that_is_cut_off_is_asked_for_again_and_makes_one_task(token):
    async with serving() as behind:
        host = await cutting(behind)
        process = await start(host=host, token=token)
        task = await submitted_task()
    async with serving(int(host.partition(":")[2])):
        code, out, err = await ended(process)
    assert (code, err) == (0, "")
    assert f"T-{task.number} accepted" in out
    assert await in_db(Task.objects.count) == 1


async def cutting(behind):
    """Return the address of a proxy that hands on one request and hangs up before the answer."""
    port = int(behind.partition(":")[2])

    async def hand_on(reader, writer):
        _, onward = await asyncio.open_connection("127.0.0.1", port)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        onward.write(head + await reader.readexactly(int(length[1])))
        await submitted_task()
        proxy.close()
        onward.close()
        writer.close()

    proxy = await asyncio.start_server(hand_on, "127.0.0.1", 0)
    return f"127.0.0.1:{proxy.sockets[0].getsockname()[1]}"


async def test_no_server_is_one_sentence(token):
    code, out, err = await ended(await start(token=token))
    assert (code, out) == (1, "")
    assert err.strip().startswith("CommandError: No Countersign server answers at")
    assert "Traceback" not in err


async def test_a_wrong_token_and_a_foreign_project_are_one_sentence(token):
    async with serving() as host:
        wrong = await ended(await start(host=host, token="cs_x_y"))
        foreign = await ended(await start(host=host, token=token, project="nowhere"))
    assert (wrong[0], foreign[0]) == (1, 1)
    assert "unknown, expired or revoked" in wrong[2]
    assert "no such project" in foreign[2]
    assert "You named 'nowhere'." in foreign[2]
    assert "Traceback" not in wrong[2] + foreign[2]


async def test_the_demo_account_is_used_when_no_token_is_given(token, tmp_path):
    accounts = {"requester": {"token": token}}
    (tmp_path / "demo-accounts.json").write_text(json.dumps(accounts))
    async with serving() as host:
        assert (await ended(await start(host=host, data=tmp_path)))[0] == 0
        code, _, err = await ended(await start("--as", "nobody", host=host, data=tmp_path))
    assert code == 1
    assert "has none for 'nobody'" in err


def test_a_person_is_told_their_projects(token, requester):
    assert projects_of(token) == f" Projects of {requester.username}: acme-billing."
    _, bound = tokens.issue(requester, name="one", project=requester.memberships.get().project)
    assert projects_of(bound) == projects_of(token)
    assert projects_of("cs_x_y") == ""


def test_links_carry_the_name_that_up_prints():
    parser = Command().create_parser("manage.py", "submit")
    given = parser.parse_args(["Do it", "--project", "shop"])
    assert given.url == f"http://localhost:{settings.PORT}"
