"""Checks what an agent says of its work against git and our own run of the checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents.lifecycle import Verdict
from agents.workspace import spoken
from agents.workspace.diffs import readable
from agents.workspace.files import MAX_FILE_BYTES
from agents.workspace.paths import matches
from projects.characters import reveal, strip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agents.messages import Check, StatedClaim
    from agents.workspace.checks import CheckReport
    from agents.workspace.git import Store
    from agents.workspace.listings import TreeEntry

Finding = tuple[Verdict, str]
_EVIDENCE = 500  # characters; the column's own limit
_QUOTE = 80
_QUOTES = str.maketrans("“”„‟", '"' * 4)
_TELLING = 4  # bytes of a text without its spaces: less stands everywhere


def verify(
    claim: StatedClaim,
    *,
    store: Store,
    base: str,
    head: str,
    checks: CheckReport,
    warnings: Sequence[dict[str, Any]] = (),
) -> Finding:
    """Return our verdict, and the sentence it stands on: what we checked and what we found.

    The agent chooses the check and the words, so that one need not fit the other: what is proven
    is our sentence, never theirs, and words that our own look denies are contradicted whatever
    check they name. `base` is main, `head` the merged work; in a report they are the same. Text
    is searched with hidden characters ignored.
    """
    verdict, found = _checked(claim.check, store=store, base=base, head=head, checks=checks)
    if verdict != Verdict.CONTRADICTED:
        against = spoken.against(
            claim.text,
            kind=claim.check.kind,
            checks=checks,
            warnings=warnings,
            changed=_changed(store, base, head),
        )
        if against:
            verdict, found = Verdict.CONTRADICTED, against
    if len(found) <= _EVIDENCE:
        return verdict, found
    if verdict == Verdict.PROVEN:  # half a sentence says less, or more, than what was proven
        return Verdict.NOT_CHECKABLE, "What the check names is too long to be shown."
    return verdict, f"{found[: _EVIDENCE - 1]}…"


def _checked(check: Check, *, store: Store, base: str, head: str, checks: CheckReport) -> Finding:
    match check.kind:
        case "checks_pass":
            return _checks_pass(checks)
        case "file_unchanged":
            return _file_unchanged(check, store, base, head)
        case "only_files":
            return _only_files(check, store, base, head)
        case "text_present" | "text_absent":
            return _text(check, store, base, head)
        case "none":
            return Verdict.NOT_CHECKABLE, "The agent names no way to check this."


def _checks_pass(checks: CheckReport) -> Finding:
    if not checks.ran:
        return Verdict.NOT_CHECKABLE, checks.sentence or "No checks are run for a report."
    if checks.green and checks.passed == 0:
        return Verdict.NOT_CHECKABLE, f"No test passed in it: {checks.sentence}"
    verdict = Verdict.PROVEN if checks.green else Verdict.CONTRADICTED
    return verdict, f"Checks on the merged tree: {checks.sentence}"


def _file_unchanged(check: Check, store: Store, base: str, head: str) -> Finding:
    path = check.path or next(iter(check.paths), "")
    if not path:
        return Verdict.NOT_CHECKABLE, "The claim names no file."
    before, after = _entry(store, base, path), _entry(store, head, path)
    if before is None and after is None:
        return Verdict.NOT_CHECKABLE, f"{_named(path)} is not in the repository."
    if before == after:
        return Verdict.PROVEN, f"{_named(path)} is byte-identical to main"
    how = "is new" if before is None else "is deleted" if after is None else "differs from main"
    return Verdict.CONTRADICTED, f"{_named(path)} {how}"


def _entry(store: Store, commit: str, path: str) -> TreeEntry | None:
    return next((entry for entry in store.paths(commit) if entry.path == path), None)


def _only_files(check: Check, store: Store, base: str, head: str) -> Finding:
    globs = _globs(check)
    if not globs:
        return Verdict.NOT_CHECKABLE, "The claim names no files."
    changed = _changed(store, base, head)
    if not changed:
        return Verdict.NOT_CHECKABLE, "No file changed."
    outside = sorted(path for path in changed if not matches(path, globs))
    if outside:
        return Verdict.CONTRADICTED, f"Files outside {_all(globs)} changed: {_listed(outside)}"
    if _is_everything(globs, store, base, head):
        return Verdict.NOT_CHECKABLE, f"No file of the repository lies outside {_listed(globs)}."
    inside = "under" if all(glob.endswith(("/", "/**")) for glob in globs) else "matching"
    number = len(changed)
    return Verdict.PROVEN, f"Only files {inside} {_all(globs)} changed: {number} of {number}"


def _changed(store: Store, base: str, head: str) -> set[str]:
    """Return the paths that differ, of a file that moved both."""
    if base == head:
        return set()
    diffs = store.diff(base, head)
    return {path for file in diffs for path in (file.path, file.old_path) if path}


def _is_everything(globs: list[str], store: Store, base: str, head: str) -> bool:
    """Tell whether nothing could have lain outside; files named one by one leave out new ones."""
    if not any(mark in glob for glob in globs for mark in ("*", "?")):
        return False
    paths = (entry.path for commit in (base, head) for entry in store.paths(commit))
    return all(matches(path, globs) for path in paths)


def _text(check: Check, store: Store, base: str, head: str) -> Finding:
    globs = _globs(check) or ["**"]
    entries = [e for e in store.paths(head) if e.regular and matches(e.path, globs)]
    if why := _not_searched(check.text, entries, globs):
        return Verdict.NOT_CHECKABLE, why
    now = _hits(store, entries, check.text)
    hits = [hit for each in now.values() for hit in each]
    if check.kind == "text_present":
        if not hits:
            return Verdict.CONTRADICTED, _none(check.text, entries, globs)
        return _new(now, hits, _before(check, store, base, head))
    if hits:
        return Verdict.CONTRADICTED, f"{hits[0]}{_more(hits)}"
    shown = _none(check.text, entries, globs)
    before = _before(check, store, base, head)
    if before is not None and not any(before.values()):
        return Verdict.NOT_CHECKABLE, f"{shown}, nor on main: this change did not remove it"
    return Verdict.PROVEN, shown


def _not_searched(text: str, entries: list[TreeEntry], globs: list[str]) -> str:
    wanted = "".join(strip(text).split())
    if not wanted:
        return "The claim names no text."
    if len(wanted.encode()) < _TELLING:
        return f"{_quoted(text)} is too short to tell anything."
    if not entries:
        return f"No file matches {_listed(globs)}."
    large = [entry.path for entry in entries if entry.size > MAX_FILE_BYTES]
    return f"{_listed(large)} is too large to search." if large else ""


def _new(now: dict[str, list[str]], hits: list[str], before: dict[str, int] | None) -> Finding:
    """Tell whether the change brought a text, or main has it as often."""
    if before is None:
        return Verdict.PROVEN, f"{hits[0]}{_more(hits)}"
    changed = {path: now.get(path, []) for path in before}
    if sum(map(len, changed.values())) <= sum(before.values()):
        return Verdict.NOT_CHECKABLE, f"{hits[0]}, but main has it already"
    new = [hit for path, each in changed.items() if len(each) > before[path] for hit in each]
    return Verdict.PROVEN, f"{new[0]}{_more(new)}"


def _before(check: Check, store: Store, base: str, head: str) -> dict[str, int] | None:
    """Return how often main has the text in each file that differs; None where nothing may."""
    if base == head:
        return None
    globs = _globs(check) or ["**"]
    paths = {path for path in _changed(store, base, head) if matches(path, globs)}
    entries = [e for e in store.paths(base) if e.path in paths and e.regular]
    searched = [entry for entry in entries if entry.size <= MAX_FILE_BYTES]
    hits = _hits(store, searched, check.text)
    return {path: len(hits.get(path, ())) for path in sorted(paths)}


def _hits(store: Store, entries: list[TreeEntry], text: str) -> dict[str, list[str]]:
    wanted = strip(text)
    return {
        entry.path: _find(entry.path, readable(content), wanted)
        for entry, content in store.contents(entries)
    }


def _none(text: str, entries: list[TreeEntry], globs: list[str]) -> str:
    return f"No {_quoted(text)} in {_files(len(entries))} matching {_all(globs)}"


def _more(hits: list[str]) -> str:
    return f" and {len(hits) - 1} more" if len(hits) > 1 else ""


def _globs(check: Check) -> list[str]:
    return [*check.paths, *([check.path] if check.path else [])]


def _find(path: str, text: str, wanted: str) -> list[str]:
    """Return a sentence for every place of the text, with what is hidden in it made visible."""
    plain, places = _searchable(text)
    found = []
    at = plain.find(wanted)
    while at >= 0:
        start, end = places[at], places[at + len(wanted) - 1] + 1
        line = text.count("\n", 0, start) + 1
        quote = text[start:end].replace("\n", " ")
        found.append(f"{_named(path)}:{line} has {_quoted(quote, most=_QUOTE)}")
        at = plain.find(wanted, at + len(wanted))
    return found


def _searchable(text: str) -> tuple[str, list[int] | range]:
    """Return the text as searched, and for each of its characters the place in the original."""
    if strip(text) == text:
        return text, range(len(text))
    kept = [(plain, place) for place, character in enumerate(text) if (plain := strip(character))]
    return "".join(plain for plain, _ in kept), [place for _, place in kept]


def _all(globs: list[str]) -> str:
    """List all, however many: a glob that is not shown would be proven unseen."""
    return ", ".join(_named(glob) for glob in globs)


def _listed(names: list[str]) -> str:
    shown = ", ".join(_named(name) for name in names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def _named(name: str) -> str:
    """Return a path or glob as it stands in a sentence of ours: in quotes where it could go on with it."""
    return _quoted(name) if len(name.split()) > 1 else reveal(name)


def _quoted(text: str, *, most: int | None = None) -> str:
    """Return what others wrote in quotes, and none within that would end them."""
    shown = reveal(text)
    shown = shown if most is None or len(shown) <= most else f"{shown[:most]}…"
    return f"“{shown.translate(_QUOTES)}”"


def _files(number: int) -> str:
    return "1 file" if number == 1 else f"{number} files"
