"""The platform's own git directory of a project, steered by no content of a repository.

Directory, index and configuration are ours; no file is checked out, no filter or hook of theirs read.
"""

from __future__ import annotations

import contextlib
import fcntl
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings

from agents.workspace import ancestry, commits, exceptions, listings, recalling
from agents.workspace.commands import check_sha, run_git
from agents.workspace.diffs import COMMAND, FileDiff, read_diff, weight_of
from agents.workspace.objects import read_object, write_object
from agents.workspace.remotes import Remote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path
    from typing import Any, TypeVar

    from agents.workspace.listings import TreeEntry
    from projects.models import Project

    T = TypeVar("T")
    Weigh = Callable[[Any], int]

_MAIN = "refs/countersign/main"
_HANDED_IN = "refs/countersign/handed-in"
_BATCH_BYTES = 32 * 1024**2  # read at a time, so that a big repository does not fill the memory
_SHA = re.compile(r"[0-9a-f]{40}\n?")
# What git said of objects, by git directory: 100,000 listed files are about 25 MB.
_known = recalling.Recollection(100_000)
_LOOSE = 200  # objects; git keeps fewer of a fetch singly, and we write few


@dataclass(frozen=True, slots=True)
class Merge:
    """The tree of a merge, and the paths in conflict (the tree then holds conflict marks)."""

    tree: str
    conflicts: list[str]


class Store:
    """A bare git directory of ours that holds every object the platform makes or fetches.

    Safe for any number of processes: objects are content-addressed, indexes are private files,
    the one ref is written under a file lock, and nothing is ever collected as garbage.
    """

    def __init__(
        self, git_dir: Path, *, repository: str, main: str, from_disk: bool = False
    ) -> None:
        self.git_dir = git_dir
        self.remote = Remote(repository, main)
        self._from_disk = from_disk

    @classmethod
    def of(cls, project: Project, *, from_disk: bool = False) -> Store:
        """Return the store of a project; it is made on the first fetch.

        `from_disk`: every answer is read from git's objects anew, for those who verify them.
        """
        return cls(
            settings.DATA_DIR / "stores" / f"{project.pk}.git",
            repository=project.repository,
            main=project.main_branch,
            from_disk=from_disk,
        )

    def _once(self, question: tuple[str, ...], ask: Callable[[], T], weigh: Weigh = len) -> T:
        if self._from_disk:
            return ask()
        answer: T = _known.ask((self.git_dir, *question), ask, weigh)
        return answer

    def _tell(self, question: tuple[str, ...], answer: object, weight: int = 1) -> None:
        _known.tell((self.git_dir, *question), answer, weight)

    def _git(self, *arguments: str, given: bytes = b"", fine: Sequence[int] = (0,)) -> bytes:
        return run_git(*arguments, git_dir=self.git_dir, given=given, fine=fine).stdout

    def create(self) -> None:
        """Make the git directory unless it is there; without a hook, template or process."""
        if (self.git_dir / "HEAD").exists():
            return
        self.git_dir.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.git_dir.with_name(f".{uuid.uuid4().hex}")
        for name in ("objects/info", "objects/pack", "refs/heads", "tmp"):
            (draft / name).mkdir(parents=True)
        (draft / "config").write_text("[core]\n\trepositoryformatversion = 0\n\tbare = true\n")
        # Never born: git reads attributes from HEAD in bare directories since 2.43.
        (draft / "HEAD").write_text("ref: refs/heads/unborn\n")
        with contextlib.suppress(OSError):  # another process was first
            draft.rename(self.git_dir)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        with (self.git_dir / "lock").open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            # Only a git that was killed can have left these, and git would wait for them forever.
            for stale in (f"{_MAIN}.lock", "packed-refs.lock", "shallow.lock"):
                (self.git_dir / stale).unlink(missing_ok=True)
            yield

    def fetch(self) -> str:
        """Bring main up to date and return its head; raises RepositoryUnreachable, NoSuchBranch."""
        self.create()
        there = self.remote.head_on_disk()
        head = there if there and there == self._fetched() else self._bring(_MAIN)
        self._tell(("main", head), head)
        return head

    def fetch_named(self, name: str, *, into: str) -> str:
        """Fetch a branch or a whole commit id of the repository and return its commit.

        It is kept under the ref `into`. Raises RepositoryUnreachable, NoSuchBranch.
        """
        self.create()
        return self._bring(f"{_HANDED_IN}/{into}", named=name)

    def _bring(self, ref: str, *, named: str = "") -> str:
        with self._lock():
            self.remote.fetch(self.git_dir, into=ref, named=named)
            return self._git("rev-parse", "--verify", f"{ref}^{{commit}}").decode().strip()

    def _fetched(self) -> str:
        """Return where main was when it was fetched last, or nothing."""
        with contextlib.suppress(OSError, ValueError):
            head = (self.git_dir / _MAIN).read_text("ascii")
            return head.strip() if _SHA.fullmatch(head) else ""
        return ""

    def main_now(self) -> str:
        """Ask the repository where main is; raises RepositoryUnreachable, NoSuchBranch."""
        self.create()
        return self.remote.head_on_disk() or self.remote.head(self.git_dir)

    def push_main(self, new: str, *, expected: str) -> None:
        """Move main from `expected` to `new`, or change nothing.

        Raises MainMoved, RepositoryUnreachable or PushRefused. Twice: the second does nothing.
        """
        if not self.is_ancestor(expected, new):
            raise exceptions.PushRefused(
                "The change does not build on the main it was approved for. Nothing was merged."
            )
        self.remote.push(self.git_dir, check_sha(new), expected=check_sha(expected))

    def commit(
        self,
        tree: str,
        *,
        parents: Sequence[str],
        message: str,
        author: str = "Code agent",
        at: datetime | None = None,
    ) -> str:
        """Write a commit; the same arguments give the same commit."""
        text = commits.body(tree, parents=parents, message=message, author=author, at=at)
        written = write_object(self.git_dir, "commit", text)
        self._tell(("parents", written), tuple(parents))
        self._tell(("tree", written), tree)
        return written

    def tree_of(self, name: str) -> str:
        """Return the tree of a commit (or of a tree: itself)."""

        def ask() -> str:
            tree = f"{check_sha(name)}^{{tree}}"
            return self._git("rev-parse", "--verify", tree).decode().strip()

        return self._once(("tree", name), ask, _light)

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Tell whether `newer` contains `older`."""
        names = (check_sha(older), check_sha(newer))
        if older == newer:
            return True

        def ask() -> bool:
            if (known := ancestry.is_ancestor(*names, self._parents)) is not None:
                return known
            question = ("merge-base", "--is-ancestor", *names)
            return run_git(*question, git_dir=self.git_dir, fine=(0, 1)).returncode == 0

        return self._once(("ancestor", *names), ask, _light)

    def _parents(self, commit: str) -> tuple[str, ...] | None:
        """Return a commit's parents where no process has to be asked; never for who verifies.

        None also where main was: its history is long, and what agents make begins there.
        """
        if self._from_disk or _known.knows((self.git_dir, "main", commit)):
            return None
        return self._once(
            ("parents", commit),
            lambda: commits.parents_of(read_object(self.git_dir, check_sha(commit))),
            _light,
        )

    def merge(self, ours: str, theirs: str) -> Merge:
        """Merge two commits in memory; conflicts are named, nothing is checked out."""
        if (simple := self._simple_merge(ours, theirs)) is not None:
            return simple
        done = run_git(
            "merge-tree",
            "--write-tree",
            "-z",
            "--name-only",
            "--no-messages",
            check_sha(ours),
            check_sha(theirs),
            git_dir=self.git_dir,
            fine=(0, 1),
        )
        tree, *paths = done.stdout.decode(errors="surrogateescape").split("\0")
        return Merge(tree, list(dict.fromkeys(path for path in paths if path)))

    def _simple_merge(self, ours: str, theirs: str) -> Merge | None:
        """Merge where the two sides changed different files and deleted none; else it is git's."""
        base = ancestry.fork(check_sha(ours), check_sha(theirs), self._parents)
        if base is None:
            return None
        mine = self.listing(ours)
        files = listings.merged(self.listing(base), mine, self.listing(theirs))
        made = files and listings.rebuilt(files, mine, self._write_folder)
        return Merge(self._remembered(*made), []) if made else None

    def find_on_main(self, trailer: str, value: str) -> str | None:
        """Fetch, and return the newest commit of main with this trailer, if any."""
        self.fetch()
        fields = f"--format=%H%x00%(trailers:key={trailer},valueonly,unfold,separator=%x00)"
        found = self._git("log", "-F", f"--grep={trailer}: {value}", fields, _MAIN, "--")
        for line in found.decode(errors="replace").splitlines():
            sha, *values = line.split("\0")
            if value in values:
                return sha
        return None

    def trailers_on_main(self, trailer: str, *, since: str = "") -> list[str]:
        """Fetch, and return this trailer's value of every commit of main, or those since one."""
        self.fetch()
        wanted = f"--format=%(trailers:key={trailer},valueonly,unfold,separator=%x00)"
        span = (_MAIN, f"^{check_sha(since)}") if since else (_MAIN,)
        lines = self._git("log", "-F", f"--grep={trailer}: ", wanted, *span, "--").splitlines()
        return [one.decode(errors="replace") for line in lines for one in line.split(b"\0") if one]

    def diff(self, base: str, head: str) -> list[FileDiff]:
        """Return every difference of two trees or commits, renames detected, text exact."""
        if base == head:
            return []
        names = (check_sha(base), check_sha(head))
        command = (*COMMAND, *names, "--")
        return list(self._once(("diff", *names), lambda: read_diff(self._git(*command)), weight_of))

    def prepare_diffs(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Let one process find the differences that `diff` will be asked for."""
        wanted = [
            (check_sha(base), check_sha(head))
            for base, head in dict.fromkeys(pairs)
            if base != head and not _known.knows((self.git_dir, "diff", base, head))
        ]
        if not wanted or self._from_disk:
            return
        trees = [f"{self.tree_of(base)} {self.tree_of(head)}\n" for base, head in wanted]
        # A line that names no object comes back as it is: nothing a repository holds can say it.
        mark = f"countersign {uuid.uuid4().hex}\n"
        given = mark.join(["", *trees]).encode()
        _, *answers = self._git(*COMMAND, "--stdin", given=given).split(mark.encode())
        for pair, answer in zip(wanted, answers, strict=True):
            diffs = read_diff(answer.partition(b"\n")[2])
            self._tell(("diff", *pair), diffs, weight_of(diffs))

    def paths(self, tree: str) -> list[TreeEntry]:
        """Return every file of a tree or commit, in git's order."""
        return list(self.listing(tree).entries)

    def listing(self, tree: str) -> listings.Listing:
        """Return the files and folders of a tree or commit."""
        # What was told of a tree is true of its commits; who verifies was told nothing.
        name = check_sha(tree) if self._from_disk else self.tree_of(tree)
        command = ("ls-tree", "-r", "-t", "-l", "-z", "--full-tree", name)
        return self._once(
            ("listing", name),
            lambda: listings.read(self._git(*command)),
            lambda found: found.weight,
        )

    def blob(self, tree: str, path: str) -> bytes | None:
        """Return the bytes of one file, or None where there is no such file."""
        if "\n" in path or not path:
            return None
        name = f"{check_sha(tree)}:{path}".encode(errors="surrogateescape")
        return next(self._read([name]))

    def blobs(self, names: Iterable[str]) -> Iterator[bytes]:
        """Yield the bytes of blobs, in order, from one process: all in memory at once."""
        wanted = [check_sha(name) for name in names]
        yield from self._once(
            ("blobs", *wanted), lambda: self._blobs(wanted), recalling.weight_in_bytes
        )

    def _blobs(self, names: list[str]) -> list[bytes]:
        found = self._loose(names)
        rest = [name for name in dict.fromkeys(names) if name not in found]
        for name, content in zip(rest, self._read([each.encode() for each in rest]), strict=True):
            if content is None:
                raise exceptions.GitFailed("An object of the repository is missing.")
            found[name] = content
        return [found[name] for name in names]

    def _loose(self, names: list[str]) -> dict[str, bytes]:
        """Return blobs that lie about singly; not for who verifies, nor of so many that few would."""
        if self._from_disk or len(names) > _LOOSE:
            return {}
        read = {name: read_object(self.git_dir, name) for name in names}
        return {name: found[1] for name, found in read.items() if found and found[0] == "blob"}

    def contents(self, entries: Iterable[TreeEntry]) -> Iterator[tuple[TreeEntry, bytes]]:
        """Yield listed files with their bytes, in order, a bounded part in memory at a time."""
        batch: list[TreeEntry] = []
        size = 0
        for entry in entries:
            if batch and size + entry.size > _BATCH_BYTES:
                yield from zip(batch, self.blobs(each.blob for each in batch), strict=True)
                batch, size = [], 0
            batch.append(entry)
            size += entry.size
        if batch:
            yield from zip(batch, self.blobs(each.blob for each in batch), strict=True)

    def _read(self, names: list[bytes]) -> Iterator[bytes | None]:
        if not names:
            return
        output = self._git("cat-file", "--batch", given=b"".join(n + b"\n" for n in names))
        at = 0
        for name in names:
            end = output.index(b"\n", at)
            header = output[at:end]
            if header[len(name) :].startswith((b" missing", b" ambiguous")):
                yield None
                at = end + 1
                continue
            _, kind, size = header.rsplit(b" ", 2)
            start, at = end + 1, end + 2 + int(size)
            yield output[start : start + int(size)] if kind == b"blob" else None

    def write_blobs(self, files: Sequence[Path]) -> list[str]:
        """Store files byte for byte, without filters."""
        return [write_object(self.git_dir, "blob", file.read_bytes()) for file in files]

    def write_blob(self, content: bytes) -> str:
        """Store bytes as they are."""
        return write_object(self.git_dir, "blob", content)

    def write_tree(self, entries: Iterable[TreeEntry], *, like: str = "") -> str:
        """Store the tree of exactly these files; `like`: a tree or commit that has most of them."""
        files = list(entries)
        if like and (made := listings.rebuilt(files, self.listing(like), self._write_folder)):
            return self._remembered(*made)
        return self._write_tree(files)

    def _write_folder(self, body: bytes) -> str:
        return write_object(self.git_dir, "tree", body)

    def _remembered(self, tree: str, listing: listings.Listing) -> str:
        self._tell(("listing", tree), listing, listing.weight)
        self._tell(("tree", tree), tree)
        return tree

    def _write_tree(self, entries: Iterable[TreeEntry]) -> str:
        index = self.git_dir / "tmp" / uuid.uuid4().hex
        lines = b"".join(
            f"{entry.mode} {entry.blob}\t{entry.path}\0".encode(errors="surrogateescape")
            for entry in entries
        )
        extra = {"GIT_INDEX_FILE": str(index)}
        try:
            done = run_git(
                "update-index", "-z", "--index-info", git_dir=self.git_dir, given=lines, extra=extra
            )
            if done.stderr:  # it leaves out names it finds unsafe, and goes on
                raise exceptions.GitFailed(f"git update-index: {done.stderr.decode()[:300]}")
            return run_git("write-tree", git_dir=self.git_dir, extra=extra).stdout.decode().strip()
        finally:
            index.unlink(missing_ok=True)


def _light(_: object) -> int:
    return 1
