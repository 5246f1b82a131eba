"""The whole pipeline with Redis and with RabbitMQ as the broker, and with a broker that dies."""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import redis

from agents.canary import EXIT_CODE, PATIENCE
from tests.acceptance.http_person import HttpPerson
from tests.rabbitmq import RabbitMQ
from tests.stack import Stack, refused
from tests.swallowing_proxy import SwallowingProxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STORY = "Fix the billing bug & update docs"
CANARY_SECONDS = 3
CONSUME = {"redis": b"BRPOP", "rabbitmq": b"\x00\x3c\x00\x14"}  # how a client asks for messages
LOST = "the broker takes no canary"


@dataclass
class Running:
    """A stack on one broker, and two people signed in."""

    stack: Stack
    rabbitmq: RabbitMQ | None
    proxy: SwallowingProxy
    requester: HttpPerson
    lead: HttpPerson

    def git(self, *arguments: str) -> str:
        """Ask the demo's repository."""
        repository = self.stack.data_dir / "repositories" / "billing-demo.git"
        done = subprocess.run(
            ["git", "-c", "safe.directory=*", "--git-dir", str(repository), *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def submit(self) -> str:
        """Hand the story over; return the task's id."""
        body = {"project": "billing-demo", "request": STORY}
        answer = self.requester.post("/api/v1/tasks", body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def sign(self, approval: dict[str, Any], verdict: str, **more: Any) -> None:
        """Decide as the lead, who looks at every file of what they approve."""
        if verdict == "approve":
            self.lead.view_all(approval)
        body = {"verdict": verdict, "digest": approval["digest"], "nonce": approval["nonce"]}
        path = f"/api/v1/approvals/{approval['id']}/signatures"
        answer = self.lead.post(path, body | more)
        assert answer.status_code == 201, answer.text

    def kill_broker(self) -> None:
        """End it at once, or, as others use that Redis too, every connection to it."""
        if self.rabbitmq:
            self.rabbitmq.kill()
        else:
            self.proxy.cut()

    def mend_broker(self) -> None:
        """Bring it back."""
        if self.rabbitmq:
            self.rabbitmq.start()
        else:
            self.proxy.mend()

    def hear(self, worker: str, message: str) -> None:
        """Wait for one more message of a kind in a worker."""
        before = bells(self.stack, worker, message)
        self.stack.wait_until(
            lambda: bells(self.stack, worker, message) > before, 120, f"take {message} in {worker}"
        )


@pytest.fixture(
    scope="module",
    params=["redis", pytest.param("rabbitmq", marks=pytest.mark.needs_rabbitmq)],
)
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    env = {
        "COUNTERSIGN_REHEARSAL_PACE_MS": "0",
        "COUNTERSIGN_CANARY_SECONDS": str(CANARY_SECONDS),
        "COUNTERSIGN_LOG_LEVEL": "DEBUG",  # tells of each bell
    }
    with ExitStack() as everything:
        rabbitmq, url = None, os.environ["REDIS_URL"]
        if request.param == "rabbitmq":
            rabbitmq = everything.enter_context(RabbitMQ())
            url = rabbitmq.url
        parts = urlsplit(url)
        proxy = SwallowingProxy(parts.port or 0, mark=CONSUME[request.param])
        everything.enter_context(proxy)
        login = parts.netloc.rpartition("@")[0]
        env["CELERY_BROKER_URL"] = parts._replace(netloc=f"{login}@127.0.0.1:{proxy.port}").geturl()
        stack = everything.enter_context(Stack(env=env))
        people = [everything.enter_context(HttpPerson(stack, who)) for who in ("requester", "lead")]
        yield Running(stack, rabbitmq, proxy, *people)


def bells(stack: Stack, worker: str, task: str) -> int:
    """Count the messages of a kind that a worker has taken from the broker."""
    return sum(
        f"Task {task}[" in line and "received" in line for line in stack.log(worker).splitlines()
    )


def test_from_a_sentence_over_a_second_round_to_a_merge(running: Running) -> None:
    before = running.git("rev-parse", "main")
    task = running.submit()
    first = running.lead.wait_for_approval(task, seconds=240)
    (docs,) = [file for file in first["snapshot"]["files"] if file["path"] == "docs/rounding.md"]
    refused = [{"id": docs["hunks"][0]["id"], "verdict": "refuse", "note": "Line 12: half up."}]
    running.sign(first, "request_changes", note="The docs are wrong.", hunks=refused)
    second = running.lead.wait_for_approval(task, but_not=first["id"], seconds=240)
    assert running.git("rev-parse", "main") == before, "merged without a signature"
    running.sign(second, "approve")
    running.requester.wait_for(task, {"done"}, seconds=240)
    assert running.git("rev-parse", "main^1") == before
    assert running.git("rev-list", "--count", "--first-parent", f"{before}..main") == "1"
    assert bells(running.stack, "agents", "agents.bell") >= 2
    assert bells(running.stack, "effects", "approvals.bell") >= 1


def test_every_queue_is_a_quorum_queue_and_none_is_of_celerys_own(running: Running) -> None:
    if running.rabbitmq is None:
        with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
            names = {key.decode() for key in client.scan_iter("*")}
            assert not [name for name in names if "pidbox" in name or "celeryev" in name]
            assert all(client.ttl(name) > 0 for name in names if name.startswith("canary."))
        return
    queues = {queue["name"]: queue for queue in running.rabbitmq.queues()}
    canaries = {name for name in queues if name.startswith("canary.")}
    assert set(queues) - canaries == {"steps", "effects"}
    assert len(canaries) == 2
    assert {(queue["type"], queue["durable"]) for queue in queues.values()} == {("quorum", True)}
    assert all("x-expires" in str(queues[name]["arguments"]) for name in canaries)
    assert {queue["consumers"] for queue in queues.values()} == {1}


def test_a_broker_that_refuses_the_login_is_told_in_one_sentence(
    running: Running, tmp_path: Path
) -> None:
    parts = urlsplit(running.stack.reach["CELERY_BROKER_URL"])
    url = parts._replace(netloc=f"guest:wrong@127.0.0.1:{parts.port}").geturl()
    said = refused(tmp_path / "data", {"CELERY_BROKER_URL": url}).strip()
    assert said.startswith(f"The broker at {parts.scheme}://127.0.0.1:{parts.port}")
    assert "correct CELERY_BROKER_URL" in said
    assert ":wrong@" not in said
    assert "\n" not in said


def test_a_broker_that_dies_stops_no_task_and_is_used_again_when_it_is_back(
    running: Running,
) -> None:
    stack, workers = running.stack, running.stack.pids
    task = running.submit()
    running.kill_broker()
    running.lead.wait_for_approval(task, seconds=240)
    stay_without(running)
    running.mend_broker()
    stack.wait_until(stack.ready, 120, "find the broker again")
    running.hear("effects", "agents.canary")
    running.hear("agents", "agents.canary")
    rung = bells(stack, "agents", "agents.bell")
    running.submit()
    stack.wait_until(lambda: bells(stack, "agents", "agents.bell") > rung, 30, "be rung")
    ours = ("agents", "effects", "web")
    assert [stack.pids[name] for name in ours] == [workers[name] for name in ours]


def stay_without(running: Running) -> None:
    """Be without a broker for longer than a canary is waited for; work goes on meanwhile."""
    stack = running.stack
    task = running.submit()  # nobody can be rung
    running.lead.wait_for_approval(task, seconds=240)
    assert stack.readiness()[1]["broker"] is False
    lost = stack.log("agents").count(LOST)
    stack.wait_until(
        lambda: stack.log("agents").count(LOST) > lost + PATIENCE, 120, "lose enough canaries"
    )


def test_workers_that_hear_nothing_from_a_broker_that_answers_are_replaced(
    running: Running,
) -> None:
    stack = running.stack
    deaf = stack.pids
    running.proxy.stalled.set()
    for name in ("agents", "effects"):
        stack.wait_until(
            lambda name=name: stack.pids.get(name, deaf[name]) != deaf[name],
            180,
            f"replace the {name} worker",
        )
    running.proxy.stalled.clear()
    assert stack.output.count(f"ended (exit code {EXIT_CODE})") >= 2
    assert "this worker takes no messages from the broker" in stack.log("agents")
    assert "is drained" in stack.log("agents")
    stack.wait_until(stack.ready, 120, "be ready again")
    assert stack.pids["web"] == deaf["web"]
    running.hear("effects", "agents.canary")
    running.hear("agents", "agents.canary")
