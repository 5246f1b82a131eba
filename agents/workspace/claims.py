"""Checks what an agent says of its work against git and our own run of the checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.lifecycle import Verdict
from agents.workspace.diffs import readable
from agents.workspace.files import MAX_FILE_BYTES
from agents.workspace.paths import matches
from projects.characters import reveal, strip

if TYPE_CHECKING:
    from agents.messages import Check, StatedClaim
    from agents.workspace.checks import CheckReport
    from agents.workspace.git import Store
    from agents.workspace.listings import TreeEntry

Finding = tuple[Verdict, str]
_EVIDENCE = 500  # characters; the column's own limit
_QUOTE = 80


def verify(
    claim: StatedClaim, *, store: Store, base: str, head: str, checks: CheckReport
) -> Finding:
    """Return our verdict on a claim and the evidence for it in one line.

    `base` is main, `head` the merged work. Text is searched with hidden characters ignored.
    """
    check = claim.check
    match check.kind:
        case "checks_pass":
            verdict, evidence = _checks_pass(checks)
        case "file_unchanged":
            verdict, evidence = _file_unchanged(check, store, base, head)
        case "only_files":
            verdict, evidence = _only_files(check, store, base, head)
        case "text_present" | "text_absent":
            verdict, evidence = _text(check, store, head)
        case "none":
            verdict, evidence = Verdict.NOT_CHECKABLE, "The agent names no way to check this."
    return verdict, evidence if len(evidence) <= _EVIDENCE else f"{evidence[: _EVIDENCE - 1]}…"


def _checks_pass(checks: CheckReport) -> Finding:
    if not checks.ran:
        return Verdict.NOT_CHECKABLE, checks.sentence
    return Verdict.PROVEN if checks.green else Verdict.CONTRADICTED, checks.sentence


def _file_unchanged(check: Check, store: Store, base: str, head: str) -> Finding:
    path = check.path or next(iter(check.paths), "")
    if not path:
        return Verdict.NOT_CHECKABLE, "The claim names no file."
    before, after = _entry(store, base, path), _entry(store, head, path)
    if before is None and after is None:
        return Verdict.NOT_CHECKABLE, f"{reveal(path)} is not in the repository."
    if before == after:
        return Verdict.PROVEN, f"{reveal(path)} is byte-identical to main"
    how = "is new" if before is None else "is deleted" if after is None else "differs from main"
    return Verdict.CONTRADICTED, f"{reveal(path)} {how}"


def _entry(store: Store, commit: str, path: str) -> TreeEntry | None:
    return next((entry for entry in store.paths(commit) if entry.path == path), None)


def _only_files(check: Check, store: Store, base: str, head: str) -> Finding:
    globs = [*check.paths, *([check.path] if check.path else [])]
    if not globs:
        return Verdict.NOT_CHECKABLE, "The claim names no files."
    changed = {
        path
        for file in store.diff(base, head)
        for path in (file.path, *([file.old_path] if file.old_path else []))
    }
    outside = sorted(path for path in changed if not matches(path, globs))
    if outside:
        return Verdict.CONTRADICTED, f"{_listed(outside)} changed too"
    return Verdict.PROVEN, f"{_files(len(changed))} changed, all inside {_listed(globs)}"


def _text(check: Check, store: Store, head: str) -> Finding:
    wanted = strip(check.text)
    if not wanted.strip():
        return Verdict.NOT_CHECKABLE, "The claim names no text."
    globs = [*check.paths, *([check.path] if check.path else [])] or ["**"]
    entries = [e for e in store.paths(head) if e.regular and matches(e.path, globs)]
    if not entries:
        return Verdict.NOT_CHECKABLE, f"No file matches {_listed(globs)}."
    large = [entry.path for entry in entries if entry.size > MAX_FILE_BYTES]
    if large:
        return Verdict.NOT_CHECKABLE, f"{_listed(large)} is too large to search."
    hits = [
        hit
        for entry, content in store.contents(entries)
        for hit in _find(entry.path, readable(content), wanted)
    ]
    absent = check.kind == "text_absent"
    if not hits:
        where = f"{_files(len(entries))} matching {_listed(globs)}"
        shown = f"no “{reveal(check.text)}” in {where}"
        return Verdict.PROVEN if absent else Verdict.CONTRADICTED, shown
    more = f" and {len(hits) - 1} more" if len(hits) > 1 else ""
    return Verdict.CONTRADICTED if absent else Verdict.PROVEN, f"{hits[0]}{more}"


def _find(path: str, text: str, wanted: str) -> list[str]:
    """Return a sentence for every place of the text, with what is hidden in it made visible."""
    plain, places = _searchable(text)
    found = []
    at = plain.find(wanted)
    while at >= 0:
        start, end = places[at], places[at + len(wanted) - 1] + 1
        line = text.count("\n", 0, start) + 1
        quote = reveal(text[start:end]).replace("\n", " ")[:_QUOTE]
        found.append(f"{reveal(path)}:{line} has “{quote}”")
        at = plain.find(wanted, at + len(wanted))
    return found


def _searchable(text: str) -> tuple[str, list[int] | range]:
    """Return the text as searched, and for each of its characters the place in the original."""
    if strip(text) == text:
        return text, range(len(text))
    kept = [(plain, place) for place, character in enumerate(text) if (plain := strip(character))]
    return "".join(plain for plain, _ in kept), [place for _, place in kept]


def _listed(names: list[str]) -> str:
    shown = ", ".join(reveal(name) for name in names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def _files(number: int) -> str:
    return "1 file" if number == 1 else f"{number} files"
