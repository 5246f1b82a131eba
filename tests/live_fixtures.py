"""A real uvicorn on a free port in the test's own loop, and clients that watch through it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import httpx
import uvicorn
import websockets

from agents.lifecycle import TaskState
from agents.runtime.database import in_db
from countersign.asgi import application
from projects import tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agents.models import Task
    from projects.models import Project, User

SECONDS = 60  # a test that waits longer has failed


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield  # pytest's own handlers stay


@contextlib.asynccontextmanager
async def serving(port: int = 0, app: Any = application) -> AsyncIterator[str]:
    """Serve an application, by default the whole; yield host:port."""
    config = uvicorn.Config(
        app,
        port=port,
        log_level="warning",
        ws="websockets-sansio",
        lifespan="auto",
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(SECONDS):
        while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
            await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


class Watching:
    """Opens streams as one person, by token."""

    def __init__(self, host: str, token: str) -> None:
        self.host = host
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def sse(self, task: Task, *, after: int | None = None, last: str | None = None) -> Any:
        """Read a stream to its end; return status and the parsed events."""
        async with self.open_sse(task, after=after, last=last) as (answer, events):
            return answer.status_code, [event async for event in events]

    @contextlib.asynccontextmanager
    async def open_sse(
        self, task: Any, *, after: Any = None, last: str | None = None
    ) -> AsyncIterator[Any]:
        headers = dict(self.headers) | ({} if last is None else {"Last-Event-ID": last})
        url = f"http://{self.host}/api/v1/tasks/{getattr(task, 'pk', task)}/stream"
        params = {} if after is None else {"after": after}
        async with (
            httpx.AsyncClient(timeout=SECONDS) as client,
            client.stream("GET", url, headers=headers, params=params) as answer,
        ):
            yield answer, _events(answer)

    def ws(self, path: str, **more: Any) -> Any:
        headers = {**self.headers, **more.pop("headers", {})}
        return websockets.connect(
            f"ws://{self.host}{path}", additional_headers=headers, open_timeout=SECONDS, **more
        )

    async def ws_all(self, task: Task, *, after: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Read a socket to its end; return its frames and close code."""
        frames = []
        async with self.ws(f"/ws/tasks/{task.pk}?after={after}") as socket:
            with contextlib.suppress(websockets.ConnectionClosed):
                while True:
                    async with asyncio.timeout(SECONDS):
                        frames.append(json.loads(await socket.recv()))
            return frames, socket.close_code


async def _events(answer: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    event: dict[str, Any] = {}
    async for line in answer.aiter_lines():
        name, _, value = line.partition(":")
        if line and name:
            event[name] = value.strip()
        elif not line and event:
            if "data" in event:
                yield {**event, "data": json.loads(event["data"])}
            event = {}


async def watching(host: str, user: User, project: Project | None = None) -> Watching:
    _, token = await in_db(tokens.issue, user, name="watch", project=project)
    return Watching(host, token)


async def close_code(socket: Any) -> int:
    """Read a socket to its end; return why it was closed."""
    async with asyncio.timeout(10):
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                await socket.recv()
    return int(socket.close_code)


def say(task: Task, *texts: str) -> None:
    """Record messages, each committed and announced on its own."""
    for text in texts:
        task.record("message", {"text": text})


def finish(task: Task) -> None:
    task.refresh_from_db()
    task.move(TaskState.CANCELLED, kind="task.finished")


def seqs(frames: list[dict[str, Any]]) -> list[int]:
    return [frame["seq"] for frame in frames if "seq" in frame]


async def until(condition: Any) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110 - any condition, whoever changes it
            await asyncio.sleep(0.01)
