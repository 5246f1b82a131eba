"""When what a model says leaves the worker: the first piece at once, the next together."""

from __future__ import annotations

import asyncio
import json

import redis
from django.conf import settings

from agents.events import channel
from agents.runtime.streaming import Flusher
from projects.ids import uuid7

_SECONDS = 20
_LONG = 1.0  # beside what the first words wait


def _heard(bus):
    message = bus.get_message(timeout=_SECONDS)
    assert message is not None
    return json.loads(message["data"])["text"]


async def test_the_first_piece_leaves_at_once_and_the_next_together():
    task, step = str(uuid7()), str(uuid7())
    flusher = Flusher()

    def say(offset, text):
        flusher.add((step, "delta"), task_id=task, offset=offset, text=text)

    with redis.Redis.from_url(settings.REDIS_URL) as client, client.pubsub() as bus:
        bus.subscribe(channel(task))
        bus.get_message(timeout=_SECONDS)
        say(0, "One")
        for _ in range(3):  # turns of the loop, in which no time passes
            await asyncio.sleep(0)
        assert not flusher._pending
        for place, text in enumerate(("two", "three", "four")):
            say(3 + place, text)
            await asyncio.sleep(0)
        assert flusher._pending
        found = await asyncio.to_thread(lambda: [_heard(bus) for _ in range(2)])
    assert found == ["One", "twothreefour"]


async def test_the_first_piece_does_not_wait_for_the_words_of_others():
    task, speaks, begins = str(uuid7()), str(uuid7()), str(uuid7())
    flusher = Flusher()
    with redis.Redis.from_url(settings.REDIS_URL) as client, client.pubsub() as bus:
        bus.subscribe(channel(task))
        bus.get_message(timeout=_SECONDS)
        flusher.add((speaks, "delta"), task_id=task, offset=0, text="One")
        for _ in range(3):  # turns of the loop
            await asyncio.sleep(0)
        flusher._all_at.rest(_LONG)  # as if the words of others had just been sent
        flusher.add((speaks, "delta"), task_id=task, offset=3, text="two")
        flusher.add((begins, "delta"), task_id=task, offset=0, text="New")
        found = await asyncio.to_thread(lambda: [_heard(bus) for _ in range(3)])
    assert found == ["One", "New", "two"]
