"""Which paths of a repository may become files, and which globs match a path."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

from agents.workspace.exceptions import DangerousPath

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_PATH = 4_000  # bytes; the system's own limit is 4,096 with the folder in front
MAX_NAME = 255
_KEPT = 20_000  # names and paths: the same files are looked at for every step of a project
_SHORT = 200  # characters; a model may name a path of half a million, which nobody has to keep


def check_path(path: str) -> None:
    """Raise DangerousPath unless a file of this name is safe on every system."""
    look = _trouble if len(path) <= _SHORT else _trouble.__wrapped__
    why = look(path)
    if why:
        raise DangerousPath(path, why)


def is_portable(path: str) -> bool:
    """Tell whether the name is valid UTF-8; others stay in the tree but become no files."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


@lru_cache(maxsize=_KEPT)
def _trouble(path: str) -> str:
    if not path or path.startswith("/"):
        return "it is absolute or empty"
    if any(unicodedata.category(character) == "Cc" for character in path):
        return "it contains a control character"
    raw = path.encode(errors="surrogateescape")
    names = path.split("/")
    if len(raw) > MAX_PATH or any(
        len(name.encode(errors="surrogateescape")) > MAX_NAME for name in names
    ):
        return "it is too long"
    return next((why for name in names if (why := _name_trouble(name))), "")


def _name_trouble(name: str) -> str:
    if name in {"", ".", ".."}:
        return "it has an empty, . or .. part"
    return "it names git's own folder" if is_git_name(name) else ""


def is_git_name(name: str) -> bool:
    """Tell whether some system would take the name for .git.

    HFS+ ignores format characters; NTFS has short names, streams and trailing dots.
    """
    look = _is_git_name if len(name) <= _SHORT else _is_git_name.__wrapped__
    return look(name)


@lru_cache(maxsize=_KEPT)
def _is_git_name(name: str) -> bool:
    plain = "".join(c for c in name if unicodedata.category(c) != "Cf").casefold()
    first = re.split(r"[:\\]", plain, maxsplit=1)[0].rstrip(" .")
    return first in {".git", "git~1"}


def matches(path: str, globs: Sequence[str]) -> bool:
    """Tell whether any glob matches, case-sensitively; never slow, whatever the glob.

    `*` and `?` stay inside one folder, `**` as a whole part crosses folders (at the end: at least
    one name), a trailing `/` means all below. A glob without a slash but with a wildcard (`*.md`)
    matches the file name in any folder. Brackets are ordinary characters.
    """
    names = path.split("/")
    return any(_matches(_parts(glob), names) for glob in globs)


@lru_cache(maxsize=512)
def _parts(glob: str) -> tuple[str, ...]:
    glob = glob.removeprefix("./").lstrip("/")
    if glob.endswith("/"):
        glob += "**"
    if "/" not in glob and any(mark in glob for mark in "*?"):
        glob = f"**/{glob}" if glob != "**" else glob
    parts: list[str] = []
    for part in glob.split("/"):
        # docs/**.md means docs/**/*.md
        parts += ["**", part[1:]] if part.startswith("**") and part != "**" else [part]
    return tuple(parts)


def _matches(parts: tuple[str, ...], names: list[str]) -> bool:
    reached = {0}  # how many names the parts so far can have used up
    for number, part in enumerate(parts, start=1):
        if part == "**":
            least = min(reached) + (number == len(parts))
            reached = set(range(least, len(names) + 1))
        else:
            reached = {at + 1 for at in reached if at < len(names) and _same(part, names[at])}
        if not reached:
            return False
    return len(names) in reached


def _same(part: str, name: str) -> bool:
    at = place = mark = 0
    star = -1
    while place < len(name):
        if at < len(part) and part[at] == "*":
            star, mark = at, place
            at += 1
        elif at < len(part) and part[at] in {"?", name[place]}:
            at += 1
            place += 1
        elif star >= 0:  # let the last star take one more
            at, mark = star + 1, mark + 1
            place = mark
        else:
            return False
    return not part[at:].strip("*")
