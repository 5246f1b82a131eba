"""One line for people about what a tool call gave."""

from __future__ import annotations

from typing import Any

_LONGEST = 160


def summary_of(tool: str, arguments: dict[str, Any], result: Any) -> str:
    """Return one line such as `billing/invoice.py` or `11 passed, 1 failed`."""
    if isinstance(result, dict) and "passed" in result:
        return _checks(result)
    if tool == "search_text":
        return f"“{_line(arguments.get('text') or arguments.get('query') or '')}”: {_first(result)}"
    path = arguments.get("path")
    if path:
        return _line(path)
    return _first(result)


def sandbox_of(result: Any) -> str:
    """Return what repository code ran under, where the result says so."""
    return str(result.get("sandbox") or "")[:20] if isinstance(result, dict) else ""


def broken(result: Any) -> bool:
    """Tell whether the checks could not run through no fault of the agent: no sandbox, say."""
    if not isinstance(result, dict):
        return False
    return bool(result.get("ran") is False and result.get("command"))


def _checks(report: dict[str, Any]) -> str:
    if not report.get("ran", True):
        return f"not run: {_line(report.get('why_not') or 'no reason given')}"
    counts = [(report.get("passed"), "passed"), (report.get("failed"), "failed")]
    told = ", ".join(f"{count} {word}" for count, word in counts if isinstance(count, int))
    return told or f"exit code {report.get('exit_code')}"


def _first(result: Any) -> str:
    lines = str(result).strip().splitlines()
    return _line(lines[0]) if lines else "nothing"


def _line(text: Any) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
