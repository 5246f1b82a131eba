"""Runs a program with a wall clock and a cap on its output, and leaves no process behind."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD_BYTES = 64 * 1024
TAIL_BYTES = 192 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run left: `exit_code` is None when it was stopped at the time limit."""

    exit_code: int | None
    output: str
    seconds: float
    sandbox: str
    timed_out: bool = False
    cut: bool = False  # the middle of the output is missing; a line in it says so


class _Output:
    """Keeps the beginning and the end of a stream of any length."""

    def __init__(self) -> None:
        self.head = bytearray()
        self.tail = bytearray()
        self.lost = 0

    def add(self, data: bytes) -> None:
        room = HEAD_BYTES - len(self.head)
        self.head += data[:room]
        self.tail += data[room:] if room > 0 else data
        if len(self.tail) > 2 * TAIL_BYTES:
            self._shorten()

    def _shorten(self) -> None:
        surplus = max(0, len(self.tail) - TAIL_BYTES)
        self.lost += surplus
        del self.tail[:surplus]

    def text(self) -> str:
        self._shorten()
        note = (
            f"\n[… {self.lost:,} bytes of output were cut here …]\n".encode() if self.lost else b""
        )
        whole = bytes(self.head) + note + bytes(self.tail)
        return whole.decode(errors="replace").replace("\0", "\N{SYMBOL FOR NULL}")


def run_bounded(
    arguments: list[str],
    *,
    seconds: float,
    sandbox: str,
    cwd: str,
    env: dict[str, str],
    stopped: Callable[[], bool] = lambda: False,
) -> Run:
    """Run a program with exactly this environment; its whole group is killed at the end.

    The end is its own, the time limit, or when `stopped` says that nobody waits for it any more.
    """
    started = time.monotonic()
    process = subprocess.Popen(  # noqa: S603 - the caller's program, no shell
        arguments,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    output = _Output()
    try:
        finished = _read(process, output, started + seconds, stopped)
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout:
            process.stdout.close()
    return Run(
        exit_code=process.returncode if finished else None,
        output=output.text(),
        seconds=round(time.monotonic() - started, 3),
        sandbox=sandbox,
        timed_out=not finished,
        cut=output.lost > 0,
    )


def _read(
    process: subprocess.Popen[bytes], output: _Output, until: float, stopped: Callable[[], bool]
) -> bool:
    """Collect output until the program ends; False when the time is up or it is stopped first.

    The end is the program's own, not the end of its pipe: a child left behind may hold that open.
    """
    if process.stdout is None:
        raise ValueError("the output of the program is not a pipe")
    handle = process.stdout.fileno()
    os.set_blocking(handle, False)
    with selectors.DefaultSelector() as selector:
        selector.register(handle, selectors.EVENT_READ)
        open_ = True
        while (left := until - time.monotonic()) > 0 and not stopped():
            ended = process.poll() is not None
            if open_ and selector.select(0 if ended else min(left, 0.05)):
                data = os.read(handle, 65_536)
                output.add(data)
                open_ = bool(data)
            elif ended:
                return True
            elif not open_:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(min(left, 0.05))
    return False
