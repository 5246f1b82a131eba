"""Watches the children: restarts one that ends, stops them all in order, loses none."""

from __future__ import annotations

import os
import select
import signal
import time
from typing import TYPE_CHECKING

from countersign.supervisor import records
from countersign.supervisor.children import adopt_orphans

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

    from countersign.supervisor.children import Child

_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Seconds. With the usual drain of five a stop takes less than ten in all.
_AFTER_THE_DRAIN = 2.5
_SERVICES_MAY_TAKE = 1.5


class Stopped(Exception):
    """Somebody asked this process to stop."""


class Crew:
    """All children of one `up`; services (database, Redis) stop after the workers that use them."""

    def __init__(self, folder: Path, say: Callable[[str], None], *, drain_seconds: int) -> None:
        self.folder = folder
        self.workers_may_take = drain_seconds + _AFTER_THE_DRAIN
        self.say = say
        self.children: list[Child] = []
        self.services: list[Child] = []
        self._stop_asked = 0
        self._bell, self._ring = os.pipe()
        for end in (self._bell, self._ring):
            os.set_blocking(end, False)

    def take_signals(self) -> None:
        """Handle signals from now on; children that end ring the bell `watch` sleeps on."""
        adopt_orphans()
        signal.set_wakeup_fd(self._ring, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in _STOPS:
            signal.signal(number, self._ask_to_stop)

    def add(self, child: Child, *, service: bool = False) -> None:
        """Start a child and watch it from now on."""
        (self.services if service else self.children).append(child)
        child.trim_log()
        child.start()
        self._write()

    def everyone(self) -> list[Child]:
        """Return the services and the workers."""
        return [*self.services, *self.children]

    def watch(self, seconds: float) -> None:
        """Wait up to `seconds`, or until something ended; start again what is due.

        Raises Stopped when somebody asked to stop.
        """
        self._sleep(seconds)
        if self._stop_asked:
            raise Stopped
        for child in self._reap():
            again = max(0.0, child.due_at - time.monotonic())
            self.say(
                f"The {child.title} ended ({_how(child)}); it is started again in {again:.1f} s. "
                f"Its log is {child.log}."
            )
        for child in self.everyone():
            if not child.running and child.process and time.monotonic() >= child.due_at:
                child.start()
                self.say(f"The {child.title} runs again as process {child.pid}.")
                self._write()

    def stop(self) -> None:
        """Stop every child, the stubborn by force, and whatever they left behind."""
        self._stop_group(self.children, self.workers_may_take)
        self._stop_group(self.services, _SERVICES_MAY_TAKE)
        self._end_leftovers()
        records.remove(self.folder)

    def _stop_group(self, group: list[Child], seconds: float) -> None:
        for child in group:
            child.signal(child.stop_signal)
        deadline = time.monotonic() + seconds
        asked = self._stop_asked
        while any(child.running for child in group) and time.monotonic() < deadline:
            self._sleep(deadline - time.monotonic())
            self._reap()
            if self._stop_asked > max(asked, 1):  # asked again: no more patience
                break
        for child in group:
            child.signal_group(signal.SIGKILL)
        while any(child.running for child in group):
            self._sleep(0.5)
            self._reap()

    def _end_leftovers(self) -> None:
        """Kill processes that were handed to us because their own parent died (Linux)."""
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return  # nobody is left
            if not pid:
                for orphan in _children_of(os.getpid()):
                    os.kill(orphan, signal.SIGKILL)
                time.sleep(0.02)

    def _reap(self) -> list[Child]:
        """Collect ended processes, adopted ones too; return the children among them."""
        ended = []
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not pid:
                break
            for child in self.everyone():
                if child.pid == pid:
                    child.ended(os.waitstatus_to_exitcode(status))
                    ended.append(child)
        return ended

    def _sleep(self, seconds: float) -> None:
        if select.select([self._bell], [], [], max(0.0, seconds))[0]:
            os.read(self._bell, 4096)

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop_asked += 1

    def _write(self) -> None:
        pids = {child.name: child.pid for child in self.everyone()}
        records.write_processes(self.folder, {"supervisor": os.getpid(), **pids})


def _children_of(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(child) for child in file.read().split()]
    except FileNotFoundError:
        return []  # not Linux


def _how(child: Child) -> str:
    code = child.process.returncode if child.process else 0
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
