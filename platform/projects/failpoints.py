"""Named points at which a test lets a process die, fail or stall; nothing happens unless it asks.

The environment names a folder. A file `<point>~<n>` in it arms one firing, and firing takes the
file away: so a point fires once, whichever process reaches it first, across restarts.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

VARIABLE = "COUNTERSIGN_FAILPOINTS"
FIRED = ".fired"
_FOLDER = os.environ.get(VARIABLE, "")

# Every point there is, with where it lies between a claim and a confirmed effect.
POINTS = {
    "intake.submitted": "the task is written, not committed",
}


class FailpointReached(Exception):
    """A test wanted this to fail here."""


def failpoint(name: str) -> None:
    """Die, raise FailpointReached or stall if a test armed this point; else do nothing."""
    if _FOLDER:
        _reach(name)


def arm(folder: Path, name: str, act: str, *, times: int = 1) -> None:
    """Let a point `kill`, `raise` or `stall:SECONDS` the next `times` it is reached."""
    if name not in POINTS:
        raise ValueError(f"There is no failpoint {name!r}.")
    for number in range(times):
        # Renamed into place: a process must not read it half written.
        draft = folder / f".{name}~{number}"
        draft.write_text(act, encoding="utf-8")
        draft.rename(folder / f"{name}~{number}")


def disarm(folder: Path) -> list[str]:
    """Take away what has not fired; return the points that have, oldest first."""
    for left in folder.glob("*~*"):
        left.unlink(missing_ok=True)
    fired = sorted(folder.glob(f"{FIRED}*"), key=lambda path: path.stat().st_mtime_ns)
    names = [path.name.removeprefix(FIRED).partition("~")[0] for path in fired]
    for path in fired:
        path.unlink()
    return names


def _reach(name: str) -> None:
    folder = Path(_FOLDER)
    for armed in sorted(folder.glob(f"{name}~*")):
        taken = folder / f"{FIRED}{armed.name}"
        try:
            act = armed.read_text(encoding="utf-8")
            armed.rename(taken)
        except FileNotFoundError:
            continue  # another process was first
        taken.touch()
        _do(act, name)
        return


def _do(act: str, name: str) -> None:
    verb, _, seconds = act.partition(":")
    match verb:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stall":
            time.sleep(float(seconds))
        case "raise":
            raise FailpointReached(name)
        case _:
            raise ValueError(f"{name} cannot {act!r}.")
