"""Everything the review page shows: only what was sealed, and what people did since."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from agents import cautions, holds
from agents import rounds as agent_rounds
from agents.lifecycle import TaskState
from agents.models import HoldScope
from approvals import pacing, presence, rights, routing, selectors, undoing, viewing
from approvals.lifecycle import ApprovalState, SignatureVerdict
from approvals.matching import Allowance
from approvals.requirements import Required
from countersign.console import (
    collision_rows,
    held,
    looks,
    outcomes,
    pace,
    placed,
    recipients,
    report,
    review_rows,
    rewritten,
    rounds,
    sentences,
    signers,
    spaces,
    spans,
    unsent,
    verdicts,
    warned,
)
from countersign.console.checks import checks_of
from countersign.console.hunks import files_of, fold_known
from countersign.console.in_parts import page_in_parts
from countersign.console.line_forms import typed_on
from countersign.console.rendering import COUNT_AT_MOST, capped, mine_of, page, shell_of
from countersign.console.task_page import price_url

if TYPE_CHECKING:
    from collections.abc import Collection

    from django.http.response import HttpResponseBase

    from agents.models import Proposal
    from approvals.models import Approval, Signature
    from countersign.console.hunks import FileView
    from countersign.console.requests import PersonRequest
    from countersign.console.review_rows import Record
    from projects.across import Mine
    from projects.models import User

_LONG = 200  # changed lines; drawing them takes longer than all else of the page
_ORDER = {"contradicted": 0, "not_checkable": 1, "proven": 2}


def show(
    request: PersonRequest,
    approval: Approval,
    *,
    error: Exception | None = None,
    status: int = 200,
) -> HttpResponseBase:
    """Render the page, a long one in parts; after a refused decision with what was typed and why."""
    since = request.GET.get("since", "")
    allowance = Allowance()
    context = context_of(approval, request.user, mine_of(request), allowance, since=since)
    context |= {"typed": request.POST, "error": error}
    context["chosen_agents"] = request.POST.getlist("agents")
    context["pace"] = pace.shown(request, context.get("decided", []))
    context |= _shown_as(request, approval, context["files"])
    _fill(context["files"], request)
    if error is not None and not context["may_decide"]:
        context["unsent"] = unsent.words_of(request.POST, context["files"])
    if context["base"]:
        fold_known(context["files"])
        rewritten.tell(context["files"], approval.snapshot, context["base"], allowance)
    if context["spaces"]:
        context["folds"] = spaces.fold(context["files"], approval, allowance)
    if sum(file.added + file.removed for file in context["files"]) < _LONG:
        return page(request, "review/review.html", context, status=status)
    return page_in_parts(
        request,
        "review/review.html",
        context,
        part="review/_file.html",
        pieces=({"file": file} for file in context["files"]),
        status=status,
    )


def _shown_as(request: PersonRequest, approval: Approval, files: list[FileView]) -> dict[str, Any]:
    """Return how the address asks for the diff to be shown, and where its links lead."""
    # A refused decision is answered under an address nobody can come back to.
    place = [approval.task.number, approval.proposal.round]
    return {
        "diff_mode": "unified" if request.GET.get("diff") == "unified" else "split",
        "spaces": request.GET.get("spaces") == "fold",
        "may_fold_spaces": any(hunk.free for file in files for hunk in file.hunks),
        "around": reverse("console:around", args=place),
        "page_address": reverse("console:review", args=place) if request.method == "POST" else "",
    }


def context_of(
    approval: Approval, user: User, mine: Mine, allowance: Allowance, *, since: str = ""
) -> dict[str, Any]:
    """Return the sealed facts, the state of the decision, and what this person may do."""
    record = _placed(review_rows.read(approval, user, mine, since=since), approval)
    sealed = approval.snapshot
    viewed = viewing.paths_of(approval, record.viewed)
    files = files_of(sealed, record.compared, viewed, record.names, record.colours)
    verdicts.keep(files, record, approval, user)
    return {
        "here": "inbox",
        "approval": approval,
        "task": approval.task,
        "seq": approval.task.last_seq,
        "sealed": sealed,
        "label": sealed["task"]["label"],
        "effect": sealed["effects"][0] if sealed["effects"] else {},
        "files": files,
        "claims": _claims(sealed),
        "proven": sum(claim["verdict"] == "proven" for claim in sealed["claims"]),
        "contradicted": sum(claim["verdict"] == "contradicted" for claim in sealed["claims"]),
        "checks": checks_of(sealed["checks"]) if sealed["checks"] else None,
        "warnings": warned.of(sealed, files),
        "hidden_count": warned.many(sealed, *cautions.HIDDEN),
        "other_warnings": warned.others(sealed, *cautions.HIDDEN),
        "report": report.render(sealed["proposal"]["report"]),
        "summary": report.render(sealed["proposal"]["summary"]),
        "rehearsal": sealed["proposal"]["model"] == "rehearsal",
        "price_unknown": record.unpriced,
        "price_url": price_url(user),
        "expires_at": parse_datetime(sealed["expires_at"]),
        "lessons": [memory for memory in record.lessons if memory.content],  # else forgotten
        **_said(record, approval, files, allowance),
        "edit": record.edits.get(approval.pk),
        "first_editable": next((file for file in files if file.editable), None),
        "first_new": next((at for file in files if (at := file.first_new)), ""),
        "new_count": sum(file.new_count for file in files),
        "new_word": _new_word(approval, record),
        "made_by": record.made_by,
        "undone": record.undone,
        "again": record.again.words if record.again else None,
        "asked_again": _asked_again(sealed),
        **_compared(approval, record, since),
        **collision_rows.beside(approval),
        **files_left(approval, viewed),
        **decision_of(approval, user, mine, record),
    }


def _placed(record: Record, approval: Approval) -> Record:
    compared, again = (
        each and placed.certain(each, approval) for each in (record.compared, record.again)
    )
    return replace(record, compared=compared, again=again)


def _said(
    record: Record, approval: Approval, files: list[FileView], allowance: Allowance
) -> dict[str, Any]:
    """Return what was said of this version and of earlier ones; its lines are told of it."""
    sealed = approval.snapshot
    shown = rounds.Shown(
        sealed=sealed,
        files=files,
        replies=record.replies,
        paths=record.paths,
        later=rounds.later_of(approval, allowance),
    )
    earlier = rounds.earlier_of(record.earlier, record.edits, shown)
    own = rounds.own_of(record.said, shown)
    rounds.put_on_lines((*(said for past in earlier for said in past.comments), *own), files)
    return {"earlier": earlier, "own": own}


def _compared(approval: Approval, record: Record, since: str) -> dict[str, Any]:
    """Return what the change is compared with, and what else it could be."""
    base = record.base
    return {
        "base": base,
        "base_word": _version_word(base) if base else "",
        "gone_count": sum(record.compared.gone.values()) if base and record.compared else 0,
        "otherwise_count": len(record.compared.otherwise) if record.compared else 0,
        "unchanged": approval.proposal.round > 1
        and record.compared is not None
        and not record.compared.words,
        "since": since,
        "versions": [(f"{row.round}.{row.version}", _version_word(row)) for row in record.versions],
    }


def _version_word(proposal: Proposal) -> str:
    more = f", version {proposal.version}" if proposal.version > 1 else ""
    return f"round {proposal.round}{more}"


def _new_word(approval: Approval, record: Record) -> str:
    number = approval.proposal.round
    if record.base and record.base.round != number - 1:
        return f"new since {_version_word(record.base)}"
    if record.made_by and number == 1:
        return f"edited by {record.made_by.person.display_name}"
    return f"new in round {number}" if number > 1 else "changed since main moved"


def _asked_again(sealed: dict[str, Any]) -> str:
    """Say why those who had signed it on an earlier main are asked again, if anybody had."""
    why = sealed.get("asked_again")
    if why is None:
        return ""
    if path := why["path"]:
        return f"Asked again because main changed {path}, which this change touches."
    return f"Asked again because {_WHY.get(why['name'], 'it is not the same change any more')}."


_WHY = {
    "agents": "other agents, or other versions of them, have worked on it",
    "planned_by": "other agents, or other versions of them, have planned it",
    "checks": "its checks did not pass as before",
    "claims": "what its agents claim was proven otherwise",
    "memories": "other lessons were recalled for it",
    "policy": "the policy has changed",
    "proposal": "it says something else of itself",
    "risk": "its risk is another",
    "signers": "those who signed it may not sign it now, or the time in which they could is over",
    "the policy's consent": "the policy does not let signatures hold",
    "times": "main has moved too often since it was signed",
    "warnings": "its warnings are others",
}


def files_left(approval: Approval, viewed: Collection[str]) -> dict[str, Any]:
    """Return how many files this person has looked at, and how many more the policy asks for."""
    files, asked = len(approval.snapshot["files"]), Required.sealed(approval.snapshot).every_file
    left = files - len(viewed)
    return {"files_viewed": len(viewed), "files_count": files, "files_left": left if asked else 0}


def decision_of(approval: Approval, user: User, mine: Mine, record: Record) -> dict[str, Any]:
    """Return how the decision stands and what this person may do about it."""
    pending = approval.state == ApprovalState.PENDING
    refusal = rights.why_not(approval, user, known=record.person)
    signatures, effects = record.signatures, record.effects
    signed = any(row.signer_id == user.pk for row in signatures)
    left = record.decide_by - timezone.now()
    overdue = pending and left <= timedelta()
    asked = _required(approval, record)
    may_decide = pending and not refusal and not overdue
    waits = may_decide and not signed  # for this person
    return {
        **asked,
        **recipients.of(approval, record.reachable),
        "look": _look(approval, record, may_sign=pending and not refusal and not signed),
        "pending": pending,
        "refusal": _in_words(refusal, approval, user, record),
        "overdue": overdue,
        "left": left,
        "hurry": left < timedelta(hours=1),
        "may_decide": may_decide,
        "may_approve": waits or asked["enough"],  # who has signed may else end it, nothing more
        "offers": spans.offered(approval, record.clock, record.decide_by) if waits else [],
        "may_assign": pending and not overdue and record.person.lead,
        "may_take": waits,
        "holder": record.holder if pending else None,
        "others": routing.others(record.candidates, user, record.holder),
        "reminders": record.reminders,
        "stands_for": presence.named(Required.sealed(approval.snapshot), record.absent),
        "signatures": signatures,
        "signed_by_me": signed,
        "effects": effects,
        "merged": sentences.merged_as(effects[0]) if effects else "",
        "may_undo": undoing.may_undo(approval, effects) and record.person.lead,
        "more_rounds": agent_rounds.may_open_next(approval.task),
        "newer": record.newer,
        **_revert(approval, user, record),
        **_held(record, user, mine),
        **(_queue(approval, user, mine) if pending and not refusal and not signed else {}),
        "may_put_up_again": approval.state in {ApprovalState.STALE, ApprovalState.EXPIRED}
        and approval.task.state == TaskState.REVIEW
        and (not refusal or approval.requester_id == user.pk),
    }


def _required(approval: Approval, record: Record) -> dict[str, Any]:
    return signers.asked(approval, _approving(record), record.may, record.candidates)


def _approving(record: Record) -> list[Signature]:
    return [row for row in record.signatures if row.verdict == SignatureVerdict.APPROVE]


def _revert(approval: Approval, user: User, record: Record) -> dict[str, Any]:
    """Return what takes the merged change back, or whether this person may ask for it."""
    may = record.person.lead or user.pk == approval.requester_id
    return {"reverted_by": record.reverted_by, "may_revert": may and record.reverted_by is None}


def _held(record: Record, user: User, mine: Mine) -> dict[str, Any]:
    hold = record.hold
    if hold is None:
        return {"hold": None}
    paused = hold.scope == HoldScope.TASK  # a wider hold has its banner, with what lifts it
    return {
        "hold": hold,
        "hold_look": held.look(hold),
        "hold_until": held.until(hold),
        "may_resume": paused and holds.may_act(user, hold, mine),
    }


def _in_words(refusal: str, approval: Approval, user: User, record: Record) -> str:
    if not refusal or user.pk != approval.requester_id:
        return refusal
    approving = _approving(record)
    counted = signers.counted_of(approving, record.may)
    signed = [row.signer for row in approving if row.signer_id in counted.signers]
    required = Required.sealed(approval.snapshot)
    whose = signers.left_of(record.candidates, required, counted, signed)
    return f"You asked for this work, so somebody else signs it: {whose}."


def _look(approval: Approval, record: Record, *, may_sign: bool) -> looks.Look:
    if outcome := outcomes.look(approval, record.effects):
        return outcome
    if edit := record.edits.get(approval.pk):
        word = "" if record.newer else "Edited, a new version follows"
        return looks.of_approval(approval, word=word, edit=edit)
    return looks.of_approval(approval, word="Waits for your signature" if may_sign else "")


def _claims(sealed: dict[str, Any]) -> list[dict[str, Any]]:
    agents = {agent["slug"]: agent for agent in sealed["agents"]}
    claims = [{**claim, "by": agents.get(claim["agent"])} for claim in sealed["claims"]]
    return sorted(claims, key=lambda claim: _ORDER.get(claim["verdict"], 1))


def _queue(approval: Approval, user: User, mine: Mine) -> dict[str, Any]:
    """Return the place among what waits for this person, with the neighbours; counted for the shell."""
    places = selectors.place_of(user, mine, approval, COUNT_AT_MOST)
    shell, counts = shell_of(user, mine, {**places, "decided": pacing.latest(user)})
    before, after = selectors.neighbours(user, mine, approval)
    queue = {
        "place": capped(counts["before"] + 1),
        # One that was put off is none of what waits.
        "total": capped(max(counts["waits"], counts["before"] + 1)),
        "before": (before.pk, before.task.number, before.proposal.round) if before else None,
        "after": (after.pk, after.task.number, after.proposal.round) if after else None,
    }
    return {"shell": shell, "queue": queue, "decided": counts["decided"]}


def _fill(files: list[Any], request: PersonRequest) -> None:
    """Put what was typed back beside each hunk, once something was."""
    if request.method != "POST":
        return
    for file in files:
        for hunk in file.hunks:
            hunk.verdict = request.POST.get(f"verdict-{hunk.id}", "")
            hunk.note = request.POST.get(f"note-{hunk.id}", "")
            hunk.goes_to = request.POST.get(f"to-{hunk.id}", "")
            hunk.typed = typed_on(request.POST, hunk.id)
