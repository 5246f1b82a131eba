"""Reads what the workspace tools print: lines of a file, search hits, a run of the checks."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agents.runtime.rehearsal.scene import Done

_NUMBERED = re.compile(r"^\s*(\d+)[\t|:] ?(.*)$")
_HIT = re.compile(r"^(?P<path>[^\s:][^:]*):(?P<line>\d+):\s?(?P<text>.*)$")
_LISTED = re.compile(r"^(?P<path>.+) \([\d,]+\)$")
_MARK = re.compile(r"⟨U\+[0-9A-F]{4,6}⟩")


@dataclass(frozen=True)
class Hit:
    """One line a search found."""

    path: str
    line: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Checks:
    """What a run of the checks printed."""

    green: bool
    told: str  # in words, e.g. "11 passed, 1 failed"
    failing: tuple[str, ...]
    ran: bool
    why_not: str


def lines_of(reading: Done) -> dict[int, str]:
    """Return the numbered lines of a file as the tool showed them."""
    found = (_NUMBERED.match(line) for line in reading.text.splitlines())
    return {int(match[1]): match[2] for match in found if match}


def text_of(reading: Done) -> str:
    """Return a file's text without line numbers."""
    return "".join(f"{line}\n" for line in lines_of(reading).values())


def hits_of(searched: Done) -> list[Hit]:
    """Return what a search found."""
    found = (_HIT.match(line) for line in searched.text.splitlines())
    return [Hit(match["path"], int(match["line"]), match["text"]) for match in found if match]


def paths_of(listed: Done) -> list[str]:
    """Return the files a listing names."""
    found = (_LISTED.match(line) for line in listed.text.splitlines())
    return [match["path"] for match in found if match]


def where(reading: Done, part: str) -> tuple[int, str]:
    """Return the number and text of the first line that holds `part`, or (0, '')."""
    found = ((number, text) for number, text in lines_of(reading).items() if part in text)
    return next(found, (0, ""))


def marked(reading: Done) -> tuple[int, str]:
    """Return the first line in which the tool marked a hidden character, or (0, '')."""
    found = ((number, text) for number, text in lines_of(reading).items() if _MARK.search(text))
    return next(found, (0, ""))


def checks_of(run: Done) -> Checks:
    """Return how a run of the checks ended."""
    report = _json(run.text)
    passed, failed = report.get("passed"), report.get("failed")
    counts = [(passed, "passed"), (failed, "failed")]
    told = ", ".join(f"{count} {word}" for count, word in counts if isinstance(count, int))
    output = str(report.get("output_tail", ""))
    return Checks(
        green=report.get("exit_code") == 0,
        told=told or f"exit code {report.get('exit_code')}",
        failing=tuple(dict.fromkeys(re.findall(r"^(?:FAIL|ERROR): (\w+)", output, re.MULTILINE))),
        ran=bool(report.get("ran", False)) and not run.failed,
        why_not=str(report.get("why_not") or run.text.strip())[:300],
    )


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
