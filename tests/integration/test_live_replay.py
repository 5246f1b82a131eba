"""Streams resume from every cursor: no gap, no duplicate, in order, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import json

import pytest
import redis

from agents import events
from agents.events import channel
from agents.lifecycle import StepState
from agents.models import Event, Task
from agents.runtime.database import in_db
from agents.runtime.streaming import tail_key
from countersign.live import feeds, register
from countersign.live import mux as mux_module
from countersign.live.feeds import TaskFeed, mux
from countersign.live.frames import Sent, Signal
from countersign.live.identity import Viewer
from tests.api_fixtures import submitted
from tests.live_fixtures import SECONDS, finish, say, seqs, serving, until, watching

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def task(project, requester):
    return submitted(project, requester)


@pytest.fixture
def viewer(requester):
    from projects import tokens

    token, _ = tokens.issue(requester, name="test")
    return Viewer(user=requester.pk, token=token.pk)


async def test_every_cursor_gets_exactly_the_rest_while_events_arrive(task, requester):
    await in_db(say, task, *"abcdefgh")
    async with serving() as host:
        client = await watching(host, requester)
        streams = [asyncio.create_task(client.sse(task, after=after)) for after in range(10)]
        sockets = [asyncio.create_task(client.ws_all(task, after=after)) for after in range(10)]
        for _ in range(40):
            await in_db(say, task, "meanwhile")
        await until(lambda: mux().watchers == 20)
        for _ in range(20):
            await in_db(say, task, "later")
        await in_db(finish, task)
        for after, stream in enumerate(streams):
            status, frames = await stream
            assert status == 200
            assert [int(each["id"]) for each in frames if "id" in each] == [*range(after + 1, 71)]
            assert frames[-1]["event"] == "end"
        for after, socket in enumerate(sockets):
            frames, code = await socket
            assert seqs(frames) == [*range(after + 1, 71)]
            assert (frames[-1], code) == ({"kind": "end"}, 1000)
    assert mux().watchers == 0


async def test_both_transports_send_what_the_event_list_says(task, requester):
    await in_db(say, task, "a", "é ☃ \u2028")
    await in_db(finish, task)
    async with serving() as host:
        client = await watching(host, requester)
        rows = await in_db(lambda: [events.frame(each) for each in Event.objects.order_by("seq")])
        _, streamed = await client.sse(task)
        framed, _ = await client.ws_all(task)
    assert [each["data"] for each in streamed[:-1]] == rows
    assert framed[:-1] == rows


async def test_a_reconnecting_client_goes_on_after_its_last_event(task, requester):
    await in_db(say, task, "a", "b", "c")
    await in_db(finish, task)
    async with serving() as host:
        client = await watching(host, requester)
        _, frames = await client.sse(task, after=0, last="3")
        assert [each["id"] for each in frames if "id" in each] == ["4", "5"]


async def test_a_client_that_has_everything_is_told_not_to_come_back(task, requester):
    await in_db(finish, task)
    async with serving() as host:
        client = await watching(host, requester)
        assert await client.sse(task, last="2") == (204, [])


async def test_a_cursor_from_the_future_hides_nothing(task, requester):
    async with serving() as host:
        client = await watching(host, requester)
        reading = asyncio.create_task(client.sse(task, after=1_000))
        await until(lambda: mux().watchers == 1)
        await in_db(say, task, "a")
        await in_db(finish, task)
        _, frames = await reading
    assert [each["id"] for each in frames if "id" in each] == ["1", "2", "3"]


async def collect(feed, *, pause=0.0):
    found = []
    async for item in feed.items():
        found.append(item)
        await asyncio.sleep(pause)
    return found


async def test_a_slow_watcher_re_reads_rows_and_misses_nothing(task, viewer):
    feed = TaskFeed(task.pk, after=0, viewer=viewer)
    items = feed.items()
    first = await anext(items)
    await in_db(say, task, *["burst"] * 600)  # the queue holds 256, and nobody reads
    await in_db(finish, task)
    found = [first] + [item async for item in items]
    assert [item.seq for item in found if isinstance(item, Sent)] == [*range(1, 603)]
    assert found[-1] is Signal.END


async def test_announcements_out_of_order_are_put_in_order(task, viewer):
    feed = TaskFeed(task.pk, after=1, viewer=viewer)
    reading = asyncio.create_task(collect(feed))
    await until(lambda: mux().watchers == 1)
    await asyncio.sleep(0.1)
    rows = await in_db(lambda: [_silently(task, text) for text in "abc"])
    for row in reversed(rows):
        await in_db(events.announce, row)
    for row in rows:
        await in_db(events.announce, row)  # and each a second time
    await in_db(finish, task)
    assert [item.seq for item in await reading if isinstance(item, Sent)] == [2, 3, 4, 5]


async def test_a_lost_announcement_is_healed_from_the_rows(task, viewer, monkeypatch):
    monkeypatch.setattr(mux_module, "HEAL_SECONDS", 0.1)
    feed = TaskFeed(task.pk, after=1, viewer=viewer)
    items = feed.items()
    reading = asyncio.create_task(anext(items))
    await until(lambda: mux().watchers == 1)
    await in_db(_silently, task, "never announced")
    async with asyncio.timeout(5):
        assert (await reading).seq == 2
    await items.aclose()


def _silently(task: Task, text: str) -> Event:
    """Commit an event whose announcement is lost."""
    from django.db import transaction

    with transaction.atomic():
        event = task.record("message", {"text": text})
        transaction.get_connection().run_on_commit.clear()
    return event


async def test_nonsense_on_the_channel_ends_no_stream(task, viewer, settings):
    feed = TaskFeed(task.pk, after=1, viewer=viewer)
    reading = asyncio.create_task(collect(feed))
    await until(lambda: mux().watchers == 1)
    await asyncio.sleep(0.1)
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        for body in (b"{", b"\xff", b"[]", b"7", b"null", b'{"seq": "x"}', b'{"seq": null}', b""):
            client.publish(channel(task.pk), body)
    await in_db(finish, task)
    assert [item.seq for item in await reading if isinstance(item, Sent) and item.seq] == [2]


async def test_a_late_comer_gets_the_text_written_so_far_and_no_piece_twice(task, viewer, settings):
    step = await in_db(_running_step, task)
    with redis.Redis.from_url(settings.REDIS_URL, decode_responses=True) as client:
        client.xadd(tail_key(step.pk), {"offset": 0, "text": "Hello"})
        client.xadd(tail_key(step.pk), {"offset": 5, "text": ", wor"})
        feed = TaskFeed(task.pk, after=0, viewer=viewer)
        items = feed.items()
        found = [await anext(items) for _ in range(await in_db(_last_seq, task) + 2)]
        for offset, text in ((5, ", wor"), (10, "ld"), (0, "Next")):
            delta = {"kind": "delta", "step": str(step.pk), "offset": offset, "text": text}
            client.publish(channel(task.pk), json.dumps(delta))
        found += [await anext(items), await anext(items)]
        await items.aclose()
        await feeds.close()
    deltas = [json.loads(item.body) for item in found if item.kind == "delta"]
    assert [(each["offset"], each["text"]) for each in deltas] == [
        (0, "Hello"),
        (5, ", wor"),
        (10, "ld"),
        (0, "Next"),
    ]
    assert all(item.seq is None for item in found if item.kind == "delta")


def _running_step(task):
    step = task.steps.get()
    step.task = task
    step.move(StepState.LEASED, attempt=1, lease_until=task.created_at, lease_owner="test")
    return step


def _last_seq(task):
    return Task.objects.values_list("last_seq", flat=True).get(pk=task.pk)


async def test_a_task_that_ends_while_replays_read_ends_every_stream(project, requester, viewer):
    for _ in range(8):
        task = await in_db(submitted, project, requester)
        opened = [TaskFeed(task.pk, after=0, viewer=viewer) for _ in range(12)]
        reading = [asyncio.create_task(collect(feed)) for feed in opened]
        await in_db(finish, task)
        async with asyncio.timeout(SECONDS):
            found = await asyncio.gather(*reading)
        for items in found:
            assert [item.seq for item in items[:-1]] == [1, 2]
            assert items[-1] is Signal.END


async def test_silence_is_broken_by_pings(task, viewer, monkeypatch):
    monkeypatch.setattr(register, "PING_SECONDS", 0.05)
    items = TaskFeed(task.pk, after=1, viewer=viewer).items()
    assert [await anext(items) for _ in range(3)] == [Signal.PING] * 3
    await items.aclose()


async def test_all_watchers_share_one_connection(task, viewer):
    ends = [asyncio.create_task(collect(TaskFeed(task.pk, after=0, viewer=viewer))) for _ in "ab"]
    await until(lambda: mux().watchers == 2)
    await in_db(finish, task)
    await asyncio.gather(*ends)
    assert mux().connections == 1
    assert mux().watchers == 0
