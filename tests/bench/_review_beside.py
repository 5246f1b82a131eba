"""What else ran on the machine while something was measured."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class _Process:
    """One line of the list of processes."""

    name: str
    parent: int
    own: int  # ticks of processor time
    ended: int  # those its ended children took


class Beside:
    """Counts from when it is made; the processes this one has started are no others."""

    def __init__(self) -> None:
        self._began, self._before = time.monotonic(), _others()

    def said(self) -> str:
        """Say how much of the processors others took, and which of those still there took most."""
        before, now = self._before, _others()
        # What a process took before it ended is its parent's: nothing is lost between the two looks.
        ticks = sum(each.own + each.ended for each in now.values())
        ticks -= sum(each.own + each.ended for each in before.values())
        seconds = (time.monotonic() - self._began) * (os.cpu_count() or 1)
        share = max(0.0, ticks / _TICKS / seconds)
        taken: Counter[str] = Counter()
        for pid, each in now.items():
            taken[each.name] += each.own - (before[pid].own if pid in before else 0)
        named = ", ".join(name for name, most in taken.most_common(3) if most > _TICKS)
        return f"others took {share:.0%} of the processors" + (f" ({named})" if named else "")


def _others() -> dict[int, _Process]:
    found = _processes()
    return {pid: process for pid, process in found.items() if not _is_ours(pid, found)}


def _is_ours(pid: int, found: dict[int, _Process]) -> bool:
    while pid in found and pid != os.getpid():
        pid = found[pid].parent
    return pid == os.getpid()


def _processes() -> dict[int, _Process]:
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (process := _read(entry)):
            found[int(entry.name)] = process
    return found


def _read(entry: Path) -> _Process | None:
    try:
        text = (entry / "stat").read_text()
    except OSError:  # it has ended
        return None
    # The name stands in brackets and may hold some itself.
    name, _, rest = text.partition("(")[2].rpartition(")")
    facts = rest.split()
    own, ended = sum(map(int, facts[11:13])), sum(map(int, facts[13:15]))
    return _Process(name=name, parent=int(facts[1]), own=own, ended=ended)
