"""The event log reaches Kafka: at least once, in commit order, whatever dies on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition
from django.db import connection, transaction

from agents.eventlog import LogRestored
from agents.events import Kind
from agents.intake import submit
from agents.models import Event
from agents.seeding import seed_agents
from countersign.connections import kafka_options
from countersign.models import SinkCursor
from countersign.sink import eventlog, publishing
from countersign.sink.kafka import KafkaAway
from countersign.sink.publishing import Publisher
from projects.models import Membership, Project, Role
from tests.integration.test_metrics import value
from tests.worker_fixtures import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agents.models import Task

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).parents[2]
TOPIC = "countersign.events.acme-billing"


class Cluster:
    """A mock cluster in a process of its own, and what it has been sent."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.kafka_child"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.servers = self.process.stdout.readline().strip()
        self.url = f"kafka://{self.servers}?message.timeout.ms=2000"

    def close(self) -> None:
        """End it."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(20)

    def publisher(self) -> Publisher:
        """Return a sink for this cluster."""
        return Publisher(kafka_options(self.url))

    def messages(self, count: int, topic: str = TOPIC) -> list[Any]:
        """Read a topic from its start until there are so many messages, and a little longer."""
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": "test", "log_level": 3})
        with ExitStack() as leaving:
            leaving.callback(consumer.close)
            found: list[Any] = []
            deadline = time.monotonic() + 120  # a sink that found no cluster waits up to 30
            partitions: Any = {}
            while not partitions and time.monotonic() < deadline:
                # The first message makes the topic; until then it has no partitions to read.
                partitions = consumer.list_topics(topic, timeout=20).topics[topic].partitions
                time.sleep(0 if partitions else 0.2)
            consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
            while len(found) < count and time.monotonic() < deadline:
                found += consumer.consume(100, timeout=0.5)
            found += consumer.consume(100, timeout=0.5)
        assert not [message.error() for message in found if message.error()]
        return found

    def ids(self, count: int, topic: str = TOPIC) -> list[int]:
        """Return the keys of a topic's messages, sorted."""
        return sorted(int(message.key()) for message in self.messages(count, topic))


@contextmanager
def a_cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    try:
        yield cluster
    finally:
        cluster.close()


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with a_cluster() as cluster:
        yield cluster


@pytest.fixture
def task(project, requester) -> Task:
    seed_agents()
    return submit(project=project, requester=requester, request="Fix it").task


def say(task: Task, text: str) -> Event:
    with transaction.atomic():
        return task.record(Kind.MESSAGE, data={"text": text})


def all_ids() -> list[int]:
    return sorted(Event.objects.values_list("pk", flat=True))


@contextmanager
def sink_process(cluster: Cluster) -> Iterator[subprocess.Popen[bytes]]:
    name = connection.settings_dict["NAME"]
    database = os.environ["DATABASE_URL"].replace("/countersign?", f"/{name}?")
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "publish_events"],
        env={**os.environ, "DATABASE_URL": database, "KAFKA_URL": cluster.url},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(20)


def test_every_event_goes_to_the_topic_of_its_project(cluster, task, requester) -> None:
    other = Project.objects.create(slug="other", name="other", repository="/nowhere.git")
    Membership.objects.create(user=requester, project=other, role=Role.REQUESTER)
    submit(project=other, requester=requester, request="Something else")
    say(task, "Grüße")
    assert cluster.publisher().once() == Event.objects.count()
    ours = Event.objects.filter(task__project__slug="acme-billing")
    found = {int(message.key()): message for message in cluster.messages(ours.count())}
    assert sorted(found) == sorted(ours.values_list("pk", flat=True))
    last = found[max(found)]
    sent = json.loads(last.value())
    assert sent.pop("at")
    assert sent == {
        "id": max(found),
        "project": "acme-billing",
        "task": str(task.pk),
        "number": task.number,
        "seq": Event.objects.get(pk=max(found)).seq,
        "kind": "message",
        "step": None,
        "data": {"text": "Grüße"},
    }
    assert last.headers() == [("kind", b"message"), ("version", b"1")]
    theirs = Event.objects.filter(task__project=other)
    assert cluster.ids(theirs.count(), "countersign.events.other") == sorted(
        theirs.values_list("pk", flat=True)
    )
    assert cluster.publisher().once() == 0


def test_an_event_whose_transaction_ends_late_is_not_skipped(cluster, task) -> None:
    cluster.publisher().once()
    before = all_ids()
    name = connection.settings_dict["NAME"]
    url = os.environ["DATABASE_URL"].replace("/countersign?", f"/{name}?")
    with psycopg.connect(url) as slow:
        slow.execute(
            "INSERT INTO agents_event (task_id, seq, kind, data) VALUES (%s, 1000, 'message', '{}')",
            [task.pk],
        )
        say(task, "committed first")
        assert cluster.publisher().once() == 0, "sent past a transaction that is not over"
        assert cluster.ids(len(before)) == before
    assert cluster.publisher().once() == 2
    assert cluster.ids(len(before) + 2) == all_ids()


def test_killed_between_sending_and_noting_it_sends_again_and_loses_nothing(cluster, task) -> None:
    name = connection.settings_dict["NAME"]
    url = os.environ["DATABASE_URL"].replace("/countersign?", f"/{name}?")
    with sink_process(cluster) as sink:
        until(lambda: SinkCursor.objects.filter(event=max(all_ids())).exists())
        known = all_ids()
        with psycopg.connect(url) as holder:
            # A lock on the row would take a transaction number, and so hold back what is said.
            holder.execute("LOCK TABLE countersign_sinkcursor IN SHARE MODE")
            say(task, "sent, not noted")
            until(lambda: len(cluster.messages(len(known) + 1)) == len(known) + 1)
            assert cluster.publisher().once() == 0, "two of them worked at once"
            sink.kill()
            sink.wait(20)
            # Else its server process, let go, would note it after all.
            holder.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE %s = ANY("
                "pg_blocking_pids(pid))",
                [holder.info.backend_pid],
            )
    assert SinkCursor.objects.get().event == max(known)
    say(task, "afterwards")
    until(lambda: cluster.publisher().once() == 2)  # when the server has missed the dead one
    ids = cluster.ids(len(known) + 3)
    assert sorted(set(ids)) == all_ids()
    assert len(ids) == len(set(ids)) + 1


def test_nothing_is_lost_while_the_cluster_is_away(cluster, task, client) -> None:
    cluster.publisher().once()
    known = all_ids()
    cluster.process.send_signal(signal.SIGSTOP)
    say(task, "meanwhile")
    with pytest.raises(KafkaAway):
        cluster.publisher().once()
    assert SinkCursor.objects.get().event == max(known)
    assert value(client.get("/metrics").text, 'countersign_events_behind{sink="kafka"}') == 1
    cluster.process.send_signal(signal.SIGCONT)
    until(lambda: came_through(cluster))
    assert value(client.get("/metrics").text, 'countersign_events_behind{sink="kafka"}') == 0
    assert sorted(set(cluster.ids(len(known) + 1))) == all_ids()


def came_through(cluster: Cluster) -> bool:
    try:
        return cluster.publisher().once() > 0
    except KafkaAway:
        return False


def test_an_event_too_large_for_the_cluster_is_sent_without_its_data(cluster, task) -> None:
    large = say(task, "x" * 1_200_000)
    after = say(task, "small")
    cluster.publisher().once()
    messages = cluster.messages(len(all_ids()))
    found = {int(message.key()): json.loads(message.value()) for message in messages}
    assert sorted(found) == all_ids()
    assert found[large.pk]["data"] == {}
    assert found[large.pk]["left_out"]["bytes"] > 1_200_000
    assert found[large.pk]["seq"] == large.seq
    assert found[after.pk]["data"] == {"text": "small"}


def test_another_cluster_gets_the_log_from_its_start(cluster, task) -> None:
    cluster.publisher().once()
    with a_cluster() as other:
        assert other.publisher().once() == len(all_ids())
        assert other.ids(len(all_ids())) == all_ids()


def test_a_log_restored_into_another_server_is_refused_until_it_is_numbered_anew(
    cluster, task
) -> None:
    cluster.publisher().once()
    SinkCursor.objects.update(xact=2**60)  # as if the server before had counted that far
    with pytest.raises(LogRestored, match="--renumber"):
        cluster.publisher().once()
    assert publishing.renumber() == len(all_ids())
    assert cluster.publisher().once() == len(all_ids())


def test_a_cursor_that_another_moved_is_not_moved_back(task) -> None:
    cursor = SinkCursor.objects.create(name="kafka")
    say(task, "two events")
    first, *_, last = eventlog.after(cursor, 100)
    publishing.advance(cursor, last)
    with pytest.raises(publishing.Overtaken):
        publishing.advance(cursor, first)
    assert SinkCursor.objects.get().event == last.event
