"""The house of the in-flight bench: PostgreSQL and Redis as `up` sets them, a stub, a worker."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.stack import stack_environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from countersign.supervisor.children import Child

ROOT = Path(__file__).resolve().parents[2]
_TICKS = os.sysconf("SC_CLK_TCK")
NAME = "inflight"  # by which the worker's connections are counted


@dataclass(frozen=True)
class Program:
    """A process of the bench, and what the kernel says of it."""

    process: subprocess.Popen[Any]

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def cpu(self) -> float:
        """Return the CPU seconds used so far, user and system, its ended children's included."""
        return sum(_ticks(Path(f"/proc/{self.pid}/stat"), 11, 15)) / _TICKS

    def threads(self) -> dict[str, float]:
        """Return the CPU seconds of each living thread, by its name."""
        used: dict[str, float] = {}
        for thread in Path(f"/proc/{self.pid}/task").iterdir():
            with contextlib.suppress(OSError):  # it has just ended
                name = (thread / "comm").read_text().strip().rstrip("0123456789_")
                used[name] = used.get(name, 0.0) + sum(_ticks(thread / "stat", 11, 13)) / _TICKS
        return used

    def memory(self) -> int:
        """Return the proportional set size with that of its children, in bytes."""
        return _pss(self.pid)

    def end(self, number: signal.Signals = signal.SIGTERM, *, within: float = 20) -> None:
        """Stop it; kill it when it does not stop in time."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class House:
    """Services in a folder of their own, gone when the `with` block ends."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="countersign-inflight-"))
        self.folder.chmod(0o711)
        self._children: list[Child] = []
        self._programs: list[Program] = []
        self.env: dict[str, str] = {}

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, kind: object = None, *_: object) -> None:
        log = self.folder / "worker.log"
        if kind is not None and log.exists():
            sys.stderr.write("\n".join(log.read_text(errors="replace").splitlines()[-40:]) + "\n")
        for program in self._programs:
            program.end(signal.SIGKILL)
        for child in reversed(self._children):
            child.stop(5)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self) -> None:
        (self.folder / "data" / "static").mkdir(parents=True)
        self.env = stack_environment(self.folder / "data")
        self.env["COUNTERSIGN_DATA_DIR"] = str(self.folder / "data")
        for name in set(os.environ) - set(self.env):
            del os.environ[name]
        os.environ.update(self.env)
        from countersign.supervisor import redis_server
        from countersign.supervisor.postgres import Postgres

        database = Postgres(folder=self.folder, log=self.folder / "postgres.log")
        database.create()
        broker = redis_server.choose(self.folder, self.folder / "redis.log")
        for server in (database, broker):
            child = server.child()
            child.start()
            self._children.append(child)
            until(server.ready, 60)
        self.env |= {"DATABASE_URL": database.url(), "REDIS_URL": broker.url}
        self.env |= {"OPENAI_API_KEY": "not-a-key", "COUNTERSIGN_MODEL": "openai:stub"}
        os.environ.update(self.env)
        command = [sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity", "0"]
        subprocess.run(command, env=self.env, check=True)

    def stub(self, *, seconds: float, turns: int = 1) -> Stub:
        """Start a stub server that answers in 20 chunks over so many seconds."""
        module = ("tests.bench._inflight_stub", "--seconds", str(seconds), "--turns", str(turns))
        process = subprocess.Popen(
            [sys.executable, "-m", *module], cwd=ROOT, env=self.env, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        stub = Stub(process, int(process.stdout.readline()))
        self._programs.append(stub)
        return stub

    def worker(self, stub: Stub, *, module: str = "celery", **env: str) -> Program:
        """Start an agent worker as `up` does, and wait until its runtime is there."""
        from agents.runtime import presence

        before = len(self._signs(presence.PREFIX))
        flags = "-A countersign worker -P threads -c 2 -Q steps --without-gossip --without-mingle"
        reach = self.env["DATABASE_URL"] + f"&application_name={NAME}"
        settings = {"DATABASE_URL": reach, "OPENAI_BASE_URL": stub.base_url, **env}
        worker = self.start([module, *flags.split(), "-n", f"w{time.monotonic_ns()}@b"], settings)
        until(lambda: len(self._signs(presence.PREFIX)) > before, 60)
        return worker

    def start(self, module: list[str], env: dict[str, str]) -> Program:
        """Start `python -m module …`; its output goes to worker.log."""
        with (self.folder / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *module],
                cwd=ROOT,
                env={**self.env, "PYTHONPATH": f"{ROOT / 'platform'}:{ROOT}", **env},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        program = Program(process)
        self._programs.append(program)
        return program

    def server_cpu(self) -> float:
        """Return the CPU seconds of PostgreSQL and Redis."""
        pids = [child.pid for child in self._children if child.pid]
        backends = [int(pid) for own in pids for pid in _children_of(own)]
        own = sum(sum(_ticks(Path(f"/proc/{pid}/stat"), 11, 15)) for pid in pids)
        return (own + sum(_ticks_of_living(pid) for pid in backends)) / _TICKS

    def _signs(self, prefix: str) -> list[bytes]:
        import redis

        with redis.Redis.from_url(self.env["REDIS_URL"]) as client:
            return list(client.scan_iter(f"{prefix}*"))


class Stub(Program):
    """The stub server and what it has counted."""

    def __init__(self, process: subprocess.Popen[Any], port: int) -> None:
        super().__init__(process)
        object.__setattr__(self, "base_url", f"http://127.0.0.1:{port}/v1")

    base_url: str

    def counts(self) -> dict[str, Any]:
        """Ask what it has been asked."""
        url = f"{self.base_url}/counts"
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310  # ours, on loopback
            counts: dict[str, Any] = json.load(answer)
            return counts


def until(condition: Callable[[], object], seconds: float, *, every: float = 0.05) -> None:
    """Poll a condition; raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"it did not happen within {seconds} s")
        time.sleep(every)


def _ticks(path: Path, first: int, last: int) -> list[int]:
    fields = path.read_text().rpartition(")")[2].split()
    return [int(field) for field in fields[first:last]]


def _ticks_of_living(pid: int) -> int:
    try:
        return sum(_ticks(Path(f"/proc/{pid}/stat"), 11, 13))
    except OSError:
        return 0  # it has just ended and is counted with its parent


def _children_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def _pss(pid: int) -> int:
    children = _children_of(pid)
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    own = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return own * 1024 + sum(_pss(int(child)) for child in children)
