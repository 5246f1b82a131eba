"""Clients of the API lose their connection at random moments and miss nothing: 160 times.

Seeded. A cut falls before the first event, inside a replay, inside a burst, or while Redis is away.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import websockets

from agents.events import channel
from agents.runtime.database import in_db
from countersign.live.feeds import mux
from countersign.live.mux import Message
from projects import tokens
from tests.api_fixtures import submitted
from tests.cutting_proxy import CuttingProxy
from tests.live_fixtures import SECONDS, Watching, finish, say, serving, until
from tests.own_redis import OwnRedis

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.django_db(transaction=True)

SEED = 20_261_128
CLIENTS = 4  # two by SSE, two by WebSocket
CUTS_EACH = 40  # of each client's connection
RESTARTS = 3
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
AWAY = (httpx.HTTPError, websockets.WebSocketException, OSError, TimeoutError)


@dataclass(eq=False)
class Client:
    """Reads to the end, coming again by its cursor whenever the line breaks."""

    watching: Watching
    task: Any
    by: str
    seqs: list[int] = field(default_factory=list)
    connections: int = 0
    over: bool = False

    async def read(self) -> None:
        while not self.over:
            self.connections += 1
            with contextlib.suppress(*AWAY):
                async with asyncio.timeout(SECONDS):
                    await (self._sse() if self.by == "sse" else self._ws())

    async def _sse(self) -> None:
        last = str(self.seqs[-1]) if self.seqs else None
        async with self.watching.open_sse(self.task, last=last) as (answer, events):
            self.over = answer.status_code == 204  # it has everything
            async for event in events:
                if "id" in event:
                    self.seqs.append(int(event["id"]))
                self.over |= event.get("event") == "end"

    async def _ws(self) -> None:
        after = self.seqs[-1] if self.seqs else 0
        async with self.watching.ws(f"/ws/tasks/{self.task.pk}?after={after}") as socket:
            async for text in socket:
                frame = json.loads(text)
                if "seq" in frame:
                    self.seqs.append(frame["seq"])
                self.over |= frame["kind"] == "end"


class Moments:
    """Chooses what the next cut falls into, and makes that happen."""

    def __init__(self, proxy: CuttingProxy, task: Any) -> None:
        self.random = random.Random(SEED)  # noqa: S311 - repeats itself, keeps no secret
        self.proxy, self.task = proxy, task
        self.counts: dict[str, int] = {}

    async def one(self) -> None:
        kind = self.random.choice(["before the first event", "inside a replay", "inside a burst"])
        before = self.proxy.cuts
        if kind == "inside a burst":
            writing = asyncio.create_task(in_db(say, self.task, *self._texts()))
            await asyncio.sleep(self.random.uniform(0, 0.02))  # any moment of it will do
            self.proxy.cut()
            await writing
        else:
            # All come again, and are cut again after so many bytes of the answer.
            most = 200 if kind == "before the first event" else 8_000
            self.proxy.budgets += [self.random.randrange(1, most) for _ in range(CLIENTS)]
            await in_db(say, self.task, *self._texts())
            self.proxy.cut()
        self.count(kind, before)

    def count(self, kind: str, before: int) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + self.proxy.cuts - before

    def _texts(self) -> list[str]:
        return ["x" * self.random.randrange(1, 400) for _ in range(self.random.randrange(1, 12))]


@pytest.fixture
def redis(tmp_path, settings) -> Iterator[OwnRedis]:
    with OwnRedis(tmp_path) as redis:
        settings.REDIS_URL = redis.url
        yield redis


async def restarted(redis: OwnRedis, proxy: CuttingProxy, task: Any) -> None:
    """Stop Redis, write, cut, and start it again."""
    await asyncio.to_thread(redis.stop)
    await in_db(say, task, "while Redis is away", "and once more")
    proxy.cut()
    await in_db(say, task, "still away")
    await asyncio.to_thread(redis.start)
    proxy.cut()


async def test_random_disconnects_leave_no_gap_and_no_duplicate(redis, project, requester):
    task = await in_db(submitted, project, requester)
    _, token = await in_db(tokens.issue, requester, name="watch")
    async with serving() as host:
        with CuttingProxy(int(host.rpartition(":")[2])) as proxy:
            watching = Watching(f"127.0.0.1:{proxy.port}", token)
            clients = [
                Client(watching, task, by) for by in ("sse", "ws") for _ in range(CLIENTS // 2)
            ]
            reading = [asyncio.create_task(client.read()) for client in clients]
            moments = Moments(proxy, task)
            for turn in range(RESTARTS):
                while proxy.cuts < CLIENTS * CUTS_EACH * (turn + 1) / RESTARTS:
                    await moments.one()
                    await until(lambda: mux().watchers >= 1 or proxy.budgets)
                before = proxy.cuts
                await restarted(redis, proxy, task)
                moments.count("across a Redis restart", before)
            proxy.budgets.clear()
            await in_db(finish, task)
            async with asyncio.timeout(SECONDS):
                await asyncio.gather(*reading)
    await mux().close()
    await in_db(task.refresh_from_db)
    print(f"\n{proxy.cuts} disconnects: {moments.counts}; {task.last_seq} events")
    print({client.by: client.connections for client in clients})
    for client in clients:
        assert client.seqs == [*range(1, task.last_seq + 1)], client.by
    assert proxy.cuts >= CLIENTS * CUTS_EACH
    assert len(moments.counts) == 4
    assert min(client.connections for client in clients) > 20


async def left(watching: Watching, task: Any, by: str) -> None:
    """Watch by a plain socket, then leave as a browser that dies: by a reset."""
    path = f"/ws/tasks/{task.pk}" if by == "ws" else f"/api/v1/tasks/{task.pk}/stream"
    headers = {**watching.headers, **(UPGRADE if by == "ws" else {}), "Host": watching.host}
    lines = [f"GET {path} HTTP/1.1", *(f"{key}: {each}" for key, each in headers.items()), "", ""]
    name, port = watching.host.split(":")
    loop, got = asyncio.get_running_loop(), b""
    with socket.create_connection((name, int(port))) as end:
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await loop.sock_sendall(end, "\r\n".join(lines).encode())
        async with asyncio.timeout(SECONDS):
            while b"task.submitted" not in got:
                got += await loop.sock_recv(end, 65_536)


@pytest.mark.parametrize("by", ["sse", "ws"])
async def test_nothing_is_written_on_to_who_has_left(redis, project, requester, caplog, by):
    task = await in_db(submitted, project, requester)
    _, token = await in_db(tokens.issue, requester, name="watch")
    async with serving() as host:
        await left(Watching(host, token), task, by)
        # In the same turn of the loop: the server cannot have seen that the client is gone.
        for watcher in mux()._watchers[channel(task.pk)]:
            for seq in range(2, 60):
                frame = {"seq": seq, "kind": "message", "data": {}}
                watcher.push(Message(channel(task.pk), json.dumps(frame), frame))
        await until(lambda: mux().watchers == 0)
    await mux().close()
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []
