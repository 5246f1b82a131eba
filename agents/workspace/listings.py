"""The files and folders of a tree, and how another tree is made of them without asking git."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# Names of which no system thinks anything special. All others go through git, which knows better.
_PLAIN = re.compile(r"(?!\.git)[\w .+,=@()\[\]{}'!#$%&;^-]*[\w+,=@()\[\]{}'!#$%&;^-]", re.I | re.A)
_PLAIN_MODES = frozenset({"100644", "100755"})
_FOLDER = "40000"


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One file of a tree. Modes: 100644, 100755, 120000 (symlink), 160000 (gitlink)."""

    path: str
    mode: str
    blob: str
    size: int = 0  # bytes; only known of entries that were listed

    @property
    def regular(self) -> bool:
        """Tell whether it is a plain file."""
        return self.mode in {"100644", "100755"}

    def same(self, other: TreeEntry | None) -> bool:
        """Tell whether the other is the same file."""
        return other is not None and (self.mode, self.blob) == (other.mode, other.blob)


@dataclass(frozen=True, slots=True)
class Listing:
    """Every file of a tree in git's order, and the tree of each of its folders."""

    entries: list[TreeEntry]
    folders: dict[str, str]

    @property
    def weight(self) -> int:
        """How much there is to remember."""
        return len(self.entries) + len(self.folders)

    def by_path(self) -> dict[str, TreeEntry]:
        """Return the files by their paths."""
        return {entry.path: entry for entry in self.entries}


def read(output: bytes) -> Listing:
    """Read what `git ls-tree -r -t -l -z` says."""
    entries, folders = [], {}
    for record in output.split(b"\0")[:-1]:
        facts, _, raw = record.partition(b"\t")
        mode, kind, name, size = facts.decode().split()
        path = raw.decode(errors="surrogateescape")
        if kind == "tree":
            folders[path] = name
        else:
            entries.append(TreeEntry(path, mode, name, int(size) if size.isdigit() else 0))
    return Listing(entries, folders)


def rebuilt(
    entries: Iterable[TreeEntry], like: Listing, write: Callable[[bytes], str]
) -> tuple[str, Listing] | None:
    """Write the trees in which files differ from those of `like`; return the root and its listing.

    None where git should do it: a name or a mode that is not plain, a path that is a file and a
    folder, or nothing that differs.
    """
    files = {entry.path: entry for entry in sorted(entries, key=_in_order)}
    before = like.by_path()
    changed = [path for path, entry in files.items() if not entry.same(before.get(path))]
    gone = [path for path in before if path not in files]
    if not (changed or gone) or not all(_is_plain(files[path]) for path in changed):
        return None
    folders = {folder for path in files for folder in _folders_of(path)}
    if folders & files.keys():
        return None
    touched = {folder for path in (*changed, *gone) for folder in ("", *_folders_of(path))}
    made = {path: name for path, name in like.folders.items() if path in folders - touched}
    inside = _children(files, folders, touched)
    for folder in sorted(touched & {"", *folders}, key=lambda path: -path.count("/") - bool(path)):
        made[folder] = write(_tree(inside.get(folder, []), files, made))
    root = made.pop("")
    return root, Listing(list(files.values()), made)


def merged(base: Listing, ours: Listing, theirs: Listing) -> list[TreeEntry] | None:
    """Return the files of a merge in which nothing was deleted and no file changed on both sides.

    None: it is git's to do. Where nothing was deleted nothing can have been renamed, so git would
    put together the same.
    """
    before, mine, other = base.by_path(), ours.by_path(), theirs.by_path()
    if not (before.keys() <= mine.keys() and before.keys() <= other.keys()):
        return None
    for path, entry in other.items():
        if entry.same(before.get(path)) or entry.same(mine.get(path)):
            continue
        if path in mine and not mine[path].same(before.get(path)):
            return None
        mine[path] = entry
    return list(mine.values())


def _in_order(entry: TreeEntry) -> bytes:
    return entry.path.encode(errors="surrogateescape")


def _is_plain(entry: TreeEntry) -> bool:
    names = entry.path.split("/")
    return entry.mode in _PLAIN_MODES and all(_PLAIN.fullmatch(name) for name in names)


def _folders_of(path: str) -> Iterator[str]:
    end = path.find("/")
    while end >= 0:
        yield path[:end]
        end = path.find("/", end + 1)


def _children(
    files: Iterable[str], folders: Iterable[str], touched: set[str]
) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in (*files, *folders):
        above = path.rpartition("/")[0]
        if above in touched:
            found.setdefault(above, []).append(path)
    return found


def _tree(children: list[str], files: dict[str, TreeEntry], made: dict[str, str]) -> bytes:
    """Return a tree object's body: git sorts a folder as if its name ended in a slash."""
    rows = []
    for path in children:
        name = path.rpartition("/")[2].encode(errors="surrogateescape")
        if (entry := files.get(path)) is not None:
            rows.append((name, entry.mode.lstrip("0"), entry.blob, name))
        else:
            rows.append((name + b"/", _FOLDER, made[path], name))
    return b"".join(
        f"{mode} ".encode() + name + b"\0" + bytes.fromhex(blob)
        for _, mode, blob, name in sorted(rows)
    )
