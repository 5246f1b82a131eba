"""From a submitted task to its first claim: by bells through Redis and RabbitMQ, and by the poll.

`python -m tests.bench.doorbell [--json] [--quick]`. Both times are the database's own. RabbitMQ
is measured where its programs are installed.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import httpx
import psycopg

from tests.bench._figures import Report, options, percentile
from tests.bench.first_event import zero_latency
from tests.rabbitmq import RabbitMQ, rabbitmq_binary
from tests.stack import Stack
from tests.stub_model import StubModel

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLAIMED = """
    SELECT extract(epoch FROM min(attempt.started_at) - task.created_at) * 1000
    FROM agents_task task JOIN agents_step step ON step.task_id = task.id
    JOIN agents_attempt attempt ON attempt.step_id = step.id
    WHERE task.id = %s GROUP BY task.created_at
"""


def measure(stack: Stack, tasks: int) -> Iterator[float]:
    """Submit tasks one by one, each when the one before has been claimed; yield milliseconds."""
    token = stack.accounts["requester"]["token"]
    headers = {"Authorization": f"Bearer {token}"}
    with (
        httpx.Client(base_url=stack.url, headers=headers, timeout=30) as client,
        psycopg.connect(stack.reach["DATABASE_URL"], autocommit=True) as database,
    ):
        for number in range(tasks):
            body = {"project": "billing-demo", "request": f"Is the service healthy? ({number})"}
            task = client.post("/api/v1/tasks", json=body).json()["id"]
            while (found := database.execute(_CLAIMED, [task]).fetchone()) is None:
                time.sleep(0.02)
            yield float(found[0])
            time.sleep(0.3 + number % 10 / 5)  # the pipeline's own bells are over by then


def main() -> None:
    """Run it."""
    chosen = options(__doc__ or "")
    tasks = 8 if chosen.quick else 20
    report = Report("doorbell")
    with StubModel(zero_latency) as model, ExitStack() as everything:
        env = {
            "COUNTERSIGN_MODEL": "openai:stub",
            "OPENAI_BASE_URL": model.base_url,
            "OPENAI_API_KEY": "not-a-key",
        }
        with Stack(env=env) as stack:
            add(report, "redis", list(measure(stack, tasks)))
        if rabbitmq_binary():
            rabbitmq = everything.enter_context(RabbitMQ())
            with Stack(env={**env, "CELERY_BROKER_URL": rabbitmq.url}) as stack:
                add(report, "rabbitmq", list(measure(stack, tasks)))
                rabbitmq.kill()
                add(report, "poll", list(measure(stack, tasks)))
    report.finish(as_json=chosen.json)


def add(report: Report, arm: str, times: list[float]) -> None:
    """Add the percentiles of one arm."""
    for share in (0.5, 0.99):
        name = f"submit_to_claim_{arm}_p{share * 100:g}"
        report.add(name, percentile(times, share), "ms", note=f"{len(times)} tasks")


if __name__ == "__main__":
    main()
