"""The text of a commit: the same facts make the same commit, whoever writes it and how often."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import takewhile
from typing import TYPE_CHECKING

from agents.workspace.commands import check_sha

if TYPE_CHECKING:
    from collections.abc import Sequence


_PARENT = re.compile(rb"parent ([0-9a-f]{40})")


def body(
    tree: str, *, parents: Sequence[str], message: str, author: str, at: datetime | None
) -> bytes:
    """Return the body of a commit object; without a moment, of now."""
    moment = f"{int((at or datetime.now(UTC)).timestamp())} +0000"
    name = re.sub(r"[<>\x00-\x1f\x7f]", "", author).strip(" .,:;'\"") or "Agent"
    mailbox = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "agent"
    lines = [f"tree {check_sha(tree)}", *(f"parent {check_sha(each)}" for each in parents)]
    lines.append(f"author {name} <{mailbox}@countersign.invalid> {moment}")
    lines.append(f"committer Countersign <platform@countersign.invalid> {moment}")
    return ("\n".join(lines) + "\n\n" + message.replace("\0", "").strip("\n") + "\n").encode()


def parents_of(found: tuple[str, bytes] | None) -> tuple[str, ...] | None:
    """Return the parents an object names as git reads them; None when it is no commit, or not there.

    Directly after the tree and nowhere else: what an author wrote below makes nobody a parent.
    """
    if found is None or found[0] != "commit":
        return None
    head = found[1].partition(b"\n\n")[0].split(b"\n")[1:]
    lines = list(takewhile(lambda line: line.startswith(b"parent"), head))
    names = [_PARENT.fullmatch(line) for line in lines]
    return None if None in names else tuple(name[1].decode() for name in names if name)
