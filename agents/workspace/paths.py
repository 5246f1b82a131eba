"""Which paths of a repository may become files, and which globs match a path."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from agents.workspace.exceptions import DangerousPath

MAX_PATH = 4_000  # bytes; the system's own limit is 4,096 with the folder in front
MAX_NAME = 255


def check_path(path: str) -> None:
    """Raise DangerousPath unless a file of this name is safe on every system."""
    why = _trouble(path)
    if why:
        raise DangerousPath(path, why)


def is_portable(path: str) -> bool:
    """Tell whether the name is valid UTF-8; others stay in the tree but become no files."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


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
    plain = "".join(c for c in name if unicodedata.category(c) != "Cf").casefold()
    first = re.split(r"[:\\]", plain, maxsplit=1)[0].rstrip(" .")
    return first in {".git", "git~1"}


def matches(path: str, globs: tuple[str, ...] | list[str]) -> bool:
    """Tell whether any glob matches, case-sensitively.

    `*` and `?` stay inside one folder, `**` crosses folders, a trailing `/` means all below.
    A glob without a slash but with a wildcard (`*.md`) matches the file name in any folder.
    """
    return any(_pattern(glob).fullmatch(path) for glob in globs)


@lru_cache(maxsize=512)
def _pattern(glob: str) -> re.Pattern[str]:
    glob = glob.removeprefix("./").lstrip("/")
    if glob.endswith("/"):
        glob += "**"
    if "/" not in glob and any(mark in glob for mark in "*?"):
        glob = f"**/{glob}"
    parts = re.split(r"(\*\*/|/\*\*$|\*\*|\*|\?)", glob)
    meaning = {"**/": "(?:[^/]+/)*", "/**": "/.+", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meaning.get(part) or re.escape(part) for part in parts), re.DOTALL)
