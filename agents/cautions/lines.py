"""The lines of a change as the rooms beside this one look at them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from agents.workspace.diffs import readable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agents.workspace.diffs import FileDiff

_HASHES = (
    "py",
    "sh",
    "bash",
    "zsh",
    "yml",
    "yaml",
    "toml",
    "ini",
    "cfg",
    "conf",
    "env",
    "rb",
    "tf",
)
_SLASHES = ("c", "cc", "cpp", "h", "cs", "go", "java", "js", "jsx", "mjs", "cjs", "kt", "php")
_COMMENTS = {
    **dict.fromkeys(_HASHES, ("#",)),
    **dict.fromkeys((*_SLASHES, "rs", "scala", "swift", "ts", "tsx", "vue"), ("//", "* ")),
    **dict.fromkeys(("dockerfile", "makefile", "txt"), ("#",)),
}
_PROSE = ("md", "rst", "txt", "adoc", "markdown")


def shown(path: str) -> str:
    r"""Return a path as text a row can hold; bytes that are no UTF-8 become \xNN."""
    return readable(path.encode(errors="surrogateescape"))


def added(file: FileDiff) -> Iterator[tuple[int, str]]:
    """Yield the lines a file gains, with their numbers."""
    for hunk in file.hunks:
        number = hunk.new_start
        for line in hunk.lines:
            if line.startswith("+"):
                yield number, line[1:]
            number += line[:1] in {"+", " "}


def removed(file: FileDiff) -> Iterator[str]:
    """Yield the lines a file loses."""
    return (line[1:] for hunk in file.hunks for line in hunk.lines if line.startswith("-"))


def ending(path: str) -> str:
    """Return how a file's name ends, in small letters; the whole of a name without a dot."""
    return path.rpartition("/")[2].rpartition(".")[2].lower()


def is_prose(path: str) -> bool:
    """Tell whether a file is there to be read, not to be run."""
    return ending(path) in _PROSE and "requirements" not in path


def is_comment(path: str, line: str) -> bool:
    """Tell whether a whole line is a comment."""
    return line.lstrip().startswith(_COMMENTS.get(ending(path), ("\0",)))


class Moves:
    """Tells lines that are new or gone from those a change only takes to another place."""

    def __init__(self, files: Iterable[FileDiff]) -> None:
        kept = list(files)
        self.gained = Counter(line.strip() for file in kept for _, line in added(file))
        self.lost = Counter(line.strip() for file in kept for line in removed(file))

    def is_new(self, line: str) -> bool:
        """Tell whether the change has the line more often than it takes it away."""
        text = line.strip()
        return self.gained[text] > self.lost[text]

    def is_gone(self, line: str) -> bool:
        """Tell whether the change takes the line away more often than it has it."""
        text = line.strip()
        return self.lost[text] > self.gained[text]
