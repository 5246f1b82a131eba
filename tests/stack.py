"""The whole of Countersign as a user starts it: `manage.py up` with a data directory of its own."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).resolve().parents[1]
# Nothing of the test run's own environment reaches the stack.
_FOREIGN = ("COUNTERSIGN_", "OPENAI_", "ANTHROPIC_", "OLLAMA_", "DATABASE_", "REDIS_", "CELERY_")


class StackFailed(Exception):
    """The stack did not start or stop as it should; carries what it printed and logged."""


class Stack:
    """A running Countersign; stopped and removed when the `with` block ends.

    Give `data_dir` to keep the data for a second start. `env` adds settings, e.g. the model.
    """

    def __init__(
        self,
        *,
        data_dir: Path | None = None,
        env: Mapping[str, str] | None = None,
        ready_within: float = 240,
    ) -> None:
        self._own_dir = data_dir is None
        self.data_dir = data_dir or Path(tempfile.mkdtemp(prefix="countersign-stack-"))
        self.ready_within = ready_within
        self.env = stack_environment(self.data_dir, env)
        self.process: subprocess.Popen[bytes] | None = None
        self.ready_after = 0.0
        self._output = self.data_dir.with_name(f"{self.data_dir.name}.output")

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._output.unlink(missing_ok=True)
        if self._own_dir:
            shutil.rmtree(self.data_dir, ignore_errors=True)

    def start(self) -> None:
        """Start and wait until /readyz says yes."""
        began = time.monotonic()
        # A test run that is killed must not leave a stack behind.
        leash = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [*leash, sys.executable, str(ROOT / "manage.py"), "up"],
                cwd=self.data_dir.parent,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.wait_until(self._shown, self.ready_within, "be ready")
        self.ready_after = time.monotonic() - began

    def stop(self, number: signal.Signals = signal.SIGTERM, *, within: float = 20) -> float:
        """Stop it as a user does; return how long that took, in seconds."""
        if self.process is None or self.process.poll() is not None:
            return 0.0
        began = time.monotonic()
        self.process.send_signal(number)
        try:
            self.process.wait(within)
        except subprocess.TimeoutExpired as error:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise StackFailed(f"It did not stop within {within} s.\n{self.output}") from error
        return time.monotonic() - began

    @property
    def output(self) -> str:
        """What `up` has printed."""
        with contextlib.suppress(FileNotFoundError):
            return self._output.read_text(errors="replace")
        return ""

    @property
    def reach(self) -> dict[str, str]:
        """How the services are reached: DATABASE_URL (as owner), REDIS_URL, COUNTERSIGN_PORT."""
        return _json(self.data_dir / "runtime.json")

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by name: supervisor, postgres, redis, web, agents, effects."""
        return {name: pid for name, pid in _json(self.data_dir / "processes.json").items() if pid}

    @property
    def accounts(self) -> dict[str, dict[str, str]]:
        """The demo accounts: requester, lead, second_lead, admin."""
        return _json(self.data_dir / "demo-accounts.json")

    @property
    def url(self) -> str:
        """Where the console and the API are."""
        return f"http://127.0.0.1:{self.reach['COUNTERSIGN_PORT']}"

    def git(self, *arguments: str) -> str:
        """Ask the demo repository, as git of this machine does."""
        repository = self.data_dir / "repositories" / "billing-demo.git"
        command = ["git", "-c", "safe.directory=*", "--git-dir", str(repository), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def log(self, name: str) -> str:
        """Return the log of one process."""
        return (self.data_dir / "logs" / f"{name}.log").read_text(errors="replace")

    def readiness(self) -> tuple[int, dict[str, bool]]:
        """Ask /readyz; status 0 when nobody answers."""
        try:
            port = int(self.reach["COUNTERSIGN_PORT"])
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            with contextlib.closing(connection):
                connection.request("GET", "/readyz")
                answer = connection.getresponse()
                return answer.status, json.loads(answer.read())["parts"]
        except (OSError, ValueError, KeyError, http.client.HTTPException):
            return 0, {}

    def ready(self) -> bool:
        """Tell whether work handed over now would be done."""
        return self.readiness()[0] == 200

    def _shown(self) -> bool:
        return "Ctrl-C stops everything" in self.output

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Signal one process; return its id."""
        pid = self.pids[name]
        os.kill(pid, number)
        return pid

    def restart(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """End one process and wait until another has taken its place and all is ready."""
        old = self.kill(name, number)
        self.wait_until(lambda: self.pids.get(name, old) != old, 30, f"restart {name}")
        self.wait_until(self.ready, 60, "be ready again")
        return self.pids[name]

    def manage(self, *arguments: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Run another command beside it; it finds the services by the data directory."""
        return subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def wait_until(self, done: Callable[[], bool], seconds: float, what: str) -> None:
        """Poll until `done`; raise StackFailed with all there is to read when it takes too long."""
        deadline = time.monotonic() + seconds
        while not done():
            if self.process is None or self.process.poll() is not None:
                raise StackFailed(f"`up` ended before it could {what}.\n{self._all_there_is()}")
            if time.monotonic() > deadline:
                raise StackFailed(f"It did not {what} within {seconds} s.\n{self._all_there_is()}")
            time.sleep(0.05)

    def _all_there_is(self) -> str:
        parts = [self.output, str(self.readiness())]
        for log in sorted((self.data_dir / "logs").glob("*.log")):
            parts += [f"--- {log.name}", *log.read_text(errors="replace").splitlines()[-15:]]
        return "\n".join(parts)


def stack_environment(data_dir: Path, env: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment in which only `env` and a free port are set for Countersign."""
    foreign = (
        *_FOREIGN,
        "SECRET_KEY",
        "ALLOWED_HOSTS",
        "CSRF_",
        "CREDENTIAL_",
        "DJANGO_",
        "MAKE",  # a test run by make passes its own settings on
        "ARGS",
        "MFLAGS",
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return clean | {
        "COUNTERSIGN_DATA_DIR": str(data_dir),
        "COUNTERSIGN_PORT": "0",
        **(env or {}),
    }


def refused(data_dir: Path, env: Mapping[str, str] | None = None, *, seconds: float = 60) -> str:
    """Run `up` where it must refuse; return all it said. Raises when it does not end by itself."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "up"],
        env=stack_environment(data_dir, env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    return done.stdout


def _json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content
