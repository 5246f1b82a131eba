"""The console served to a real browser over the test's own rows, so that it writes every event itself.

Between browser and server stands a proxy that cuts; the Redis is the test's own and may stop.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import psycopg
import redis
from django.db import connection
from django.test import Client

from agents.events import channel
from tests.acceptance.browsing import LONGEST, chromium
from tests.cutting_proxy import CuttingProxy
from tests.own_redis import OwnRedis
from tests.stack import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page

    from agents.models import Step, Task
    from projects.models import User

STARTING = 180  # seconds: where many begin at once, each reads its modules slowly
# What the rows of "All events" were, in the order in which they came; and how much moved.
WATCH = """
window.arrived = [];
window.shifts = [];
const met = new WeakSet(); // the parser reports a list, and then its rows again
const note = (node) => {
  if (node.nodeType !== 1) return;
  const rows = node.matches("li[data-seq]") ? [node] : node.querySelectorAll("li[data-seq]");
  for (const row of rows) {
    if (!met.has(row)) window.arrived.push([Number(row.dataset.seq), Date.now()]);
    met.add(row);
  }
};
new MutationObserver((changes) => {
  for (const change of changes) change.addedNodes.forEach(note);
}).observe(document, { childList: true, subtree: true });
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (entry.hadRecentInput) continue;
    const moved = entry.sources.map((each) => each.node?.id || each.node?.className || "");
    window.shifts.push({ value: entry.value, moved: String(moved) });
  }
}).observe({ type: "layout-shift", buffered: true });
"""
HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


class House:
    """Serves while the `with` block does; `url` goes through the proxy."""

    def __init__(self, folder: Path, settings: Any) -> None:
        self.redis = OwnRedis(folder)
        settings.REDIS_URL = self.redis.url
        # Its own thread: a burst goes on while the test breaks the line.
        self._writer = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.redis)
            port = stack.enter_context(_serving(self.redis.url))
            self.proxy = stack.enter_context(CuttingProxy(port, only_sockets=True))
            stack.callback(self._writer.shutdown)
            stack.callback(self.write, lambda: connection.close())
            self._stack = stack.pop_all()
        self.url = f"http://127.0.0.1:{self.proxy.port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def write(self, act: Callable[..., Any], *args: Any, **facts: Any) -> Any:
        """Do something with rows and return what it returns."""
        return self.writing(act, *args, **facts).result(LONGEST)

    def writing(self, act: Callable[..., Any], *args: Any, **facts: Any) -> Any:
        """Begin to do something with rows; return its future."""
        return self._writer.submit(act, *args, **facts)

    @contextlib.contextmanager
    def database_away(self) -> Iterator[None]:
        """Let the server reach the database no more; the test keeps its connections."""
        name = connection.settings_dict["NAME"]
        with psycopg.connect(_database("postgres"), autocommit=True) as admin:
            ours = [_backend(), self.write(_backend)]
            admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            try:
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = %s AND pid <> ALL(%s)",
                    [name, ours],
                )
                yield
            finally:
                admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')

    def stream(self, step: Step, offset: int, text: str, kind: str = "delta") -> None:
        """Publish a piece of what an agent is writing, as its worker does."""
        frame = {"kind": kind, "step": str(step.pk), "offset": offset, "text": text}
        with redis.Redis.from_url(self.redis.url) as client:
            client.publish(channel(step.task_id), json.dumps(frame))


@contextlib.contextmanager
def _serving(redis_url: str) -> Iterator[int]:
    """Serve the test's database from a process of its own; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    database = _database(connection.settings_dict["NAME"])
    command = ["uvicorn", "countersign.asgi:application", "--port", str(port)]
    server = subprocess.Popen(
        [sys.executable, "-m", *command, "--ws", "websockets-sansio", "--log-level", "warning"],
        env={**os.environ, "DATABASE_URL": database, "REDIS_URL": redis_url},
        cwd=ROOT / "platform",
    )
    try:
        wait_until(lambda: _answers(port) or server.poll(), "the server starts", STARTING)
        assert server.poll() is None, "the server ended"
        yield port
    finally:
        server.terminate()
        server.wait(LONGEST)


def _database(name: str) -> str:
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()


def _backend() -> int:
    connection.ensure_connection()
    return connection.connection.info.backend_pid


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


@contextlib.contextmanager
def browser_beside_rows() -> Iterator[Browser]:
    """Start Chromium; Playwright keeps a loop in this thread, where Django would refuse to query."""
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    try:
        with chromium() as browser:
            yield browser
    finally:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


def signed_in(house: House, browser: Browser, user: User, **more: Any) -> BrowserContext:
    """Return a browser of somebody who has signed in."""
    client = Client()
    house.write(client.force_login, user)
    more.setdefault("viewport", {"width": 1440, "height": 900})
    context = browser.new_context(base_url=house.url, **more)
    context.add_cookies(
        [
            {"name": name, "value": each.value, "url": house.url}
            for name, each in client.cookies.items()
        ]
    )
    context.add_init_script(WATCH)
    context.set_default_timeout(LONGEST * 1_000)
    return context


def seqs_of(page: Page) -> list[int]:
    """Return the seqs of the rows in the page, from top to bottom."""
    seqs: list[int] = page.eval_on_selector_all(
        "#events > [data-seq]", "rows => rows.map(row => Number(row.dataset.seq))"
    )
    return seqs


def arrived(page: Page) -> list[int]:
    """Return the seqs of all rows that ever came into the page, in their order."""
    return [seq for seq, _ in page.evaluate("window.arrived")]


def shows(page: Page, seq: int) -> None:
    """Wait until the row of an event is there."""
    page.wait_for_selector(f"#event-{seq}", state="attached")


def newest(house: House, task: Task) -> int:
    """Return the seq of the last event."""
    house.write(task.refresh_from_db)
    return task.last_seq


def wait_until(done: Callable[[], object], what: str, seconds: float = LONGEST) -> None:
    """Poll until `done`."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)
