"""Working memory is a cache: fast when Redis has it, right when Redis has nothing."""

from __future__ import annotations

import threading
import time
import uuid

import pytest
import redis
from django.conf import settings

from memory.working import MAX_BYTES, MAX_ENTRIES, TTL_SECONDS, WorkingMemory, end
from tests.admin_fixtures import make_agent, make_task


class Rows:
    """The durable rows a chain is rebuilt from; counts how often they are asked."""

    def __init__(self) -> None:
        self.entries: list[dict[str, object]] = []
        self.asked = 0

    def write(self, memory: WorkingMemory, text: str) -> None:
        self.entries.append({"text": text})
        memory.append(self.entries[-1], seq=len(self.entries), after=len(self.entries) - 1)

    def rebuild(self) -> list[dict[str, object]]:
        self.asked += 1
        return self.entries

    def read(self, memory: WorkingMemory) -> list[dict[str, object]]:
        return memory.read_chain(rebuild=self.rebuild, last_seq=len(self.entries))


@pytest.fixture
def client():
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        yield client


@pytest.fixture
def rows():
    return Rows()


@pytest.fixture
def memory():
    return WorkingMemory(uuid.uuid4(), "coder")


@pytest.fixture
def no_redis(settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"


def test_chain_is_read_from_redis_without_asking_the_rows(memory, rows):
    for number in range(5):
        rows.write(memory, f"turn {number}")
    assert rows.read(memory) == rows.entries
    assert rows.asked == 0


def test_flush_in_the_middle_of_a_task_loses_no_turn(memory, rows, client):
    for number in range(50):
        if number in (7, 31):
            client.flushall()
        rows.write(memory, f"turn {number}")
        assert rows.read(memory) == rows.entries
    assert rows.asked == 2


def test_append_after_a_flush_does_not_pass_for_the_whole_chain(memory, rows, client):
    rows.write(memory, "first")
    client.flushall()
    rows.write(memory, "second")
    assert [entry["text"] for entry in rows.read(memory)] == ["first", "second"]
    assert rows.asked == 1


def test_row_that_was_never_cached_is_found(memory, rows):
    rows.write(memory, "first")
    rows.entries.append({"text": "written by a worker that died before it cached"})
    assert rows.read(memory) == rows.entries
    assert rows.read(memory) == rows.entries
    assert rows.asked == 1


def test_agents_and_tasks_do_not_see_each_other(rows):
    task = uuid.uuid4()
    rows.write(WorkingMemory(task, "coder"), "mine")
    for other in (WorkingMemory(task, "tester"), WorkingMemory(uuid.uuid4(), "coder")):
        assert other.read_chain(rebuild=list, last_seq=1) == []
        assert other.read_vars(rebuild=dict) == {}


def test_empty_chain_asks_nobody(memory, rows):
    assert rows.read(memory) == []
    assert rows.asked == 0


@pytest.mark.parametrize("length", [10, 3_000, 30_000, MAX_BYTES + 1])
def test_cached_and_rebuilt_chain_are_cut_alike(memory, rows, client, length):
    for number in range(MAX_ENTRIES + 10):
        rows.write(memory, f"{number} " + "x" * (length // (1 + number % 3)))
    cached = rows.read(memory)
    assert rows.asked == 0
    client.flushall()
    assert rows.read(memory) == cached
    assert 1 <= len(cached) <= MAX_ENTRIES
    assert cached[-1] == rows.entries[-1]


def test_variables_survive_a_flush(memory, client):
    memory.set_vars(branch="main", turns=3, files=["a.py"])
    stored = {"branch": "main", "turns": 3, "files": ["a.py"]}
    assert memory.read_vars(rebuild=dict) == stored
    client.flushall()
    assert memory.read_vars(rebuild=lambda: stored) == stored
    assert memory.read_vars(rebuild=dict) == stored


def test_keys_live_a_day_and_fade_an_hour_after_the_end(rows, client):
    task = uuid.uuid4()
    memory = WorkingMemory(task, "coder")
    rows.write(memory, "turn")
    memory.set_vars(branch="main")
    keys = list(client.scan_iter(f"cs:wm:{task}:*"))
    assert len(keys) == 4
    assert all(TTL_SECONDS - 60 < client.ttl(key) <= TTL_SECONDS for key in keys)
    end(task)
    assert all(3_500 < client.ttl(key) <= 3_600 for key in keys)


def test_end_of_a_task_lets_its_memory_fade(
    project, requester, client, django_capture_on_commit_callbacks
):
    task = make_task(project, requester, make_agent(), state="working")
    WorkingMemory(task.pk, "coder").set_vars(branch="main")
    with django_capture_on_commit_callbacks(execute=True):
        task.move("assembling")
    assert client.ttl(f"cs:wm:{task.pk}:coder:vars") > 3_600
    with django_capture_on_commit_callbacks(execute=True):
        task.move("cancelled")
    assert 3_500 < client.ttl(f"cs:wm:{task.pk}:coder:vars") <= 3_600


def test_write_refreshes_the_time_to_live(memory, rows, client):
    rows.write(memory, "turn")
    client.expire(memory._chain, 5)
    rows.write(memory, "turn")
    assert client.ttl(memory._chain) > 5


def test_many_readers_after_a_flush_rebuild_once(memory, rows, client):
    rows.write(memory, "turn")
    client.flushall()
    start, answers = threading.Barrier(8), []

    def read() -> None:
        start.wait(10)
        answers.append(rows.read(memory))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert answers == [rows.entries] * 8
    assert rows.asked == 1


def test_lock_of_a_reader_that_died_holds_nobody_up(memory, rows, client):
    rows.write(memory, "turn")
    client.flushall()
    client.set(memory._lock, "dead", px=60_000)
    assert rows.read(memory) == rows.entries


def test_redis_gone_is_no_error_for_the_caller(no_redis, memory, rows):
    rows.write(memory, "first")
    rows.write(memory, "second")
    assert rows.read(memory) == rows.entries
    memory.set_vars(branch="main")
    assert memory.read_vars(rebuild=lambda: {"branch": "main"}) == {"branch": "main"}
    end("a-task")


def test_rebuilding_fifty_turns_is_quick(memory, rows, client):
    rows.entries = [{"text": "x" * 1_000} for _ in range(50)]
    times = []
    for _ in range(3):
        client.flushall()
        began = time.perf_counter()
        assert rows.read(memory) == rows.entries
        times.append(time.perf_counter() - began)
    assert min(times) < 0.2
