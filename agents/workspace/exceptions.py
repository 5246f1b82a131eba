"""What can go wrong with a repository, a workspace or the sandbox."""

from __future__ import annotations

from projects.exceptions import CountersignError


class GitFailed(CountersignError):
    """Git could not do this."""


class RepositoryUnreachable(CountersignError):
    """The repository cannot be reached. Nothing was changed; check its address and try again."""


class NoSuchBranch(CountersignError):
    """The repository has no such branch. Check the project's main branch."""


class MainMoved(CountersignError):
    """The main branch has moved. Nothing was merged; propose again on the new main."""

    def __init__(self, actual: str) -> None:
        super().__init__()
        self.actual = actual


class PushRefused(CountersignError):
    """The repository refused the change. Nothing was merged."""


class DangerousPath(CountersignError):
    """The repository holds a path that cannot be written safely."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"The path {path!r} is refused: {why}.")
        self.path = path


class TooLarge(CountersignError):
    """The repository is too large for a workspace (200,000 files or 1 GiB). Nothing was changed."""


class PathRefused(CountersignError):
    """This path cannot be used here."""


class SandboxUnavailable(CountersignError):
    """No sandbox is usable, so no repository code is run: install bubblewrap or ask an admin."""
