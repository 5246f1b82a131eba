"""What Prometheus reads: numbers from the rows, nothing that names a project or a person."""

from __future__ import annotations

import redis
from django.conf import settings

from agents import intake
from agents.seeding import seed_agents


def value(text: str, sample: str) -> float:
    return float(next(line for line in text.splitlines() if line.startswith(sample)).split()[-1])


def test_tasks_are_counted_by_state(client, project, requester) -> None:
    seed_agents()
    before = client.get("/metrics")
    assert before.status_code == 200
    assert before["Content-Type"].startswith("text/plain")
    assert value(before.text, 'countersign_tasks{state="queued"}') == 0
    intake.submit(project=project, requester=requester, request="Mend the secret thing")
    after = client.get("/metrics").text
    assert value(after, 'countersign_tasks{state="queued"}') == 1
    assert value(after, 'countersign_steps{state="ready"}') == 1
    assert value(after, 'countersign_tasks{state="done"}') == 0
    assert "secret" not in after
    assert project.slug not in after


def test_a_worker_is_alive_while_it_reports(client, db) -> None:
    sample = 'countersign_workers_alive{kind="effects"}'
    assert value(client.get("/metrics").text, sample) == 0
    with redis.Redis.from_url(settings.REDIS_URL) as server:
        server.set("cs:worker:effects:test", "1", ex=15)
        assert value(client.get("/metrics").text, sample) == 1
        server.delete("cs:worker:effects:test")


def test_metrics_are_only_read(client, db) -> None:
    assert client.post("/metrics").status_code == 405
