"""Looks at what stands in a file: credentials, what is hidden, conflicts nobody resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.cautions import lines
from agents.cautions.listing import warning
from agents.workspace import secrets
from agents.workspace.diffs import readable
from projects import characters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agents.cautions.listing import Caution
    from agents.workspace.diffs import FileDiff

SCANNED_BYTES = 2_000_000  # for hidden characters
SECRET_BYTES = 64_000_000  # for credentials, in what is added
_MARKS = ("<<<<<<< ", ">>>>>>> ")


def look(file: FileDiff, content: bytes) -> Iterator[Caution]:
    """Yield what a reviewer must see of a file with this content."""
    path = lines.shown(file.path)
    yield from _secrets(file, path, content)
    if file.binary:
        return
    added = dict(lines.added(file))
    for number, line in added.items():
        if line.startswith(_MARKS):
            yield warning("conflict_mark", path, number, "A conflict was not resolved here.")
    yield from _hidden(path, content, added)


def _secrets(file: FileDiff, path: str, content: bytes) -> Iterator[Caution]:
    numbers = [0] if file.binary else [number for number, _ in lines.added(file)]
    if not file.binary:
        rows = content.split(b"\n")
        content = b"\n".join(rows[number - 1] for number in numbers)
    if len(content) > SECRET_BYTES:
        yield warning("not_scanned", path, 0, "It is too large to be searched for secrets.")
        return
    for secret in _in_bytes(content):
        line = 0 if file.binary else numbers[secret.line - 1]
        yield warning("secret", path, line, f"{secret.kind}: {secret.shown}")


def _in_bytes(content: bytes) -> list[secrets.Secret]:
    """Return the credentials in bytes; they may stand between others, or be written in UTF-16."""
    found = secrets.scan(content.replace(b"\0", b" ").decode(errors="replace"))
    if b"\0" in content:
        found += secrets.scan(content.replace(b"\0", b"").decode(errors="replace"))
    return list(dict.fromkeys(found))


def _hidden(path: str, content: bytes, added: dict[int, str]) -> Iterator[Caution]:
    """Yield what is hidden in a text, what is new of it first; of a large one the new lines."""
    numbers: list[int] = []
    if len(content) <= SCANNED_BYTES:
        text = readable(content)
    else:
        numbers, text = list(added), "\n".join(added.values())
        if len(text) > SCANNED_BYTES:
            text = ""
        said = "It is too large to be searched for hidden characters"
        said += ", but for its new lines." if text else "."
        yield warning("not_scanned", path, 0, said)
    found = [
        *(("hidden_character", one, "") for one in characters.scan(text)),
        *(
            ("lookalike_character", one, ", looks like another letter")
            for one in characters.scan_confusables(text)
        ),
    ]
    for kind, one, words in (
        found if numbers else sorted(found, key=lambda f: f[1].line not in added)
    ):
        line = numbers[one.line - 1] if numbers else one.line
        said = f"{one.codepoint} {one.name}, column {one.column}{words}"
        yield warning(kind, path, line, said)
