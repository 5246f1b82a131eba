"""More than one agent worker, and the event log sent to Kafka: what grows with the work."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from tests.acceptance.http_person import HttpPerson
from tests.integration.test_kafka_sink import a_cluster
from tests.stack import Stack
from tests.worker_fixtures import until


def environment_of(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_text(errors="replace")


def test_two_agent_workers_and_an_event_sink_run_beside_each_other() -> None:
    with a_cluster() as cluster:
        env = {
            "KAFKA_URL": cluster.url,
            "COUNTERSIGN_AGENT_WORKERS": "2",
            "COUNTERSIGN_REHEARSAL_PACE_MS": "0",
        }
        with Stack(env=env) as stack, HttpPerson(stack, "requester") as requester:
            assert {"agents", "agents-2", "effects", "sink", "web"} <= set(stack.pids)
            assert stack.readiness()[1]["sink worker"] is True
            assert f"also sent to Kafka at {cluster.servers}" in stack.output
            for name in ("agents", "agents-2", "effects"):
                assert "KAFKA_URL" not in environment_of(stack.pids[name])
            assert all("is drained" not in stack.log(name) for name in ("agents", "agents-2"))
            stack.restart("sink")
            events = hand_over(requester)
            topic = "countersign.events.billing-demo"
            wanted = set(range(1, events + 1))

            def sent() -> set[int]:
                # A sink that was started anew may send an event once more.
                return {json.loads(each.value())["seq"] for each in cluster.messages(events, topic)}

            until(lambda: sent() >= wanted)
            metrics = httpx.get(f"{stack.url}/metrics").text
            assert 'countersign_events_behind{sink="kafka"}' in metrics
            assert 'countersign_workers_alive{kind="sink"} 1.0' in metrics


def hand_over(requester: HttpPerson) -> int:
    """Submit a task and wait for its proposal; return how many events it has by then."""
    body = {"project": "billing-demo", "request": "Fix the billing bug & update docs"}
    task = requester.post("/api/v1/tasks", body).json()["id"]
    requester.wait_for(task, {"review"}, seconds=120)
    return len(requester.get(f"/api/v1/tasks/{task}/events?limit=500")["results"])
