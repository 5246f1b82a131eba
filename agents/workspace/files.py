"""A folder of plain files for one step: written from a commit, read back as a tree."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from django.conf import settings

from agents.workspace.exceptions import DangerousPath, PathRefused, TooLarge
from agents.workspace.git import Store
from agents.workspace.listings import TreeEntry
from agents.workspace.paths import check_path, is_git_name, is_portable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from agents.models import Step

# Every file written from a commit gets this time: whatever was changed since shows a later one.
_WRITTEN_AT = 946_684_800  # 2000-01-01
MAX_FILE_BYTES = 50 * 1024**2  # larger files stay in the tree as they are
MAX_TREE_BYTES = 1024**3
MAX_FILES = 200_000


class Checked(Protocol):
    """What of a project says how it is checked."""

    @property
    def checks_command(self) -> str:
        """The command, or ''."""

    @property
    def allow_rlimits_only(self) -> bool:
        """Whether it may run where no sandbox is usable."""


_Look = tuple[int, int, int, int]  # what shows that a file was written: inode, time, size, mode


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """What the last snapshot stored."""

    looks: dict[str, _Look] = field(default_factory=dict)
    blobs: dict[str, str] = field(default_factory=dict)  # of files that differ from the commit
    tree: str = ""


class Workspace:
    """The files an agent sees. No .git, no symlinks: those stay in the tree as they are.

    What the files were written from is kept beside the folder, so that a restarted worker can
    go on; only files that changed since are read again.
    """

    def __init__(
        self,
        store: Store,
        folder: Path,
        *,
        project: Checked | None = None,
        aside: Path | None = None,  # for what must not lie in the folder; beside it when not given
    ) -> None:
        self.store = store
        self._folder = folder
        self.project = project
        self._aside = aside or folder.parent
        # A model may call tools side by side: one change or reading of the whole at a time.
        self.lock = threading.RLock()
        # Set when its step was taken away: what still runs for it ends.
        self.abandoned = threading.Event()
        self._like = ""  # a commit or tree that holds most of the files
        self._source = ""  # what the folder will be written from when it is first needed
        self._stored = _Stored()

    @classmethod
    def for_step(cls, step: Step) -> Workspace:
        """Return the workspace of a step's attempt; nothing is written yet.

        One folder per attempt: a worker that lost its lease unknowingly spoils nobody's files.
        """
        name = f"{step.pk}.{step.attempt}"
        folder = settings.DATA_DIR / "workspaces" / str(step.task_id) / name
        project = step.task.project
        return cls(Store.of(project), folder, project=project)

    @property
    def folder(self) -> Path:
        """Where the files are; written when it is first asked for."""
        with self.lock:
            if self._source:
                self._write_out(self._source)
                self._source = ""
        return self._folder

    @property
    def _manifest(self) -> Path:
        return self._aside / f"{self._folder.name}.json"

    def begin_with(self, commit: str) -> None:
        """Let the folder hold the files of a commit or tree from its first use on.

        Many steps never touch a file. Raises DangerousPath now, not at the first use.
        """
        check_entries(self.store.paths(commit))
        self.remove()
        self._source = self._like = commit

    def materialise(self, commit: str) -> None:
        """Replace the folder by the files of a commit or tree; raises DangerousPath."""
        self._source, self._like = "", commit
        self._write_out(commit)

    def _write_out(self, commit: str) -> None:
        entries = self.store.paths(commit)
        check_entries(entries)
        self.remove()
        self._stored = _Stored()
        self._folder.mkdir(parents=True, mode=0o755)
        write_files(self.store, entries, self._folder)
        self._manifest.write_text(json.dumps([[e.path, e.mode, e.blob, e.size] for e in entries]))

    def snapshot(self) -> str:
        """Store the folder as a tree and return it.

        Everything in the folder is in the tree: nothing is ignored, so nothing is hidden from
        the diff. Checks never run in here, so there is nothing of theirs to leave out.
        """
        with self.lock:
            return self.store.tree_of(self._source) if self._source else self._snapshot()

    def _snapshot(self) -> str:
        found = dict(_files_below(self._folder))
        looks = {path: _look(facts) for path, facts in found.items()}
        if self._stored.tree and looks == self._stored.looks:
            return self._stored.tree  # nothing was written since
        entries = self._entries()
        for path in [path for path, e in entries.items() if _materialised(e) and path not in found]:
            del entries[path]
        changed = [path for path, facts in found.items() if not _unchanged(entries, path, facts)]
        blobs = self._store_blobs(changed, looks)
        for path in changed:
            check_path(path)
            facts = found[path]
            entries[path] = TreeEntry(path, _mode(facts), blobs[path], facts.st_size)
        tree = self.store.write_tree(entries.values(), like=self._like)
        self._stored = _Stored(looks=looks, blobs=blobs, tree=tree)
        return tree

    def _store_blobs(self, paths: list[str], looks: dict[str, _Look]) -> dict[str, str]:
        """Return the blob of each file, storing those that look different from the last time."""
        before = self._stored
        blobs = {
            path: before.blobs[path]
            for path in paths
            if path in before.blobs and before.looks[path] == looks[path]
        }
        fresh = [path for path in paths if path not in blobs]
        stored = self.store.write_blobs([self._folder / path for path in fresh])
        return {**blobs, **dict(zip(fresh, stored, strict=True))}

    def listing(self) -> list[tuple[str, int]]:
        """Return every file with its size in bytes, sorted by path."""
        return sorted((path, facts.st_size) for path, facts in _files_below(self.folder))

    def kept(self, path: str) -> str:
        """Name the kind of an entry that is in the tree but not in the folder, or ''."""
        entry = self._entries().get(path)
        if entry is None or _materialised(entry):
            return ""
        kinds = {"120000": "a symbolic link", "160000": "a submodule"}
        return kinds.get(entry.mode, "a file too large for a workspace")

    def _entries(self) -> dict[str, TreeEntry]:
        if not self.folder.is_dir() or not self._manifest.is_file():
            return {}
        rows = json.loads(self._manifest.read_text())
        return {row[0]: TreeEntry(*row) for row in rows}

    def resolve(self, path: str) -> Path:
        """Return the real place of a path an agent named; raises PathRefused.

        Relative paths below the folder only; no `..`, no .git, no symlink on the way.
        """
        cleaned = path.removeprefix("./").rstrip("/")
        if cleaned in {"", "."}:
            return self.folder
        try:
            check_path(cleaned)
        except DangerousPath as refusal:
            raise PathRefused(f"{refusal} Use a path relative to the workspace.") from None
        if not is_portable(cleaned):
            raise PathRefused("The path is not valid text.")
        place = self.folder
        for name in cleaned.split("/"):
            place = place / name
            if place.is_symlink():
                raise PathRefused(f"{path} leads through a symbolic link and is not followed.")
        return place

    def write(self, path: str, content: bytes) -> bool:
        """Write a whole file at once, keeping its mode; tell whether it is new.

        Raises PathRefused. Killed half-way, the old file is still there.
        """
        with self.lock:
            return self._write(path, content)

    def _write(self, path: str, content: bytes) -> bool:
        place = self._writable(path)
        fresh = not place.exists()
        mode = 0o644 if fresh else stat.S_IMODE(place.stat().st_mode)
        draft = self._aside / f"{self._folder.name}.draft"
        draft.write_bytes(content)
        draft.chmod(mode)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(draft, place)
        except (FileExistsError, NotADirectoryError):
            draft.unlink()
            raise PathRefused(f"A file is in the way of {path}.") from None
        return fresh

    def delete(self, path: str) -> None:
        """Delete one file, and the folders that are empty without it; raises PathRefused."""
        with self.lock:
            place = self._writable(path)
            if not place.is_file():
                raise PathRefused(f"There is no file {path}.")
            place.unlink()
            for folder in place.parents:
                if folder == self.folder or any(folder.iterdir()):
                    return
                folder.rmdir()

    def _writable(self, path: str) -> Path:
        place = self.resolve(path)
        if place == self.folder or place.is_dir():
            raise PathRefused(f"{path} is a folder.")
        name = place.relative_to(self.folder).as_posix()
        inside = [name, *_parents(name)]
        kind = next((kind for each in inside if (kind := self.kept(each))), "")
        if kind:
            raise PathRefused(f"{path} is or lies below {kind}, which stays as it is.")
        return place

    def remove(self) -> None:
        """Delete the folder and what is known of it. Twice: nothing happens."""
        self._manifest.unlink(missing_ok=True)
        remove_folder(self._folder)


def write_files(
    store: Store, entries: list[TreeEntry], folder: Path, *, symlinks: bool = False
) -> None:
    """Write the regular files of a tree (and its symlinks, for the sandbox alone).

    Raises DangerousPath before anything is written when any name is unsafe or used twice.
    """
    check_entries(entries)
    for directory in sorted({parent for e in entries for parent in _parents(e.path)}):
        if is_portable(directory):
            (folder / directory).mkdir(mode=0o755)
    regular = [entry for entry in entries if _materialised(entry)]
    for entry, content in store.contents(regular):
        _write(folder / entry.path, content, executable=entry.mode == "100755")
    links = [e for e in entries if symlinks and e.mode == "120000" and is_portable(e.path)]
    for entry, target in store.contents(links):
        os.symlink(target, os.fsencode(folder / entry.path))


def remove_folder(folder: Path) -> None:
    """Delete a folder whatever repository code made of it (no rights, very deep trees)."""
    if not folder.exists():
        return
    try:
        shutil.rmtree(folder)
    except (OSError, RecursionError):
        for command in (["chmod", "-R", "u+rwx", "--"], ["rm", "-rf", "--"]):
            subprocess.run(  # noqa: S603 - fixed programs, one absolute path
                [*command, str(folder.absolute())], check=False, capture_output=True, timeout=120
            )


def check_entries(entries: list[TreeEntry]) -> None:
    """Raise DangerousPath unless every name is safe, used once, and no file is another's folder.

    Raises TooLarge when the files are too many or too much for a workspace.
    """
    if len(entries) > MAX_FILES or sum(map(_weight, entries)) > MAX_TREE_BYTES:
        raise TooLarge
    seen: set[str] = set()
    for entry in entries:
        check_path(entry.path)
        if entry.path in seen:
            raise DangerousPath(entry.path, "it is in the tree twice")
        seen.add(entry.path)
    for entry in entries:
        if any(parent in seen for parent in _parents(entry.path)):
            raise DangerousPath(entry.path, "a file of the tree is in its way")


def _parents(path: str) -> Iterable[str]:
    parts = path.split("/")
    return ("/".join(parts[:depth]) for depth in range(1, len(parts)))


def _materialised(entry: TreeEntry) -> bool:
    return entry.regular and is_portable(entry.path) and entry.size <= MAX_FILE_BYTES


def _weight(entry: TreeEntry) -> int:
    return entry.size if _materialised(entry) else 0


def _write(place: Path, content: bytes, *, executable: bool) -> None:
    # A handle and no file object: of thousands of small files that is half the system calls, and at
    # each the other threads of a worker may take the interpreter away.
    mode = 0o755 if executable else 0o644
    handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        written = os.write(handle, content)
        while written < len(content):
            written += os.write(handle, content[written:])
        os.fchmod(handle, mode)  # whatever the umask of the service is
        os.utime(handle, (_WRITTEN_AT, _WRITTEN_AT))
    finally:
        os.close(handle)


def _files_below(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the regular files; links and devices are never followed or stored."""
    waiting = [(str(folder), "")]
    while waiting:
        place, above = waiting.pop()
        with os.scandir(place) as children:
            for child in children:
                if is_git_name(child.name):
                    continue  # never in a workspace; a plain folder served over stdio has one
                if child.is_dir(follow_symlinks=False):
                    waiting.append((child.path, f"{above}{child.name}/"))
                elif child.is_file(follow_symlinks=False):
                    yield above + child.name, child.stat(follow_symlinks=False)


def _look(facts: os.stat_result) -> _Look:
    return facts.st_ino, facts.st_mtime_ns, facts.st_size, facts.st_mode


def _mode(facts: os.stat_result) -> str:
    return "100755" if facts.st_mode & stat.S_IXUSR else "100644"


def _unchanged(entries: dict[str, TreeEntry], path: str, facts: os.stat_result) -> bool:
    known = entries.get(path)
    return (
        known is not None
        and int(facts.st_mtime) == _WRITTEN_AT
        and known.mode == _mode(facts)
        and known.regular
    )
