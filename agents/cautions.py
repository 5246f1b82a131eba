"""What a reviewer must see in a change before signing, found by looking, not by asking agents."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any

from agents.workspace import secrets
from agents.workspace.diffs import readable
from agents.workspace.paths import matches
from projects import characters

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agents.workspace.diffs import FileDiff
    from agents.workspace.git import Store

MOST = 200  # warnings of one proposal; what is left out is counted
_MOST_OF_ONE_FILE = 20
_SCANNED_BYTES = 2_000_000
_TESTS = ("tests/**", "**/tests/**", "**/test_*", "**/*_test.*", "**/*.spec.*", "**/*.test.*")
_TEST = re.compile(r"^\s*(?:async\s+)?def test|^\s*(?:it|test)\(|^func Test|^\s*@Test\b")
_MARKS = ("<<<<<<< ", ">>>>>>> ")
_KINDS = {"120000": ("symlink", "is a symbolic link"), "160000": ("submodule", "is a submodule")}

Caution = dict[str, Any]


def warnings_of(store: Store, diffs: Iterable[FileDiff], *, planned: list[str]) -> list[Caution]:
    """Return the warnings of a change; `planned` are the globs its plan declared (none: any)."""
    found = [warning for file in diffs for warning in _of_file(store, file, planned)]
    if len(found) <= MOST:
        return found
    left = len(found) - MOST
    return [*found[:MOST], warning("more", "", 0, f"{left} more warnings are not listed.")]


def warning(kind: str, path: str, line: int, text: str) -> Caution:
    """Return one warning as it is kept on a proposal."""
    return {"kind": kind, "path": path, "line": line, "text": text}


def shown(path: str) -> str:
    r"""Return a path as text a row can hold; bytes that are no UTF-8 become \xNN."""
    return readable(path.encode(errors="surrogateescape"))


def _of_file(store: Store, file: FileDiff, planned: list[str]) -> Iterator[Caution]:
    path = shown(file.path)
    yield from _of_name(path)
    yield from _of_kind(file, path)
    if file.status == "deleted" and matches(path, _TESTS):
        yield warning("deleted_test", path, 0, "A test file is deleted.")
    elif lost := _lost_tests(file):
        yield warning("deleted_test", path, 0, f"{lost} more tests are removed than added.")
    if planned and not matches(path, planned):
        yield warning("outside_plan", path, 0, "The plan did not mention this file.")
    if not file.binary and file.new_blob and file.new_mode not in _KINDS:
        yield from islice(_in_text(store, file, path), _MOST_OF_ONE_FILE)


def _of_name(path: str) -> Iterator[Caution]:
    where = "in the file's name"
    for hidden in characters.scan(path):
        text = f"{hidden.codepoint} {hidden.name}, {where}"
        yield warning("hidden_character", path, 0, text)
    for alike in characters.scan_confusables(path):
        text = f"{alike.codepoint} {alike.name}, {where}, looks like another letter"
        yield warning("lookalike_character", path, 0, text)


def _of_kind(file: FileDiff, path: str) -> Iterator[Caution]:
    if file.new_mode in _KINDS:
        kind, words = _KINDS[file.new_mode]
        yield warning(kind, path, 0, f"It {words}.")
    elif file.old_mode and file.new_mode and file.old_mode != file.new_mode:
        text = f"Its mode changes from {file.old_mode} to {file.new_mode}."
        yield warning("mode_changed", path, 0, text)
    elif file.new_mode == "100755" and not file.old_mode:
        yield warning("mode_changed", path, 0, "It is new and executable.")
    if file.binary:
        yield warning("binary", path, 0, "It is binary; no text can be shown.")


def _in_text(store: Store, file: FileDiff, path: str) -> Iterator[Caution]:
    (content,) = store.blobs([file.new_blob])
    if len(content) > _SCANNED_BYTES:
        yield warning(
            "not_scanned", path, 0, "It is too large to be searched for hidden characters."
        )
        return
    text = readable(content)
    added = dict(_added(file))
    for number, line in added.items():
        if line.startswith(_MARKS):
            yield warning("conflict_mark", path, number, "A conflict was not resolved here.")
    for secret in secrets.scan(text):
        if secret.line in added:
            yield warning("secret", path, secret.line, f"{secret.kind}: {secret.shown}")
    for hidden in characters.scan(text):
        name = f"{hidden.codepoint} {hidden.name}, column {hidden.column}"
        yield warning("hidden_character", path, hidden.line, name)
    for alike in characters.scan_confusables(text):
        name = f"{alike.codepoint} {alike.name}, column {alike.column}, looks like another letter"
        yield warning("lookalike_character", path, alike.line, name)


def _added(file: FileDiff) -> Iterator[tuple[int, str]]:
    for hunk in file.hunks:
        number = hunk.new_start
        for line in hunk.lines:
            if line.startswith("+"):
                yield number, line[1:]
            number += line[:1] in {"+", " "}


def _lost_tests(file: FileDiff) -> int:
    lines = [line for hunk in file.hunks for line in hunk.lines]
    removed = sum(line.startswith("-") and bool(_TEST.match(line[1:])) for line in lines)
    added = sum(line.startswith("+") and bool(_TEST.match(line[1:])) for line in lines)
    return max(0, removed - added)
