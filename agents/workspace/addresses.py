"""Where a repository is: a folder of this machine or a URL; what is refused before git sees it."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from agents.workspace.exceptions import RepositoryUnreachable

# http is allowed for servers of an intranet; ext, fd and other helpers would run commands.
PROTOCOLS = ("file", "https", "http", "ssh")
_BRANCH = re.compile(
    r"(?!-)(?!.*(?:\.\.|//|@\{|\.lock(?:/|\Z)|/\.|[\x00-\x20\x7f~^:?*\[\\]))[^/.].*"
)


def folder_of(repository: str) -> Path | None:
    """Return the folder of a local repository, None for a remote; refuses the rest."""
    if not repository or repository.startswith("-") or not repository.isprintable():
        raise RepositoryUnreachable(_refusal(repository, "it is not a path or URL"))
    if re.match(r"[A-Za-z0-9+.-]+::", repository):
        raise RepositoryUnreachable(_refusal(repository, "transport helpers run commands"))
    if "://" in repository:
        return _folder_of_url(repository)
    # git reads host:path as ssh unless a slash comes first.
    head, colon, _ = repository.partition(":")
    if colon and "/" not in head:
        if head.rpartition("@")[2].startswith("-"):
            raise RepositoryUnreachable(_refusal(repository, "its host begins with a hyphen"))
        return None
    return Path(repository).absolute()


def _folder_of_url(url: str) -> Path | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise RepositoryUnreachable(_refusal(url, "it is not a valid URL")) from None
    if parts.scheme not in PROTOCOLS:
        allowed = ", ".join(PROTOCOLS)
        raise RepositoryUnreachable(_refusal(url, f"only {allowed} and folders are allowed"))
    if parts.scheme == "file":
        return Path(unquote(parts.path)).absolute()
    if not parts.hostname or parts.hostname.startswith("-"):
        raise RepositoryUnreachable(_refusal(url, "its host name is not valid"))
    return None


def check_branch(name: str) -> str:
    """Return the name of a branch, refusing what git would refuse or read as an option."""
    if not _BRANCH.fullmatch(name) or name.endswith(("/", ".")) or name == "@":
        raise RepositoryUnreachable(f"{name!r} is not a valid branch name.")
    return name


def without_secrets(text: str) -> str:
    """Return the text without user names and passwords in URLs."""
    return re.sub(r"(\w+://)[^/@\s]+@", r"\1…@", text)


def _refusal(repository: str, why: str) -> str:
    shown = without_secrets(repository)[:200]
    return f"The repository address {shown!r} is refused: {why}."
