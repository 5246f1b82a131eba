"""Proves that what will be carried out is what was signed, by people who may still sign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Q

from agents import cautions
from approvals import signing, snapshots, standing_in
from approvals.exceptions import NotCarriedOut, Refused
from approvals.lifecycle import ApprovalState, SignatureVerdict
from approvals.models import Effect
from approvals.proving import drift, followed_by, require_given, require_sealed
from approvals.requirements import Required
from approvals.rights import why_not
from projects.models import AuditEntry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from agents.workspace.diffs import FileDiff, HunkDiff
    from agents.workspace.git import Store
    from approvals.models import Approval
    from approvals.origins import Marked
    from projects.models import User

_FILE_FIELDS = (
    "old_path",
    "status",
    "binary",
    "added",
    "removed",
    "old_mode",
    "new_mode",
    "old_blob",
    "new_blob",
)
_TAKEN_BACK = (
    *("approval.undone", "approval.withdrawn", "approval.stale", "approval.expired"),
    *("approval.edited", "approval.reject", "approval.request_changes"),
)
# Of what an approval follows; that it fell stale is why there is one that follows.
_DECIDED_OTHERWISE = tuple(act for act in _TAKEN_BACK if act != "approval.stale")
_OVER = ("effect.done", "effect.stale")
_HUNK_FIELDS = ("old_start", "old_lines", "new_start", "new_lines", "section", "text")


@dataclass(frozen=True, kw_only=True)
class Proven:
    """What was proven of an effect: what its approval follows, nearest first, and who signed it."""

    followed: list[Approval]
    signers: set[UUID]  # those whose signatures counted


def require_signed(effect: Effect) -> Proven:
    """Return what was proven; raise Refused, naming the field, unless the rows say what was signed."""
    approval = effect.approval
    if approval.state != ApprovalState.APPROVED:
        raise Refused(f"The approval is {approval.state}, so nothing was carried out.")
    require_sealed(approval)
    sealed_effects = approval.snapshot["effects"]
    if (
        effect.position >= len(sealed_effects)
        or effect.arguments != sealed_effects[effect.position]
    ):
        raise drift("the effect's arguments")
    if effect.kind != effect.arguments["kind"]:
        raise drift("the effect's kind")
    followed = followed_by(approval)
    signers = _require_signers(approval)
    _require_open(effect, followed)
    return Proven(followed=followed, signers=signers)


def _require_open(effect: Effect, followed: Sequence[Approval]) -> None:
    """Raise NotCarriedOut when it was done, or what was signed was taken back, by the audit log.

    Rows can be set back by whoever may write them, with marks that are genuine; the log is chained
    and anchored elsewhere.
    """
    ends = Q(object_id=str(effect.approval_id), action__in=_TAKEN_BACK)
    ends |= Q(object_id=str(effect.pk), action__in=_OVER)
    before = [each.pk for each in followed]
    ends |= Q(object_id__in=[str(pk) for pk in before], action__in=_DECIDED_OTHERWISE)
    done = Effect.objects.filter(approval__in=before).values_list("pk", flat=True)
    ends |= Q(object_id__in=[str(pk) for pk in done], action="effect.done")
    if end := AuditEntry.objects.filter(ends).order_by("id").first():
        raise NotCarriedOut(
            f"The audit log says {end.action} of this, at {end.at:%Y-%m-%d %H:%M:%S} UTC, and yet it "
            "was to be carried out. Nothing was done now. Somebody may have changed rows by hand: "
            "compare them with the audit log."
        )


def _require_signers(approval: Approval) -> set[UUID]:
    """Return who signed; raise Refused unless they are enough, cover this digest and may still sign.

    Those of others are passed over, as they were when it was decided; not that of who decided it.
    """
    rows = approval.signatures.filter(verdict=SignatureVerdict.APPROVE).select_related("signer")
    required = Required.now(approval)
    signers: set[UUID] = set()
    stood_for: set[UUID] = set()
    lapsed: list[str] = []
    for signature in rows:
        if (signature.digest, signature.nonce) != (approval.digest, approval.nonce):
            raise drift(f"the signature of {signature.signer.display_name}")
        if why_not(approval, signature.signer):
            lapsed.append(signature.signer.display_name)
            continue
        _require_mark(require_given(signature, approval), signature.signer)
        if required.every_file and not signature.every_file_viewed:
            raise Refused(
                f"{signature.signer.display_name} signed without having viewed every file, as the "
                "policy asks. Nothing was carried out; propose it again for another signature."
            )
        signers.add(signature.signer_id)
        stood_for |= standing_in.proven(signature, approval)
    missing = required.missing(signers, stood_for)
    if lapsed and (missing or approval.decided_by_id not in signers):
        raise Refused(
            f"{' and '.join(lapsed)} signed this but may no longer sign. "
            "Nothing was carried out; propose it again for another signature."
        )
    if missing:
        raise Refused(f"It still needs {' and '.join(missing)}. Nothing was done.")
    if approval.decided_by_id not in signers:
        raise drift("who decided it and who signed it")
    return signers


def _require_mark(original: Marked, signer: User) -> None:
    who = signer.display_name
    if original.mark and not signing.is_known(original):
        raise NotCarriedOut(
            f"This worker does not know the key {original.key!a} with which the signature of {who} "
            "was marked. Nothing was carried out; give it COUNTERSIGN_SIGNING_PUBLIC_KEYS, start it "
            "again and let it try again."
        )
    if not signing.is_marked(original):
        raise Refused(
            f"The signature of {who} does not carry the mark of a key of this console. "
            "Nothing was carried out; propose it again for another signature."
        )


def require_same_report(effect: Effect) -> None:
    """Raise Refused unless the stored report is the sealed one, to the letter."""
    approval = effect.approval
    sealed, stored = approval.snapshot["proposal"], approval.proposal
    for name in ("kind", "title", "summary", "report"):
        if sealed[name] != getattr(stored, name):
            raise drift(f"the {name} of what was to be delivered")


def require_same_objects(store: Store, approval: Approval, sealed: dict[str, Any]) -> None:
    """Raise Refused unless git's own objects are the sealed ones, hunk for hunk."""
    if not snapshots.same_repository(approval.project, sealed):
        raise drift("the project's repository or branch")
    if store.tree_of(sealed["head"]) != sealed["tree"]:
        raise drift("the tree of the sealed commit")
    shown = {file["path"]: file for file in approval.snapshot["files"]}
    actual = {
        cautions.shown(diff.path): diff for diff in store.diff(sealed["base"], sealed["tree"])
    }
    differing = sorted(set(shown) ^ set(actual))
    if differing:
        raise drift(f"the list of files ({differing[0]})")
    for path, diff in actual.items():
        _require_same_file(shown[path], diff)
    totals = {
        "files": len(shown),
        "added": sum(diff.added for diff in actual.values()),
        "removed": sum(diff.removed for diff in actual.values()),
    }
    for name, value in totals.items():
        if sealed[name] != value:
            raise drift(f"the number of {name}")


def _require_same_file(shown: dict[str, Any], diff: FileDiff) -> None:
    for name in _FILE_FIELDS:
        value = getattr(diff, name)
        if shown[name] != (cautions.shown(value) if name == "old_path" else value):
            raise drift(f"{name} of {shown['path']}")
    if [_facts(hunk) for hunk in diff.hunks] != [
        {name: hunk[name] for name in _HUNK_FIELDS} for hunk in shown["hunks"]
    ]:
        raise drift(f"the hunks of {shown['path']}")


def _facts(hunk: HunkDiff) -> dict[str, Any]:
    return {name: getattr(hunk, name) for name in _HUNK_FIELDS}
