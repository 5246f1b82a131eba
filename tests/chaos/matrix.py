"""Which story reaches which failpoint: every point has one, or the test of the matrix fails."""

from __future__ import annotations

from projects.failpoints import POINTS

MODES = {"kill": "kill", "raise": "raise", "stall": "stall:5"}

# What one tour plays, so that every point is reached: the kind of story, and what people do to it.
TOUR: dict[str, dict[str, object]] = {
    "report": {"kind": "report"},
    "change": {"kind": "change"},
    "again": {"kind": "change", "again": True},
    "ask": {"kind": "ask"},
    "extra": {"kind": "extra"},
    "block": {"kind": "block"},
    "call": {"kind": "call"},
    "beside": {"kind": "beside"},
    "undo": {"kind": "undo"},
    "grant": {"kind": "grant"},
    "held": {"kind": "held"},
    "pause": {"kind": "change", "pause": True},
    "stop": {"kind": "change", "stop": True},
}
_EVERY = ("report", "change", "again", "ask", "extra", "block")
_OF_A_TOOL = ("change", "again", "ask", "extra")
_OF_A_CALL = ("call", "beside")

# The stories that reach a point; any of them may be the one it fires in.
CASES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(POINTS, _EVERY),
    **dict.fromkeys(("tool.started", "tool.acted", "tool.finished"), _OF_A_TOOL),
    **dict.fromkeys(("effect.sent", "effect.pushed"), ("change", "again")),
    **dict.fromkeys([point for point in POINTS if point.startswith("call.")], _OF_A_CALL),
    **dict.fromkeys([point for point in POINTS if point.startswith("grant.")], ("grant",)),
    **dict.fromkeys(("follow.written", "follow.committed", "effect.stale"), ("held",)),
    **dict.fromkeys(("carry.copied", "carry.committed"), ("held",)),
    "call.undone": ("undo",),
    "steps.added": ("extra",),
    "question.asked": ("beside", "ask"),
    "question.answered": ("beside", "ask"),
    "round.opened": ("again",),
    "escalation.raised": ("block",),
    "escalation.resolved": ("block",),
    "hold.placed": ("pause",),
    "hold.lifted": ("pause",),
    "task.stopped": ("stop",),
    "lease.swept": ("change",),
}

# A point that only trouble leads to: what must go wrong first.
FIRST = {"lease.swept": "work.prepared"}


def batches(points: list[str], size: int) -> list[list[str]]:
    """Deal points into batches whose points lie far apart, so that each fires by itself."""
    count = -(-len(points) // size)
    return [points[start::count] for start in range(count)]


def stories_for(batch: list[str]) -> list[str]:
    """Return the stories that together reach every point of a batch, few of them."""
    wanted: list[str] = []
    for point in sorted(batch, key=lambda name: len(CASES[name])):
        if not set(CASES[point]) & set(wanted):
            wanted.append(CASES[point][0])
    return wanted
