"""Named points at which a test lets a process die, fail or stall; nothing happens unless it asks.

The environment names a folder. A file `armed-<point>~<n>` in it arms one firing, and firing takes the
file away: so a point fires once, whichever process reaches it first, across restarts.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

VARIABLE = "COUNTERSIGN_FAILPOINTS"
_ARMED, _FIRED = "armed-", "fired-"
_FOLDER = os.environ.get(VARIABLE, "")

# Every point there is, from the request to the confirmed effect: what has just happened there.
POINTS = {
    "intake.committed": "the task is accepted, nobody was told",
    "claim.leased": "a step is leased, not committed",
    "claim.opened": "its attempt is opened, not committed",
    "claim.committed": "the step is held, nothing begun",
    "work.prepared": "the workspace is filled",
    "turn.begun": "the model is about to be asked",
    "turn.answered": "the model has answered, nothing stored",
    "turn.stored": "the answer is stored, its calls have not acted",
    "tool.started": "a tool call is on record, it has not acted",
    "tool.acted": "it has acted, its result is not stored",
    "tool.finished": "its result is stored",
    "work.performed": "the agent has handed in, nothing kept",
    "work.handed_in": "its files are a commit, nothing settled",
    "settle.locked": "the step is locked for its end",
    "settle.written": "the end is written, not committed",
    "settle.committed": "the end is committed",
    "plan.applied": "the plan is turned into steps, not committed",
    "steps.added": "extra steps are made, not committed",
    "question.asked": "a question is put to another agent, not committed",
    "question.answered": "it is answered, not committed",
    "proposal.drafted": "the aggregator has drafted",
    "proposal.verified": "its claims are checked",
    "proposal.published": "the proposal is written, not committed",
    "seal.written": "the approval is sealed, not committed",
    "decide.written": "a person has signed, not committed",
    "effect.planned": "the effect is planned, not committed",
    "decide.committed": "the decision is committed, the person was not told",
    "effect.begun": "the intent is written, not committed",
    "effect.doing": "the intent is on record",
    "effect.sent": "it is about to leave",
    "effect.pushed": "it has landed, nothing confirmed",
    "effect.confirming": "it is confirmed, not committed",
    "effect.confirmed": "it is done",
    "effect.stale": "main has moved, what was approved is stale, not committed",
    "follow.written": "it goes back to be merged onto that main, not committed",
    "follow.committed": "it is to be merged again",
    "carry.copied": "the signatures of the same change are copied, not committed",
    "carry.committed": "it is approved again by them, the effects worker was not told",
    "call.calling": "the intent to call a tool is on record",
    "call.sent": "the call is about to leave",
    "call.answered": "the tool has answered, nothing noted",
    "call.ended": "its answer is noted, not committed",
    "call.undone": "a permission is taken back and asked for anew, not committed",
    "grant.counted": "a use of a standing grant is counted with its call, not committed",
    "grant.committed": "the use is counted, nothing was sent",
    "grant.proven": "the grant stands as the call leaves, not committed",
    "round.opened": "the next round is opened, not committed",
    "escalation.raised": "a question to a person is written, not committed",
    "escalation.resolved": "a person's answer is carried out, not committed",
    "hold.placed": "a hold is placed, not committed",
    "hold.lifted": "a hold is lifted, not committed",
    "lease.swept": "a lost step is given back, not committed",
    "task.stopped": "the task is stopped, not committed",
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
        draft = folder / f"draft-{name}~{number}"
        draft.write_text(act, encoding="utf-8")
        draft.rename(folder / f"{_ARMED}{name}~{number}")


def disarm(folder: Path) -> list[str]:
    """Take away what has not fired; return the points that have, oldest first."""
    for left in folder.glob(f"{_ARMED}*"):
        left.unlink(missing_ok=True)
    fired = sorted(folder.glob(f"{_FIRED}*"), key=lambda path: path.stat().st_mtime_ns)
    names = [path.name.removeprefix(_FIRED).partition("~")[0] for path in fired]
    for path in fired:
        path.unlink()
    return names


def _reach(name: str) -> None:
    folder = Path(_FOLDER)
    for armed in sorted(folder.glob(f"{_ARMED}{name}~*")):
        taken = folder / armed.name.replace(_ARMED, _FIRED, 1)
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
