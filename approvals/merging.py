"""The effect git.merge: one deterministic commit, put on main by compare-and-swap."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from agents import holds
from agents.workspace.exceptions import (
    GitFailed,
    MainMoved,
    NoSuchBranch,
    PushRefused,
    RepositoryUnreachable,
)
from agents.workspace.git import Store
from approvals import verifying
from approvals.exceptions import NotNow
from approvals.lifecycle import SignatureVerdict
from approvals.proving import drift
from projects.failpoints import failpoint

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from uuid import UUID

    from approvals.models import Approval, Effect
    from approvals.verifying import Proven

TRAILER = "Countersign-Approval"
_FORGED = re.compile(r"^(?=(?:countersign-[\w-]+|approved-by)\s*:)", re.IGNORECASE | re.MULTILINE)


def merge(effect: Effect) -> dict[str, Any]:
    """Put the sealed change on main exactly once and return what was done.

    Safe to call again after a crash at any point: it looks for its own trailer first, the commit
    is the same each time, and main moves only from the sealed base. Raises MainMoved or Refused
    (surely not merged), NotNow (a person holds it), or one of NOT_MERGED: then `effect.sent_at`
    tells whether it may have landed all the same.
    """
    approval, sealed = effect.approval, effect.arguments
    store = Store.of(approval.project, from_disk=True)
    main = store.fetch()
    if main != sealed["base"]:
        return _landed_before(store, approval, sealed, main)
    if holds.held(approval.task):
        raise NotNow  # it was looked for; the rest only serves to push it
    proven = verifying.require_signed(effect)
    verifying.require_same_objects(store, approval, sealed)
    _require_onward(store, sealed, proven.followed)
    commit = _commit(store, approval, sealed, proven)
    if not effect.note_sent():
        raise NotNow
    failpoint("effect.sent")
    try:
        store.push_main(commit, expected=sealed["base"])
    except MainMoved as moved:
        return _landed_before(store, approval, sealed, moved.actual)
    failpoint("effect.pushed")
    return _result(commit, sealed)


def _require_onward(store: Store, sealed: dict[str, Any], followed: Sequence[Approval]) -> None:
    """Raise Refused unless main only went on since it was signed, and has none of it yet."""
    if not followed:
        return
    (first,) = followed[-1].snapshot["effects"]
    if not store.is_ancestor(first["base"], sealed["base"]):
        raise drift("the main it was signed on and the main of now")
    landed = set(store.trailers_on_main(TRAILER, since=first["base"]))
    if landed & {str(each.pk) for each in followed}:
        raise drift("what landed before and what is to land")


def _signed_head(sealed: dict[str, Any], followed: Sequence[Approval]) -> str:
    """Return the commits people signed. Those that merged them onto main since nobody has seen: they
    proved the tree, and do not come in behind it.
    """
    if not followed:
        return str(sealed["head"])
    (first,) = followed[-1].snapshot["effects"]
    return str(first["head"])


def _commit(store: Store, approval: Approval, sealed: dict[str, Any], proven: Proven) -> str:
    """Write the merge commit; the same approval, signed by the same, always gives the same commit."""
    return store.commit(
        sealed["tree"],
        parents=[sealed["base"], _signed_head(sealed, proven.followed)],
        message=_message(approval, proven.signers),
        author="Countersign",
        at=approval.decided_at,
    )


def _message(approval: Approval, signers: Collection[UUID]) -> str:
    """Return the commit message: what was signed, then as trailers whose signatures counted."""
    snapshot = approval.snapshot
    signed = (
        approval.signatures.filter(verdict=SignatureVerdict.APPROVE, signer__in=signers)
        .select_related("signer")
        .order_by("at", "id")
    )
    trailers = [
        f"Countersign-Task: {snapshot['task']['label']}",
        f"{TRAILER}: {approval.pk}",
        *(
            f"Approved-by: {_line(f'{s.signer.display_name} <{s.signer.username}>')}"
            for s in signed
        ),
    ]
    title = _unforged(_line(snapshot["proposal"]["title"]))
    summary = _unforged(snapshot["proposal"]["summary"].replace("\r", "").strip())
    return "\n\n".join(part for part in (title, summary, "\n".join(trailers)) if part)


def _landed_before(
    store: Store, approval: Approval, sealed: dict[str, Any], main: str
) -> dict[str, Any]:
    """Return the result of our own earlier push, or raise MainMoved when it was somebody else."""
    found = store.find_on_main(TRAILER, str(approval.pk))
    if found and store.tree_of(found) == sealed["tree"]:
        return _result(found, sealed)
    raise MainMoved(main)


def _result(commit: str, sealed: dict[str, Any]) -> dict[str, Any]:
    return {"commit": commit, "branch": sealed["branch"], "base": sealed["base"]}


def _line(text: str) -> str:
    return " ".join(text.split())


def _unforged(text: str) -> str:
    """Indent lines that would read as our trailers: agents write titles and summaries."""
    return _FORGED.sub("  ", text)


NOT_MERGED = (RepositoryUnreachable, NoSuchBranch, PushRefused, GitFailed)
