"""Our own run of the project's checks, as pages show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from countersign.console.eventwords import sandbox_word


@dataclass(frozen=True, kw_only=True)
class Checks:
    """One run of the checks on the merged tree."""

    word: str
    sentence: str
    tone: str
    icon: str
    command: str
    under: str
    sandboxed: bool
    output: str
    seconds: float
    why_not: str
    exit_code: int | None


def checks_of(report: dict[str, Any]) -> Checks:
    """Return a sealed CheckReport in words; what did not run is never shown as passed."""
    ran = bool(report.get("ran"))
    exit_code = report.get("exit_code")
    good = ran and exit_code == 0 and not report.get("timed_out")
    sandbox = str(report.get("sandbox") or "")
    return Checks(
        word=_word(report, ran=ran, good=good),
        sentence=_sentence(report, ran=ran, good=good),
        tone="ok" if good else "bad" if ran else "warn",
        icon="check" if good else "x" if ran else "circle-help",
        command=str(report.get("command") or ""),
        under=sandbox_word(sandbox) if ran else "",
        sandboxed=sandbox == "bubblewrap",
        output=str(report.get("output_tail") or ""),
        seconds=_number(report.get("seconds")),
        why_not=str(report.get("why_not") or ""),
        exit_code=exit_code if isinstance(exit_code, int) else None,
    )


def _word(report: dict[str, Any], *, ran: bool, good: bool) -> str:
    if not ran:
        return "not run"
    passed, failed = report.get("passed"), report.get("failed")
    if good:
        return f"{passed} pass" if passed else "pass"
    if failed:
        return f"{failed} of {int(passed or 0) + int(failed)} failed"
    return "out of time" if report.get("timed_out") else "failed"


def _sentence(report: dict[str, Any], *, ran: bool, good: bool) -> str:
    word = _word(report, ran=ran, good=good)
    if not ran:
        return "checks not run"
    if good:
        return f"{report['passed']} tests pass" if report.get("passed") else "checks pass"
    return word.replace("failed", "tests fail") if report.get("failed") else f"checks: {word}"


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0
