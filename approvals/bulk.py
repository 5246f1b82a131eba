"""Approving several at once: only what is small, green and the same, and each signed by itself."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agents import cautions
from approvals import deciding, rights, selectors, signing, viewing
from approvals.exceptions import (
    BulkRefused,
    DecisionConflict,
    DigestMismatch,
    UnknownApproval,
)
from approvals.lifecycle import ApprovalState, SignatureVerdict
from approvals.models import Approval, Risk, Signature, Viewed
from approvals.requirements import Required
from projects import audit, together
from projects.across import Mine
from projects.exceptions import CountersignError, InvalidInput, NotAllowed

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator, Sequence

    from projects.models import User

logger = logging.getLogger(__name__)

MOST = 20
SECONDS = 20.0  # a repository that answers slowly is asked before each: the rest is left for later
FAULT = (
    "Countersign failed at this one; the fault was logged. Look at it before you approve it again."
)
LEFT = "There was no time left for this one. It still waits; nothing was signed."


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One approval as a person saw it."""

    id: uuid.UUID
    digest: str
    nonce: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of one; `said` tells why when it is not approved."""

    approval: Approval
    outcome: str  # approved, over, changed, refused, failed or left
    said: str = ""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Some approvals as they are now, those due first, and what keeps them from one approval."""

    approvals: list[Approval]
    waiting: list[Approval]
    blocked: dict[uuid.UUID, str] = field(default_factory=dict)  # a sentence each
    different: str = ""

    @property
    def over(self) -> list[Approval]:
        """Those that do not wait for this person any more, or never did."""
        waits = {each.pk for each in self.waiting}
        return [each for each in self.approvals if each.pk not in waits]

    @property
    def allowed(self) -> bool:
        """Tell whether all that wait may be approved together."""
        return 0 < len(self.waiting) <= MOST and not self.blocked and not self.different

    @property
    def common(self) -> str:
        """Say what they have in common, or what stands in the way."""
        if reason := next(iter(self.blocked.values()), "") or self.different:
            return reason
        if len(self.waiting) > MOST:
            return f"At most {MOST} are approved at once."
        if not self.waiting:
            return "Nothing of this waits for you any more."
        word = {1: "low", 2: "both low"}.get(len(self.waiting), "all low")
        return f"{word} risk, reversible, all checks green"


def look(user: User, keys: Sequence[uuid.UUID], mine: Mine | None = None) -> Selection:
    """Return these approvals, and whether this person may approve them together.

    Raises UnknownApproval when one is not there or belongs to a project of others.
    """
    found = (
        Approval.objects.visible_to(user)
        .select_related("project", "task", "proposal", "requester")
        .filter(pk__in=keys)
        .order_by("expires_at", "pk")
    )
    approvals = list(found)
    if len(approvals) != len(set(keys)):
        raise UnknownApproval
    waits = selectors.waits_for(user, mine or Mine.of(user), keys)
    waiting = [each for each in approvals if each.pk in waits]
    return Selection(
        approvals=approvals,
        waiting=waiting,
        blocked=_blocked(user, waiting),
        different=_different(waiting),
    )


def approve(
    seen: Sequence[Seen],
    *,
    by: User,
    note: str = "",
    address: str | None = None,
    via: str = "session",
) -> list[Result]:
    """Approve each, those due first, in a transaction of its own; return what became of each.

    What is checked is what is sealed now, not what a page showed. Raises, with nothing signed,
    BulkRefused when they cannot be approved together, UnknownApproval, NotAllowed, InvalidInput and
    CannotSign. What was decided meanwhile, or is not as it was seen, changes nothing and is told. A
    fault at one is told of that one and ends none of the others.
    """
    if via != "session":
        raise NotAllowed("A token never decides. Sign in and decide in the inbox.")
    as_seen = _each_once(seen)
    signing.require_key()
    selection = look(by, list(as_seen))
    _require_allowed(selection, by)
    act = _record(selection, by, address)
    until = time.monotonic() + SECONDS
    return [
        _one(
            each,
            as_seen[each.pk],
            selection,
            by=by,
            note=note,
            address=address,
            act=act,
            until=until,
        )
        for each in selection.approvals
    ]


def _each_once(seen: Sequence[Seen]) -> dict[uuid.UUID, Seen]:
    as_seen = {each.id: each for each in seen}
    if not seen or len(seen) > MOST:
        raise InvalidInput("items", f"Name 1 to {MOST} approvals.")
    if len(as_seen) != len(seen):
        raise InvalidInput("items", "Name each approval once.")
    return as_seen


def _require_allowed(selection: Selection, by: User) -> None:
    for each in selection.over:
        if refusal := rights.why_not(each, by):
            raise NotAllowed(f"{each.task.label}: {refusal}")
    if selection.waiting and not selection.allowed:
        raise BulkRefused(f"{selection.common} Nothing was signed.")


def _record(selection: Selection, by: User, address: str | None) -> int | None:
    """Enter what is approved together; return the entry."""
    if not selection.waiting:
        return None
    project = selection.waiting[0].project
    entry = audit.record(
        "approvals.bulk",
        subject=project,
        actor=by,
        project=project,
        address=address,
        approvals=[str(each.pk) for each in selection.waiting],
    )
    return entry.pk


def _one(
    approval: Approval,
    seen: Seen,
    selection: Selection,
    *,
    by: User,
    note: str,
    address: str | None,
    act: int | None,
    until: float,
) -> Result:
    if approval in selection.over:  # it was not checked, so it is not decided either
        return Result(approval=approval, outcome="over", said=_why_over(approval, seen, by))
    if time.monotonic() > until:
        return Result(approval=approval, outcome="left", said=LEFT)
    try:
        deciding.decide(
            approval.pk,
            by=by,
            verdict=SignatureVerdict.APPROVE,
            digest=seen.digest,
            nonce=seen.nonce,
            note=note,
            address=address,
            together=act,
        )
    except CountersignError as error:
        return Result(approval=approval, outcome=_outcome(error), said=str(error))
    except Exception:  # the others are signed by themselves, and somebody waits to hear of each
        logger.exception("approving %s together with others failed", approval.pk)
        return Result(approval=approval, outcome="failed", said=FAULT)
    return Result(approval=approval, outcome="approved")


def _outcome(error: CountersignError) -> str:
    match error:
        case deciding.StaleApproval() | DigestMismatch():
            return "changed"
        case DecisionConflict():
            return "over"
    return "refused"


def _why_over(approval: Approval, seen: Seen, by: User) -> str:
    if approval.state == ApprovalState.PENDING and approval.signatures.filter(signer=by).exists():
        return deciding.SIGNED
    return str(deciding.explain(approval, digest=seen.digest, nonce=seen.nonce))


def _blocked(user: User, waiting: Sequence[Approval]) -> dict[uuid.UUID, str]:
    signed = _signed(user, waiting)
    marks = _marks(user, waiting)
    found = {}
    for each in waiting:
        if why := next(_alone(each, signed[each.pk], marks), ""):
            found[each.pk] = f"{each.task.label} {why}."
    return found


def _signed(user: User, waiting: Sequence[Approval]) -> dict[uuid.UUID, set[uuid.UUID]]:
    """Return whose signatures count, of each, if this person signs."""
    rows = Signature.objects.filter(approval__in=waiting).values_list("approval", "signer")
    signers: dict[uuid.UUID, list[uuid.UUID]] = {}
    for approval, signer in rows:
        signers.setdefault(approval, []).append(signer)
    may = {
        str(each.pk): rights.who_may(each).filter(pk__in=signers[each.pk]).only("pk")
        for each in waiting
        if each.pk in signers
    }
    found = together.read(may)
    return {each.pk: {user.pk, *(one.pk for one in found.rows(str(each.pk)))} for each in waiting}


def _marks(user: User, waiting: Sequence[Approval]) -> set[tuple[Any, str]]:
    """Return the files this person has looked at, of those that are to be looked at."""
    asking = [each for each in waiting if Required.sealed(each.snapshot).every_file]
    keys = [viewing.key_of(file) for each in asking for file in each.snapshot["files"]]
    if not keys:
        return set()
    rows = Viewed.objects.filter(person=user, project__in={e.project_id for e in asking})
    return set(rows.filter(key__in=keys).values_list("project", "key"))


def _alone(
    approval: Approval, signed: set[uuid.UUID], marks: set[tuple[Any, str]]
) -> Iterator[str]:
    """Say why this one is decided by itself, from its seal; whoever signs is in `signed`."""
    yield from _not_small(approval.snapshot)
    yield from _not_green(approval.snapshot)
    required = Required.sealed(approval.snapshot)
    if not required.bulk:
        yield "is sealed under a policy that has each decided by itself"
    for missing in required.missing(signed):
        yield f"needs {missing} besides yours"
    if required.every_file and (left := _left(approval, marks)):
        yield f"has {left} you have not viewed"


def _not_small(sealed: dict[str, Any]) -> Iterator[str]:
    if sealed["risk"]["level"] != Risk.LOW:
        yield f"is {sealed['risk']['level']} risk, so it is decided on its own page"
    if any(effect["kind"] == "deliver" for effect in sealed["effects"]):
        yield "is a report, which is decided by itself"
    elif not sealed["effects"] or not all(each.get("reversible") for each in sealed["effects"]):
        yield "cannot be undone"


def _not_green(sealed: dict[str, Any]) -> Iterator[str]:
    if not _green(sealed["checks"]):
        yield "has no checks that passed"
    if any(claim["verdict"] == "contradicted" for claim in sealed["claims"]):
        yield "has a claim that our own check contradicts"
    if kinds := sorted((warning["kind"] for warning in sealed["warnings"]), key=cautions.rank):
        yield f"carries a warning ({kinds[0].replace('_', ' ')})"


def _green(checks: dict[str, Any]) -> bool:
    passed = checks.get("ran") and checks.get("exit_code") == 0
    return bool(passed and not checks.get("failed") and not checks.get("timed_out"))


def _left(approval: Approval, marks: set[tuple[Any, str]]) -> str:
    files = approval.snapshot["files"]
    left = sum((approval.project_id, viewing.key_of(file)) not in marks for file in files)
    return "" if not left else "1 file" if left == 1 else f"{left} files"


def _different(waiting: Sequence[Approval]) -> str:
    """Say which of them does something else than the first: another effect, or elsewhere."""
    for each in waiting[1:]:
        if _does(each) != _does(waiting[0]):
            first = waiting[0].task.label
            return f"{each.task.label} does something else than {first}, or does it elsewhere."
    return ""


def _does(approval: Approval) -> list[tuple[Any, ...]]:
    """Return what is done and where: kind, project, and branch, person or tool."""
    names = ("kind", "repository", "branch", "to_id", "server", "tool")
    return [
        (approval.project_id, *(effect.get(name) for name in names))
        for effect in approval.snapshot["effects"]
    ]
