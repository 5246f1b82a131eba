"""One supervised process: started on a leash, watched, and stopped with all it started."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
# Loaded before any fork: loading a library between fork and exec may deadlock.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None

LOG_LIMIT = 10 * 1024 * 1024  # bytes; then the log starts afresh and the old one is kept as .1
LONGEST_PAUSE = 30.0  # seconds between two starts of a child that keeps ending
_NICEST = 19
_TRIES = 3
STEADY_AFTER = 60.0  # seconds a child must run for its earlier ends to be forgotten


@dataclass(kw_only=True)
class Child:
    """A process of ours; `title` is what people call it."""

    name: str
    title: str
    command: Sequence[str]
    log: Path
    env: Mapping[str, str]
    user: str | None = None
    keep_open: tuple[int, ...] = ()
    stop_signal: signal.Signals = signal.SIGTERM
    # Sent by the kernel when the supervisor dies without stopping its children.
    orphan_signal: signal.Signals = signal.SIGKILL
    niceness: int = 0  # above ours: it leaves the processor to the others first
    process: subprocess.Popen[bytes] | None = None
    ends: int = 0
    due_at: float = 0.0
    _started_at: float = field(default=0.0, repr=False)

    @property
    def pid(self) -> int | None:
        """Return the process id, None when it does not run."""
        return self.process.pid if self.running and self.process else None

    @property
    def running(self) -> bool:
        """Tell whether it has been started and not been seen ending."""
        return self.process is not None and self.process.returncode is None

    def start(self) -> None:
        """Start the process in a session of its own, its output appended to its log."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 -- the command is ours
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(self.env),
                pass_fds=self.keep_open,
                start_new_session=True,
                preexec_fn=leash(self.orphan_signal),
                user=self.user,
                group=self.user,
                extra_groups=[] if self.user else None,
            )
        self._started_at = time.monotonic()
        if self.niceness:
            ours = os.getpriority(os.PRIO_PROCESS, 0)
            _yield(self.process.pid, min(_NICEST, ours + self.niceness))

    def ended(self, exit_code: int) -> None:
        """Take note of the end and decide when to start again: later each time."""
        assert self.process is not None  # noqa: S101 -- only a started child ends
        self.process.returncode = exit_code
        now = time.monotonic()
        self.ends = 1 if now - self._started_at > STEADY_AFTER else self.ends + 1
        self.due_at = now + min(LONGEST_PAUSE, 0.25 * 2 ** min(self.ends, 10))

    def signal_group(self, number: signal.Signals) -> None:
        """Signal the process and everything it started in its session."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)

    def signal(self, number: signal.Signals) -> None:
        """Signal the process alone, when it still runs."""
        if self.running and self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, number)

    def stop(self, seconds: float) -> None:
        """Stop it and wait, at most `seconds` before force; for who has no crew (the tests)."""
        if self.process is None:
            return
        self.signal(self.stop_signal)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.signal_group(signal.SIGKILL)
            self.process.wait()

    def last_words(self) -> str:
        """Return the last line of the log, for a sentence that says why it ended."""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - 4096))
            lines = log.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def trim_log(self) -> None:
        """Start the log afresh when it has grown too long."""
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT:
            # Copied and cut, not renamed: the child keeps its file open.
            self.log.with_suffix(".log.1").write_bytes(self.log.read_bytes())
            os.truncate(self.log, 0)


def leash(orphan_signal: signal.Signals) -> Callable[[], None]:
    """Return what a child runs before exec, so that it does not outlive this process (Linux)."""
    parent = os.getpid()

    def tie() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, int(orphan_signal))
            if os.getppid() != parent:  # it died before the leash was on
                os._exit(1)

    return tie


def _yield(pid: int, niceness: int) -> None:
    """Let a process that has just begun a session leave the processor to others first.

    Where Linux shares the processor between sessions, a process's own niceness counts inside its
    session alone (sched(7), autogroup); the session's may be set ten times a second by all together.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, niceness)
    for _ in range(_TRIES):
        try:
            Path(f"/proc/{pid}/autogroup").write_text(str(niceness))
        except BlockingIOError:
            time.sleep(0.1)
        except OSError:
            return  # no such thing here
        else:
            return


def adopt_orphans() -> None:
    """Become the parent of processes whose own parent dies, so that none is lost (Linux)."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1)
