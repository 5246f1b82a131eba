"""One Redis subscription per process, fanned out in memory to everyone who watches."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.asyncio import ConnectionPool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping

    from redis.asyncio.connection import AbstractConnection

    from countersign.live.frames import Signal

    Behind = Callable[[dict[str, int]], Awaitable[dict[str, int]]]

logger = logging.getLogger(__name__)

QUEUE = 256  # messages a watcher may be behind before it re-reads rows instead
ACK_SECONDS = 2.0  # a watcher waits so long for the subscription, then goes on by healing
PING_SECONDS = 10.0  # silence after which the connection is tested, then given up
HEAL_SECONDS = 5.0  # how late an announcement that was lost is made good
RETRY_SECONDS = 0.5
CONNECT_SECONDS = 5.0  # with the handshake
SUBSCRIBE_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Message:
    """One published frame: as it came, and decoded once for all watchers."""

    channel: str
    body: str
    frame: dict[str, Any]


class Watcher:
    """What one client was not sent yet; too far behind means: read the rows again.

    Ten thousand of them wait at once, so it holds no queue and no event until there is need.
    """

    __slots__ = ("_messages", "_resync", "_signals", "_size", "_waiting", "channels", "seen")

    def __init__(self, channels: Iterable[str], size: int) -> None:
        self.channels = tuple(channels)
        self.seen = 0  # the last seq the client has; the healer compares it with the rows
        self._size = size
        self._messages: deque[Message] | None = None
        self._signals: list[Signal] | None = None
        self._resync = True
        self._waiting: asyncio.Future[None] | None = None

    def push(self, message: Message) -> None:
        """Queue a message, or fall back to a resync when the client is too slow."""
        if self._resync:
            # A replay is due and has not begun: it will find the row. Deltas are in the tail.
            return
        if self._messages is None:
            self._messages = deque()
        if len(self._messages) >= self._size:
            self.resync()
            return
        self._messages.append(message)
        self._wake()

    def resync(self) -> None:
        """Make the client re-read rows before anything else."""
        self._messages = None
        self._resync = True
        self._wake()

    def tell(self, signal: Signal) -> None:
        """Say something besides messages; once is enough."""
        if self._signals is None:
            self._signals = []
        if signal not in self._signals:
            self._signals.append(signal)
        self._wake()

    def take_resync(self) -> bool:
        """Tell whether rows must be read again, and begin queueing for the time after."""
        due, self._resync = self._resync, False
        return due

    def take(self) -> Message | None:
        """Return the next message, None when there is none."""
        if not self._messages:
            self._messages = None
            return None
        return self._messages.popleft()

    def take_signal(self) -> Signal | None:
        """Return what was told, None when nothing was."""
        signal = self._signals.pop(0) if self._signals else None
        if not self._signals:
            self._signals = None
        return signal

    async def wait(self) -> None:
        """Wait until there is something to do."""
        if self._messages or self._resync or self._signals:
            return
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class Mux:
    """Holds the one connection: subscribes to what is watched, survives a Redis restart."""

    def __init__(
        self,
        url: str,
        *,
        behind: Behind | None = None,
        heeded: Mapping[str, Callable[[], None]] | None = None,
    ) -> None:
        # RESP2 keeps published messages plain replies; no hidden retry may reconnect
        # behind our back, because every reconnect must make every watcher replay. No
        # socket_timeout either: redis-py holds it by asyncio.wait_for, which in Python 3.11
        # can swallow a cancellation; a dead server is found by the pings of `_read`.
        self._pool = ConnectionPool.from_url(
            url,
            protocol=2,
            socket_timeout=None,
            socket_connect_timeout=2,
            health_check_interval=0,
        )
        self._behind = behind
        # What the process itself hears of while anybody watches; called too when it may have missed one.
        self._heeded = dict(heeded or {})
        self._watchers: dict[str, set[Watcher]] = {}
        self._sent: set[str] = set()
        self._unacknowledged: dict[str, int] = {}
        self._in_force: set[str] = set()
        self._hoping: dict[str, asyncio.Future[None]] = {}  # channels somebody waits for
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._up = True
        self.connections = 0  # made so far; tests and metrics read it

    @property
    def watchers(self) -> int:
        """How many clients watch through this process."""
        return len(set().union(*self._watchers.values()))

    async def join(self, *channels: str, size: int = QUEUE) -> Watcher:
        """Subscribe, wait for the acknowledgement, and return a watcher whose first act is a replay.

        With Redis away it goes on after `ACK_SECONDS`: rows are still read, and healed later. Who
        joined has to `leave`.
        """
        watcher = Watcher(channels, size)
        self._add(watcher)
        try:
            await self._acknowledged(watcher)
        except BaseException:
            self.leave(watcher)
            raise
        return watcher

    def _add(self, watcher: Watcher) -> None:
        for channel in watcher.channels:
            self._watchers.setdefault(channel, set()).add(watcher)
            if channel in self._sent and not self._unacknowledged.get(channel):
                # Left and watched again before anything was sent: it is in force.
                self._in_force.add(channel)
        self._changed.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="countersign-live-mux")

    async def _acknowledged(self, watcher: Watcher) -> None:
        hoped = [channel for channel in watcher.channels if channel not in self._in_force]
        if not hoped:
            return
        loop = asyncio.get_running_loop()
        with suppress(TimeoutError):
            async with asyncio.timeout(ACK_SECONDS):
                for channel in hoped:
                    # Shared by all who wait for it: none may cancel it for the others.
                    await asyncio.shield(self._hoping.setdefault(channel, loop.create_future()))

    def leave(self, watcher: Watcher) -> None:
        """Stop watching; twice is harmless."""
        for channel in watcher.channels:
            watchers = self._watchers.get(channel, set())
            watchers.discard(watcher)
            if not watchers:
                self._watchers.pop(channel, None)
                self._in_force.discard(channel)
                self._hoping.pop(channel, None)
        self._changed.set()

    async def close(self) -> None:
        """Give the connection back; only for the end of the process."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _forget(self) -> None:
        self._sent.clear()
        self._unacknowledged.clear()
        self._in_force.clear()
        self._changed.set()

    async def _run(self) -> None:
        """Keep the connection up; nothing may end it before the process ends."""
        while True:
            try:
                await self._serve()
            except Exception as error:  # noqa: BLE001 - one bad byte must not end every stream
                level = logging.WARNING if self._up else logging.DEBUG
                logger.log(level, "live updates lost Redis, trying again: %s", error)
            self._up = False
            self._forget()
            await asyncio.sleep(RETRY_SECONDS)

    async def _serve(self) -> None:
        connection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await connection.connect()
            self._up = True
            self.connections += 1
            await _until_one_ends(
                self._write(connection), self._read(connection), self._heal(self._behind)
            )
        finally:
            await connection.disconnect(nowait=True)

    async def _write(self, connection: AbstractConnection) -> None:
        """Bring the subscriptions in line with what is watched; a storm becomes one command."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            wanted = self._watchers.keys() | self._heeded.keys()
            for channels in _portions(sorted(wanted - self._sent)):
                self._sent.update(channels)
                for channel in channels:
                    self._unacknowledged[channel] = self._unacknowledged.get(channel, 0) + 1
                await connection.send_command("SUBSCRIBE", *channels, check_health=False)
            for channels in _portions(sorted(self._sent - wanted)):
                self._sent.difference_update(channels)
                await connection.send_command("UNSUBSCRIBE", *channels, check_health=False)

    async def _read(self, connection: AbstractConnection) -> None:
        silent = False
        while True:
            reply = await connection.read_response(
                disable_decoding=True,
                timeout=PING_SECONDS,
                disconnect_on_error=False,
                push_request=True,
            )
            if reply is not None:
                silent = False
                self._receive(reply)
            elif silent:
                raise ConnectionError("no answer to a ping")
            else:
                silent = True
                await connection.send_command("PING", check_health=False)

    def _receive(self, reply: Any) -> None:
        if not isinstance(reply, list):
            return  # a ping's answer while nothing is subscribed
        kind, channel = reply[0], reply[1].decode()
        if kind == b"message" and channel in self._heeded:
            self._heeded[channel]()
        elif kind == b"message":
            self._fan_out(channel, reply[2])
        elif kind == b"subscribe":
            self._acknowledge(channel)

    def _fan_out(self, channel: str, body: bytes) -> None:
        watchers = self._watchers.get(channel)
        if not watchers:
            return
        try:
            message = Message(channel, body.decode(), dict(json.loads(body)))
        except (ValueError, TypeError, RecursionError):
            logger.warning("a frame on %s is no JSON object and was dropped", channel)
            return
        for watcher in watchers:
            watcher.push(message)

    def _acknowledge(self, channel: str) -> None:
        self._unacknowledged[channel] -= 1
        if self._unacknowledged[channel]:
            return  # an older subscription's answer: this one is not in force yet
        del self._unacknowledged[channel]
        if channel in self._heeded:
            self._heeded[channel]()
        if channel not in self._watchers:
            return
        self._in_force.add(channel)
        if hope := self._hoping.pop(channel, None):
            hope.set_result(None)
        for watcher in self._watchers[channel]:
            watcher.resync()

    async def _heal(self, behind: Behind | None) -> None:
        """Find announcements that were lost: one query for all watched tasks."""
        while True:
            await asyncio.sleep(HEAL_SECONDS)
            if behind is None or not self._watchers:
                continue
            least = {
                channel: min(watcher.seen for watcher in watchers)
                for channel, watchers in self._watchers.items()
            }
            try:
                newest = await behind(least)
            except Exception as error:  # noqa: BLE001 - the database may be away for a while
                logger.warning("live updates could not be compared with the rows: %s", error)
                continue
            for channel, seq in newest.items():
                for watcher in self._watchers.get(channel, ()):
                    if watcher.seen < seq:
                        watcher.resync()


def _portions(channels: list[str]) -> Iterable[list[str]]:
    for start in range(0, len(channels), SUBSCRIBE_AT_ONCE):
        yield channels[start : start + SUBSCRIBE_AT_ONCE]


async def _until_one_ends(*works: Coroutine[Any, Any, None]) -> None:
    """Run works side by side until one fails, and raise what it raised.

    No TaskGroup: in Python 3.11 it loses a cancellation that meets a failing child.
    """
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
