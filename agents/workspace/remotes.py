"""The repository a project names: fetch from it, ask it, and move its main by compare-and-swap."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from typing import TYPE_CHECKING

from agents.workspace.addresses import check_branch, folder_of, without_secrets
from agents.workspace.commands import run_git
from agents.workspace.exceptions import (
    GitFailed,
    MainMoved,
    NoSuchBranch,
    PushRefused,
    RepositoryUnreachable,
)

if TYPE_CHECKING:
    from pathlib import Path

REMOTE_SECONDS = 120
FETCH_SECONDS = 900  # the first fetch of a big repository takes its time
_REFUSED = re.compile(r"^!\t.*?\[.*?\] \((.*)\)$", re.MULTILINE)
# A server says "not our ref" of a commit that none of its branches holds.
_NO_REF = re.compile(r"find remote ref|not our ref|remote did not send all necessary objects")
_PACKED_BYTES = 4 * 1024**2  # of a repository with very many branches; git reads it faster
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_DIRTY = re.compile(r"(?:unstaged|staged|uncommitted) changes|would be overwritten|not uptodate")


class Remote:
    """One branch of one repository: a bare or working folder here, or a URL."""

    def __init__(self, repository: str, main: str) -> None:
        self.folder = folder_of(repository)
        self.address = str(self.folder) if self.folder else repository
        self.branch = f"refs/heads/{check_branch(main)}"
        self.main = main

    def fetch(self, git_dir: Path, *, into: str, named: str = "") -> None:
        """Fetch the branch, or another branch or commit id, into a ref of ours."""
        wanted = self._named(named) if named else self.branch
        self._ask(
            git_dir,
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--no-auto-maintenance",
            *self._program("upload-pack"),
            "--",
            self.address,
            f"+{wanted}:{into}",
        )

    def _named(self, name: str) -> str:
        if _COMMIT.fullmatch(name):
            return name
        try:
            return f"refs/heads/{check_branch(name.removeprefix('refs/heads/'))}"
        except RepositoryUnreachable as error:
            raise NoSuchBranch(str(error)) from error

    def head(self, git_dir: Path) -> str:
        """Return where the branch is now."""
        program = self._program("upload-pack")
        answer = self._ask(git_dir, "ls-remote", *program, "--", self.address, self.branch)
        for line in answer.splitlines():
            sha, _, name = line.partition("\t")
            if name == self.branch:
                return sha
        raise NoSuchBranch(self._no_branch())

    def head_on_disk(self) -> str:
        """Return where the branch of a folder here is, or nothing where its files do not say so.

        Reading two files in place of starting three processes, each time a task begins. Nothing is
        said of a remote, of another way to store branches, or of a branch that is not there.
        """
        if self.folder is None:
            return ""
        inner = self.folder / ".git"  # where git itself looks first
        git_dir = inner if inner.is_dir() else self.folder
        with contextlib.suppress(OSError, ValueError):
            if not (git_dir / "HEAD").is_file():
                return ""
            head = _loose(git_dir / self.branch)
            return _packed(git_dir / "packed-refs", self.branch) if head is None else head
        return ""

    def push(self, git_dir: Path, new: str, *, expected: str) -> None:
        """Move the branch from `expected` to `new` or change nothing.

        Raises MainMoved and PushRefused when it surely did not move, RepositoryUnreachable when
        nobody can tell: a push that was cut off may still land.
        """
        self._require_folder()
        self._refuse_programs(git_dir)
        try:
            self._push(git_dir, new, expected)
        except GitFailed as failure:
            self._settle(git_dir, new, expected, failure)

    def _settle(self, git_dir: Path, new: str, expected: str, failure: GitFailed) -> None:
        try:
            actual = self.head(git_dir)
        except RepositoryUnreachable:
            raise RepositoryUnreachable(self._uncertain(failure)) from failure
        if actual == new:
            return  # it landed, only the answer was lost
        if actual != expected:
            raise MainMoved(actual) from failure
        if not _REFUSED.search(str(failure)):
            raise RepositoryUnreachable(self._uncertain(failure)) from failure
        raise PushRefused(_refusal(str(failure))) from failure

    def _push(self, git_dir: Path, new: str, expected: str) -> None:
        done = run_git(
            "push",
            "--porcelain",
            "--no-verify",
            "--no-follow-tags",
            "--recurse-submodules=no",
            f"--force-with-lease={self.branch}:{expected}",
            *self._program("receive-pack"),
            "--",
            self.address,
            f"{new}:{self.branch}",
            git_dir=git_dir,
            seconds=REMOTE_SECONDS,
            fine=(0, 1),
        )
        if done.returncode:
            # The reason of a refusal is on standard output, a fault is on standard error.
            raise GitFailed((done.stdout + done.stderr).decode(errors="replace"))

    def _ask(self, git_dir: Path, *arguments: str) -> str:
        self._require_folder()
        try:
            seconds = FETCH_SECONDS if arguments[0] == "fetch" else REMOTE_SECONDS
            done = run_git(*arguments, git_dir=git_dir, seconds=seconds)
        except GitFailed as failure:
            if _NO_REF.search(str(failure)):
                raise NoSuchBranch(self._no_branch()) from failure
            raise RepositoryUnreachable(self._unreachable(str(failure))) from failure
        return done.stdout.decode(errors="replace")

    def _program(self, name: str) -> list[str]:
        """Return how the other side of a local repository is started.

        It would read that repository's configuration and hooks: hooks and the file monitor are
        off, and the repository may belong to another user (safe.directory, for this folder only).
        """
        if not self.folder:
            return []
        real = os.path.realpath(self.folder)
        options = [
            "core.hooksPath=/dev/null",
            "core.fsmonitor=false",
            "receive.autogc=false",
            "receive.denyCurrentBranch=updateInstead",
            *(f"safe.directory={path}" for path in {str(self.folder), real, f"{real}/.git"}),
        ]
        flags = " ".join(f"-c {shlex.quote(option)}" for option in options)
        return [f"--{name}=git {flags} {name}"]

    def _refuse_programs(self, git_dir: Path) -> None:
        """Refuse a working repository whose own configuration would run programs on our push."""
        if not self.folder or not (self.folder / ".git").exists():
            return
        done = run_git(
            "config",
            "--includes",
            "--name-only",
            "--get-regexp",
            r"^filter\..*\.(smudge|clean|process)$",
            git_dir=self.folder / ".git",
            fine=(0, 1),
        )
        names = done.stdout.decode(errors="replace").split()
        if names:
            raise PushRefused(
                f"The configuration of the working repository runs programs ({names[0][:80]}). "
                "Nothing was merged; name a bare repository instead."
            )

    def _require_folder(self) -> None:
        if self.folder and not self.folder.is_dir():
            raise RepositoryUnreachable(self._unreachable("there is no such folder"))

    def _uncertain(self, failure: GitFailed) -> str:
        shown = without_secrets(self.address)
        return (
            f"The repository {shown} stopped answering while {self.main} was being moved "
            f"({_printable(str(failure))}). Whether it moved is not known yet."
        )

    def _unreachable(self, why: str) -> str:
        shown = without_secrets(self.address)
        return f"The repository {shown} cannot be reached: {why}. Nothing was changed."

    def _no_branch(self) -> str:
        shown = without_secrets(self.address)
        return f"The repository {shown} has no branch {self.main}. Check the project's main branch."


def _loose(file: Path) -> str | None:
    """Return the commit a loose branch names, None when there is no such file."""
    try:
        said = file.read_text("ascii").strip()
    except FileNotFoundError:
        return None
    return said if _COMMIT.fullmatch(said) else ""


def _packed(file: Path, branch: str) -> str:
    if file.stat().st_size > _PACKED_BYTES:
        return ""
    for line in file.read_text("utf-8").splitlines():
        sha, _, name = line.partition(" ")
        if name == branch and _COMMIT.fullmatch(sha):
            return sha
    return ""


def _refusal(said: str) -> str:
    if _DIRTY.search(said):
        return (
            "The working repository has changes that are not committed. Nothing was merged; "
            "commit or set them aside there, then approve again."
        )
    reason = _REFUSED.search(said)
    detail = _printable(reason[1] if reason else said)
    return f"The repository refused the change: {detail}. Nothing was merged."


def _printable(said: str) -> str:
    return re.sub(r"[^\x20-\x7e]", "?", without_secrets(said.strip()))[-300:]
