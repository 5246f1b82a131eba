"""In which order the files of a change are read: what may do harm first, what tools wrote last."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from agents.workspace.paths import matches
from approvals import risk

if TYPE_CHECKING:
    from collections.abc import Collection

_GRAVE = [*risk.CI, *risk.SECRETS, *risk.MIGRATIONS, *risk.BUILD]
# As GitHub's linguist names them: nobody wrote these lines, and nobody reads them one by one.
_GENERATED = [
    *risk.LOCKS,
    *("**/*.min.js", "**/*.min.css", "**/*.map", "**/*.snap"),
    *("**/*_pb2.py", "**/*_pb2_grpc.py", "**/*.pb.go", "**/node_modules/**", "**/vendor/**"),
    *("**/dist/**", "**/__generated__/**", "**/generated/**", "**/__snapshots__/**"),
]
_LAST = 3


def in_order(sealed: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the sealed files: those with a warning or a grave path, others, tests, generated ones."""
    warned = {warning["path"] for warning in sealed["warnings"]}
    return sorted(sealed["files"], key=lambda file: _rank(file["path"], warned))


def is_generated(path: str, warned: Collection[str]) -> bool:
    """Tell whether a tool wrote a file; one with a warning is read like any other."""
    return path not in warned and _rank_of(path) == _LAST


def _rank(path: str, warned: Collection[str]) -> int:
    return 0 if path in warned else _rank_of(path)


# Seventy globs for each file, asked again by all that names a place on the page.
@lru_cache(maxsize=20_000)
def _rank_of(path: str) -> int:
    if matches(path, _GRAVE):
        return 0
    if matches(path, _GENERATED):
        return _LAST
    return 2 if matches(path, risk.TESTS) else 1
