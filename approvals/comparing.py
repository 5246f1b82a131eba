"""Merges changes that wait for a signature with each other, to foresee which cannot both land."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations, islice
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from agents import cautions
from agents.models import FileChange
from agents.models.proposals import ProposalKind
from agents.workspace.exceptions import GitFailed
from agents.workspace.git import Store
from approvals.lifecycle import ApprovalState
from approvals.models import Approval, Collision
from projects.models import Project

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Iterator

logger = logging.getLogger(__name__)

# Of one project; all pairs of 200,000 could not be compared, and nobody reads so many.
DUE_FIRST, NEWEST = 100, 50
PAIRS = 200  # merged at one look at a project
PATHS = 20  # named of one collision
TRIES = 3  # with a pair git cannot merge: an object may be missing, or only git be away

Pair = tuple["_Change", "_Change"]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class _Change:
    """One that waits."""

    approval: uuid.UUID
    proposal: uuid.UUID = field(compare=False)
    head: str = field(compare=False)


@dataclass(slots=True)
class Compared:
    """What was compared in one project; forgotten with the process, for it is soon done again."""

    waiting: tuple[_Change, ...] = ()
    pairs: set[Pair] = field(default_factory=set)
    failed: Counter[Pair] = field(default_factory=Counter)
    complete: bool = False


Known = dict["uuid.UUID", Compared]  # by project


def compare(known: Known, *, stop: Callable[[], bool] = lambda: False) -> int:
    """Write down which changes collide; return how many pairs were found.

    `known` is brought up to date; begin with none. `stop` is asked before each pair. Two processes may do this at once: a pair is written once.
    """
    waiting = Approval.objects.filter(state=ApprovalState.PENDING)
    busy = Project.objects.filter(pk__in=waiting.values("project"), archived_at=None)
    found = 0
    for project in busy.exclude(repository=""):
        if not stop():
            found += _compare(project, known.setdefault(project.pk, Compared()), stop)
    return found


def _compare(project: Project, known: Compared, stop: Callable[[], bool]) -> int:
    waiting = _waiting(project)
    if known.complete and waiting == known.waiting:
        return 0
    pairs = set(_touching(waiting))
    known.waiting, known.pairs = waiting, known.pairs & pairs
    left = list(islice((pair for pair in sorted(pairs) if pair not in known.pairs), PAIRS))
    known.complete = len(known.pairs) + len(left) == len(pairs)
    store, found = Store.of(project), []
    for pair in left:
        if stop():
            known.complete = False
            break
        try:
            found += _collision(store, pair)
        except GitFailed as error:
            _note_failure(known, pair, error)
        else:
            known.pairs.add(pair)
    return len(Collision.objects.bulk_create(found, ignore_conflicts=True))


def _note_failure(known: Compared, pair: Pair, error: GitFailed) -> None:
    known.failed[pair] += 1
    if known.failed[pair] < TRIES:
        known.complete = False
        return
    known.pairs.add(pair)
    logger.warning("%s and %s cannot be compared: %s", pair[0].approval, pair[1].approval, error)


def _waiting(project: Project) -> tuple[_Change, ...]:
    pending = Approval.objects.filter(
        project=project, state=ApprovalState.PENDING, proposal__kind=ProposalKind.CHANGE
    )
    rows = pending.values_list("pk", "proposal", "proposal__head_commit")
    some = {*rows.order_by("expires_at", "id")[:DUE_FIRST], *rows.order_by("-id")[:NEWEST]}
    return tuple(
        sorted(
            _Change(approval=approval, proposal=proposal, head=head)
            for approval, proposal, head in some
        )
    )


def _touching(waiting: tuple[_Change, ...]) -> Iterator[Pair]:
    """Yield the pairs that touch a file of the same name, or one's file is the other's folder; the
    older first."""
    changes = {change.proposal: change for change in waiting}
    by_path: dict[str, set[_Change]] = {}
    files = FileChange.objects.filter(proposal__in=changes)
    for proposal, *paths in files.values_list("proposal", "path", "old_path"):
        for path in filter(None, paths):
            by_path.setdefault(path, set()).add(changes[proposal])
    for path, touching in by_path.items():
        folders = (by_path.get(str(folder), set()) for folder in PurePosixPath(path).parents)
        yield from combinations(sorted(touching.union(*folders)), 2)


def _collision(store: Store, pair: Pair) -> list[Collision]:
    one, other = pair
    conflicts = store.merge(one.head, other.head).conflicts
    paths = [cautions.shown(path) for path in conflicts[:PATHS]]
    if not paths:
        return []
    return [Collision(one_id=one.approval, other_id=other.approval, paths=paths)]
