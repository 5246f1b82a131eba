"""A client that has left while it was being answered is no fault."""

from __future__ import annotations

import asyncio
from typing import Any

from countersign.live.consumers import FeedConsumer


def test_a_pong_to_who_has_left_ends_quietly() -> None:
    tried: list[str] = []

    async def send(message: dict[str, Any]) -> None:
        tried.append(message["type"])
        raise OSError("the transport is closed")  # what ASGI servers raise

    consumer = FeedConsumer()
    consumer.base_send = send
    consumer._open = True
    asyncio.run(consumer.receive('{"kind": "ping"}'))
    assert tried == ["websocket.send"]
