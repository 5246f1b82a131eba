"""The answers a rehearsed agent can hand in, and the sentences they share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents.runtime.rehearsal.scene import Move

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agents.runtime.rehearsal.scene import Scene

NO_MODEL = (
    "No language model is configured. Set COUNTERSIGN_MODEL, for example to openai:NAME with "
    "OPENAI_API_KEY (or with OPENAI_BASE_URL for any compatible server), anthropic:NAME or "
    "ollama:NAME, restart, and choose “Try again with a note”."
)
_NOTE = " A note was left for this step; a rehearsal cannot interpret notes, so nothing was done with it."


def done(
    scene: Scene,
    summary: str,
    *,
    claims: Sequence[dict[str, Any]] = (),
    evidence: Iterable[dict[str, Any]] = (),
    report: str = "",
) -> Move:
    """Hand in a finished step."""
    return _hand_in(scene, "done", summary, claims, evidence, report)


def blocked(scene: Scene, reason: str, *, evidence: Iterable[dict[str, Any]] = ()) -> Move:
    """Hand in a step that cannot go on, with what was found."""
    return _hand_in(scene, "blocked", reason, (), evidence)


def claim(said: str, kind: str, /, **check: Any) -> dict[str, Any]:
    """State something the platform will check."""
    return {"text": said[:300], "check": {"kind": kind, **check}}


def evidence(path: str, line: int, quote: str) -> dict[str, Any]:
    """Name the line a statement rests on."""
    return {"path": path, "line": line, "quote": quote.strip()[:400]}


def cannot_act(missing: Sequence[str]) -> str:
    """Say that a tool the script needs is not there."""
    names = ", ".join(sorted(set(missing)))
    return f"The next move needs {names}, which this agent was not granted or has no turn left for."


def _hand_in(
    scene: Scene,
    status: str,
    summary: str,
    claims: Sequence[dict[str, Any]],
    found: Iterable[dict[str, Any]],
    report: str = "",
) -> Move:
    told = summary + (_NOTE if scene.notes else "")
    answer = {
        "status": status,
        "summary": told[:2_000],
        "claims": list(claims)[:10],
        "evidence": list(found)[:20],
        "report": report[:20_000],
    }
    return Move(say="I hand in my result.", answer=answer)
