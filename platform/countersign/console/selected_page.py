"""Several approvals that were picked in the inbox, before they are signed and after."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.http import Http404
from django.urls import reverse

from agents.lifecycle import TaskState
from approvals import bulk, deadlines
from approvals.exceptions import UnknownApproval
from approvals.lifecycle import EffectState
from approvals.models import Approval, Effect, EffectKind
from approvals.requirements import Required
from countersign.console import held, spans
from countersign.console.checks import Checks, checks_of
from countersign.console.rendering import mine_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from approvals.bulk import Result, Selection
    from countersign.console.requests import PersonRequest
    from projects.models import User

_KEPT = "decided_together"  # in the session: what became of the last ones
_MOST = 2 * bulk.MOST  # picked; more are refused in words, far more are no selection


@dataclass(frozen=True, kw_only=True)
class Row:
    """One of them, from its seal."""

    approval: Approval
    title: str
    effect: dict[str, Any]
    checks: Checks | None
    why: str  # it cannot be approved with the others
    without: str  # the address of the others


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one, and whether it can still be taken back."""

    approval: Approval
    outcome: str
    said: str
    undo_until: Any = None
    hold_until: str = ""  # what it waits for meanwhile, if a hold keeps it from being carried out
    turn: str = ""  # when another of them lands first


def picked(values: Iterable[str]) -> list[uuid.UUID]:
    """Return the keys in an address or a form; raises Http404 for what is no key, or too many."""
    try:
        keys = list(dict.fromkeys(uuid.UUID(value) for value in values))
    except ValueError:
        raise Http404 from None
    if not keys or len(keys) > _MOST:
        raise Http404
    return keys


def look(request: PersonRequest, keys: Sequence[uuid.UUID]) -> Selection:
    """Return the selection as it is now; foreign and unknown ones are a 404."""
    try:
        return bulk.look(request.user, keys, mine_of(request))
    except UnknownApproval:
        raise Http404 from None


def link(name: str, keys: Iterable[uuid.UUID] = (), *, back: str) -> str:
    """Return the address of a page of a selection that leads back there; of the whole inbox it is silent."""
    query = _query(keys, back)
    return f"{reverse(name)}?{query}" if query else reverse(name)


def shown(selection: Selection, user: User, back: str) -> dict[str, Any]:
    """Return what the bar and the page say of a selection, and where they lead back to."""
    waiting = selection.waiting
    rows = [_row(each, selection, back) for each in waiting]
    merges = bool(rows) and rows[0].effect.get("kind") == EffectKind.GIT_MERGE
    return {
        "selection": selection,
        "rows": rows,
        "effect": rows[0].effect if rows else {},
        "moves_main": merges and len(rows) > 1,
        "holds": all(Required.sealed(each.snapshot).hold for each in waiting),
        "undo_seconds": min((e.snapshot["policy"]["undo_seconds"] for e in waiting), default=0),
        "offers": spans.offered_of_all(waiting, user),
        "address": _query((each.pk for each in waiting), back),
        "back": back,
    }


def _row(approval: Approval, selection: Selection, back: str) -> Row:
    sealed = approval.snapshot
    others = [each.pk for each in selection.waiting if each != approval]
    return Row(
        approval=approval,
        title=sealed["proposal"]["title"],
        effect=sealed["effects"][0] if sealed["effects"] else {},
        checks=checks_of(sealed["checks"]) if sealed["checks"] else None,
        why=selection.blocked.get(approval.pk, ""),
        without=_query(others, back) if others else "",
    )


def _query(keys: Iterable[uuid.UUID], back: str) -> str:
    onward = [("next", back)] if back != reverse("console:inbox") else []
    return urlencode([*(("pick", str(key)) for key in keys), *onward])


def keep(request: PersonRequest, results: Sequence[Result]) -> None:
    """Remember what became of them until the next time."""
    request.session[_KEPT] = [[str(e.approval.pk), e.outcome, e.said] for e in results]


def outcomes(request: PersonRequest) -> list[Outcome]:
    """Return what became of the last ones, those that can be taken back as things are now."""
    kept: list[list[str]] = request.session.get(_KEPT, [])
    keys = [key for key, _, _ in kept]
    rows = Approval.objects.visible_to(request.user).select_related("task", "proposal")
    found = {str(each.pk): each for each in rows.defer("snapshot").filter(pk__in=keys)}
    effects = _effects(found.values())
    ends = {str(each.approval_id): each for each in effects if each.may_be_undone}
    signed = [found[key] for key, outcome, _ in kept if key in found and outcome == "approved"]
    turns = _turns(signed, effects)
    return [
        Outcome(
            approval=found[key],
            outcome=outcome,
            said=said,
            **_window(ends.get(key)),
            turn=turns.get(key, ""),
        )
        for key, outcome, said in kept
        if key in found
    ]


def _effects(approvals: Iterable[Approval]) -> list[Any]:
    return list(deadlines.with_window(Effect.objects.filter(approval__in=approvals)))


def _window(effect: Any | None) -> dict[str, Any]:
    if effect is None:
        return {}
    return {"undo_until": effect.undo_until, "hold_until": held.until_of(effect.hold_scope)}


def _turns(signed: Sequence[Approval], effects: Iterable[Any]) -> dict[str, str]:
    """Say of each that does not land as it was signed, since another moves main first, what becomes of it."""
    merges = {each.approval_id: each for each in effects if each.kind == EffectKind.GIT_MERGE}
    open_ones = [each for each in signed if each.pk in merges and _is_open(merges[each.pk])]
    first = min(open_ones, key=lambda each: merges[each.pk].undo_until, default=None)
    later = {str(each.pk): _after(first, each) for each in open_ones if first and each != first}
    return {**later, **{str(each.pk): _fallen(each) for each in signed if each.main_moved}}


def _is_open(effect: Effect) -> bool:
    return effect.state in (EffectState.PLANNED, EffectState.DOING)


def _after(first: Approval, approval: Approval) -> str:
    said = f"Once {first.task.label} has landed it is merged onto the new main and checked anew"
    if not Required.sealed(approval.outline).hold:
        return f"{said}, and waits for a signature again."
    return f"{said}, one at a time. Your signature holds unless main changed its files."


def _fallen(approval: Approval) -> str:
    """Say how far an approval is whose main has moved."""
    if approval.replaced:
        return "Main had moved: it was merged onto it and put up again."
    if approval.task.state in (TaskState.WORKING, TaskState.ASSEMBLING):
        return "Main has moved: it is being merged onto it and checked anew."
    if approval.task.state == TaskState.REVIEW:
        return "Main has moved: it is put up again when its turn comes, one at a time."
    return ""
