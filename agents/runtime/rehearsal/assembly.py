"""The rehearsed aggregator: puts together what the agents and the platform reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents.runtime.rehearsal.scene import Move

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agents.runtime.rehearsal.scene import Scene


def assemble(scene: Scene) -> Move:
    """Hand in a proposal made only of what stands in the brief."""
    brief = scene.brief
    answer = {
        "title": brief["title"],
        "summary": "\n\n".join(_paragraphs(brief))[:3_000],
        "claims": _claims(brief.get("steps", [])),
    }
    if brief.get("outcome") == "report":
        answer["report"] = _report(brief)
    return Move(say="I put the agents' results together.", answer=answer)


def _paragraphs(brief: Mapping[str, Any]) -> Iterator[str]:
    yield "Put together by a rehearsal: what the agents reported and the platform measured."
    for step in brief.get("steps", []):
        result = step.get("result") or {}
        mark = " (blocked)" if result.get("status") == "blocked" else ""
        yield f"{step['agent']}, {step['title']}{mark}: {result.get('summary', 'no result')}"
    if brief.get("files"):
        count = len(brief["files"])
        files = "1 file changes" if count == 1 else f"{count} files change"
        yield f"{files}: +{brief.get('added', 0)} -{brief.get('removed', 0)}."
    yield from _measured(brief)


def _measured(brief: Mapping[str, Any]) -> Iterator[str]:
    checks = brief.get("checks") or {}
    if checks.get("ran"):
        counts = [(checks.get(name), name) for name in ("passed", "failed")]
        told = ", ".join(f"{count} {name}" for count, name in counts if isinstance(count, int))
        told = told or f"exit code {checks.get('exit_code')}"
        yield f"The platform's run of the checks on the merged files: {told}."
    elif checks.get("why_not"):
        yield f"The checks did not run: {checks['why_not']}"
    for warning in brief.get("warnings", []):
        place = f"{warning.get('path', '')}:{warning.get('line', '')}".strip(":")
        yield f"Warning at {place}: {warning.get('text', warning.get('kind', ''))}"


def _claims(steps: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    stated = [claim for step in steps for claim in (step.get("result") or {}).get("claims", [])]
    unique = {
        repr(claim["check"]) if claim["check"]["kind"] != "none" else claim["text"]: claim
        for claim in reversed(stated)
    }
    return list(unique.values())[::-1][:10]


def _report(brief: Mapping[str, Any]) -> str:
    parts = [
        f"## {step['title']}\n\n{(step.get('result') or {}).get('report') or (step.get('result') or {}).get('summary', '')}"
        for step in brief.get("steps", [])
    ]
    return "\n\n".join(parts)[:20_000]
