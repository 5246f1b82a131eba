"""A whole Countersign for the chaos runs: real parts, short leases, what dies comes back at once."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import redis

from countersign.supervisor.choices import listen, open_data_dir, read_choices
from countersign.supervisor.parts import Parts
from projects import failpoints

if TYPE_CHECKING:
    from collections.abc import Callable

    from countersign.supervisor.children import Child

LEASE_SECONDS = 3
SETTINGS = {
    "COUNTERSIGN_MODEL": "openai:stub-1",
    "OPENAI_API_KEY": "sk-canary-of-the-chaos-runs-91c7",
    "COUNTERSIGN_LEASE_SECONDS": str(LEASE_SECONDS),
    "COUNTERSIGN_HEARTBEAT_SECONDS": "1",
    "COUNTERSIGN_DRAIN_SECONDS": "1",
    "COUNTERSIGN_STEPS_IN_FLIGHT": "40",
    "COUNTERSIGN_AGENT_WORKERS": "2",
    "COUNTERSIGN_PORT": "0",
}
_FOREIGN = ("COUNTERSIGN_", "OPENAI_", "ANTHROPIC_", "OLLAMA_", "DATABASE_", "REDIS_", "CELERY_")


class House:
    """Postgres, Redis, web, two agent workers, an effects worker; a context manager.

    Sets the environment, so that Django in this process reads the same database as its owner.
    `keep` leaves the folder with its logs when the block ends.
    """

    def __init__(self, model_url: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="countersign-chaos-"))
        self.folder.chmod(0o711)
        self.points = self.folder / "failpoints"
        self.points.mkdir()
        self.keep = False
        self.children: dict[str, Child] = {}
        self.deaths = 0
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._watch, daemon=True)
        for name in [name for name in os.environ if name.startswith(_FOREIGN)]:
            del os.environ[name]
        os.environ.update(SETTINGS, OPENAI_BASE_URL=model_url)
        os.environ["COUNTERSIGN_DATA_DIR"] = str(self.folder / "data")
        self._lock = contextlib.ExitStack()
        self.parts = self._parts()

    def _parts(self) -> Parts:
        choices = read_choices()
        self._lock.enter_context(open_data_dir(choices))
        self.listener = self._lock.enter_context(listen(0))
        parts = Parts(choices, port=self.listener.getsockname()[1])
        assert parts.postgres is not None
        # A killed process loses nothing without it; only a power cut would.
        parts.postgres = replace(parts.postgres, extra=(("fsync", "off"),))
        return parts

    def __enter__(self) -> Self:
        try:
            self.parts.create()
            for child in self.parts.services():
                self._add(child)
            until(self.parts.services_ready, 60, "Postgres and Redis")
            os.environ.update(self.parts.reach())
            self._keeper.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for child in list(self.children.values()):
            child.signal_group(signal.SIGCONT)
        for name in [*(n for n in self.children if n not in _SERVICES), "redis", "postgres"]:
            if name in self.children:
                self.children[name].stop(5)
        self._lock.close()
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def url(self) -> str:
        """Where the API is."""
        return f"http://127.0.0.1:{self.parts.port}"

    def start_workers(self) -> None:
        """Start the web server and the workers, each able to die at a failpoint."""
        os.environ[failpoints.VARIABLE] = str(self.points)
        workers = self.parts.workers(self.listener.fileno())
        del os.environ[failpoints.VARIABLE]
        for child in workers:
            self._add(child)

    @property
    def agents(self) -> list[str]:
        """The agent workers' names."""
        return [name for name in self.children if name.startswith("agents")]

    def _add(self, child: Child) -> None:
        child.start()
        self.children[child.name] = child

    def _watch(self) -> None:
        """Start again whatever ended, until the house is closed (its death is their leash)."""
        while not self._stopping.wait(0.1):
            # A copy: the other thread adds workers meanwhile, and this one must not die of it.
            for child in list(self.children.values()):
                if child.process is not None and child.process.poll() is not None:
                    self.deaths += 1
                    child.start()

    def kill(self, *names: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Kill processes with all they started; they are started again."""
        for name in names:
            self.children[name].signal_group(number)

    def pause(self, name: str, seconds: float) -> None:
        """Stop a process in its tracks, and let it go on as if nothing had happened."""
        self.children[name].signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.children[name].signal(signal.SIGCONT)

    def restart_postgres(self) -> None:
        """Let the database drop everything and everybody at once (immediate), and come back."""
        before = self.children["postgres"].pid
        self.children["postgres"].signal(signal.SIGQUIT)
        until(lambda: self.children["postgres"].pid not in {before, None}, 30, "Postgres again")
        until(self.parts.services_ready, 60, "Postgres to answer")

    def restart_redis(self) -> None:
        """Lose every message and every sign of life."""
        before = self.children["redis"].pid
        self.children["redis"].signal_group(signal.SIGKILL)
        until(lambda: self.children["redis"].pid not in {before, None}, 30, "Redis again")
        until(self.parts.services_ready, 60, "Redis to answer")

    def redis(self) -> redis.Redis:
        """Return a client of the broker."""
        assert self.parts.redis is not None
        return redis.Redis.from_url(self.parts.redis.url, socket_timeout=5)

    def pids(self) -> dict[str, int | None]:
        """Return who runs."""
        return {name: child.pid for name, child in self.children.items()}

    def log(self, name: str) -> str:
        """Return a process's log."""
        return self.children[name].log.read_text(errors="replace")


_SERVICES = ("redis", "postgres")


def until(done: Callable[[], Any], seconds: float, what: str) -> None:
    """Poll until it is so; raise TimeoutError when it takes too long."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.05)
