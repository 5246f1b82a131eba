"""In which order the files of a change are read: what may do harm first, what tools wrote last."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from agents.cautions import TESTS
from agents.workspace.paths import matches
from approvals.grave_paths import is_grave

if TYPE_CHECKING:
    from collections.abc import Collection

# Names only tools give, as GitHub's linguist knows them: nobody reads these lines one by one. What
# installs packages and people write by hand, as requirements.txt, is none of them.
_GENERATED = [
    *("**/*.lock", "**/package-lock.json", "**/pnpm-lock.yaml", "**/go.sum"),
    *("**/*.min.js", "**/*.min.css", "**/*.map", "**/*.snap"),
    *("**/*_pb2.py", "**/*_pb2_grpc.py", "**/*.pb.go"),
]
# Where tools write, and anybody else may: read last, but never folded for that.
_KEPT_APART = [
    *("**/node_modules/**", "**/vendor/**", "**/dist/**"),
    *("**/__generated__/**", "**/generated/**", "**/__snapshots__/**"),
]
_LAST, _FOLDED = 3, 4


def in_order(sealed: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the sealed files: a warning or a grave path, others, tests, generated ones."""
    warned = {warning["path"] for warning in sealed["warnings"]}
    return sorted(sealed["files"], key=lambda file: _rank(file["path"], warned))


def is_generated(path: str, warned: Collection[str]) -> bool:
    """Tell whether a tool wrote a file; one with a warning is read like any other."""
    return path not in warned and _rank_of(path) == _FOLDED


def _rank(path: str, warned: Collection[str]) -> int:
    return 0 if path in warned else _rank_of(path)


# Hundreds of globs for each file, asked again by all that names a place on the page.
@lru_cache(maxsize=20_000)
def _rank_of(path: str) -> int:
    if is_grave(path):
        return 0
    if matches(path, _GENERATED):
        return _FOLDED
    if matches(path, _KEPT_APART):
        return _LAST
    return 2 if matches(path, TESTS) else 1
