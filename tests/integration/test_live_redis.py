"""Redis goes and comes back: streams lose nothing and every client replays."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from agents.models import Event
from agents.runtime.database import in_db
from countersign.live import control, feeds
from countersign.live import mux as mux_module
from countersign.live.feeds import TaskFeed, mux
from countersign.live.frames import Sent, Signal
from countersign.live.identity import Viewer
from countersign.supervisor import redis_server
from projects import tokens
from tests.api_fixtures import submitted
from tests.live_fixtures import SECONDS, finish, say, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server(tmp_path, settings):
    """A Redis of our own that the test may stop and start."""
    server = redis_server.choose(tmp_path, tmp_path / "redis.log")
    settings.REDIS_URL = server.url
    return server


@pytest.fixture
def task(server, project, requester):
    return submitted(project, requester)


@pytest.fixture
def viewer(requester):
    token, _ = tokens.issue(requester, name="test")
    return Viewer(user=requester.pk, token=token.pk)


async def start(server):
    child = server.child()
    child.start()
    await until(server.ready)
    return child


async def collect(feed):
    return [item async for item in feed.items()]


async def test_a_restart_loses_no_event_and_repeats_none(server, task, viewer):
    child = await start(server)
    opened = [TaskFeed(task.pk, after=after, viewer=viewer) for after in (0, 1, 0, 1)]
    reading = [asyncio.create_task(collect(feed)) for feed in opened]
    await until(lambda: mux().watchers == 4)
    await in_db(say, task, "before", "before")
    child.stop(5)
    await in_db(say, task, "while it is away", "and once more")
    child = await start(server)
    await until(lambda: mux().connections == 2)
    await in_db(say, task, "after")
    await in_db(finish, task)
    async with asyncio.timeout(SECONDS):
        read = await asyncio.gather(*reading)
    for after, items in zip((0, 1, 0, 1), read, strict=True):
        sent = [item.seq for item in items if isinstance(item, Sent)]
        assert sent == [*range(after + 1, 8)]
        assert items[-1] is Signal.END
    await feeds.close()
    child.stop(5)


async def test_without_redis_streams_are_fed_from_the_rows(server, task, viewer, monkeypatch):
    monkeypatch.setattr(mux_module, "ACK_SECONDS", 0.1)
    items = TaskFeed(task.pk, after=0, viewer=viewer).items()
    assert (await anext(items)).seq == 1
    await in_db(say, task, "nobody can announce this")
    child = await start(server)  # the subscription comes up and makes everybody replay
    assert (await anext(items)).seq == 2
    await items.aclose()
    await feeds.close()
    child.stop(5)


async def test_events_are_recorded_while_redis_is_away(server, task):
    await in_db(say, task, "a", "b")
    assert await in_db(Event.objects.filter(task=task).count) == 3


async def test_a_storm_of_watchers_is_one_connection_and_few_commands(server, task, viewer):
    child = await start(server)
    names = [f"cs:task:{number}" for number in range(2_000)]
    ready = asyncio.Event()
    entered = 0

    async def watch(name):
        nonlocal entered
        watcher = await mux().join(name)
        entered += 1
        await ready.wait()
        mux().leave(watcher)

    watching = [asyncio.create_task(watch(name)) for name in names]
    await until(lambda: entered == len(names))
    assert mux().connections == 1
    assert mux().watchers == len(names)
    ready.set()
    await asyncio.gather(*watching)
    assert mux().watchers == 0
    async with Redis.from_url(server.url) as redis:
        async with asyncio.timeout(SECONDS):
            while await redis.pubsub_channels("cs:task:*"):  # noqa: ASYNC110 - Redis cannot be awaited
                await asyncio.sleep(0.01)
        calls = await redis.info("commandstats")
    # 500 channels in a command, and one more for each turn in which watchers came or left.
    for command in ("cmdstat_subscribe", "cmdstat_unsubscribe"):
        assert 4 <= calls[command]["calls"] <= 10, command
    await feeds.close()
    child.stop(5)


async def test_a_channel_left_and_watched_again_at_once_is_still_in_force(server):
    child = await start(server)
    watchers = [await mux().join(name) for name in ("cs:test:again", "cs:test:beside")]
    for watcher in watchers:
        mux().leave(watcher)
    async with asyncio.timeout(mux_module.ACK_SECONDS / 2):
        await mux().join("cs:test:again")
    child.stop(5)


async def test_a_hint_is_heard_and_one_that_may_be_missed_is_too(server):
    heard: list[None] = []
    child = await start(server)
    made = mux_module.Mux(server.url, heeded={control.RIGHTS: lambda: heard.append(None)})
    watcher = await made.join("somebody watches")
    await until(lambda: len(heard) == 1)  # what was told before it listened
    control.tell()
    await until(lambda: len(heard) == 2)
    child.stop(5)
    child = await start(server)
    await until(lambda: len(heard) == 3)
    made.leave(watcher)
    await made.close()
    child.stop(5)
