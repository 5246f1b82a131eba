"""What people did about an approval, and what came before and after it, read together."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Exists, Func, JSONField, OuterRef, Q, UUIDField
from django.http import Http404

from agents import holds, reverting, rounds, takeovers
from agents.models import Agent, Event, FileChange, HoldScope, Hunk, Proposal
from approvals import deadlines, presence, rights, routing, viewing
from approvals.lifecycle import ApprovalState, EffectState, SignatureVerdict
from approvals.models import (
    SEAL,
    Approval,
    Assignment,
    Comment,
    Edit,
    Effect,
    HunkVerdict,
    Policy,
    Reminder,
    Signature,
    Viewed,
)
from countersign.console import answering_rows, held, known, signers, undone
from countersign.console.meters import UNPRICED
from countersign.console.sentences import LONG
from memory.models import Memory
from notices import quiet
from projects import across, together

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime, tzinfo
    from uuid import UUID

    from django.db.models import QuerySet

    from agents.models import Hold, Task
    from projects.across import Mine
    from projects.models import User
    from projects.together import Found

_VERSION = re.compile(r"([1-9]\d{0,3})\.([1-9]\d{0,3})")  # 2.1: version 1 of round 2
Lists = dict[str, "QuerySet[Any]"]


@dataclass(frozen=True, kw_only=True)
class Record:
    """Everything around one sealed approval."""

    signatures: list[Signature]
    may: Collection[UUID] | None  # whose of them count, and for whom; None when it is over: all did
    viewed: list[Viewed]  # by the person who asks, of this and other changes
    effects: list[Any]  # with `undo_until` and `may_be_undone`
    newer: Approval | None
    earlier: list[Approval]  # newest first, with their comments
    said: list[Comment]  # of this one
    replies: dict[str, list[answering_rows.Reply]]  # of agents, by the comment they answer
    paths: dict[UUID, set[str]]  # of the files of the versions that something was said of
    edits: dict[UUID, Edit]  # by which people ended approvals of the task
    made_by: Edit | None  # by which this version came about
    undone: undone.Undone | None  # what the approval before it was, when somebody took that back
    names: dict[str, str]  # of its hunks, by their ids: equal in each version that has their lines
    colours: dict[str, str]  # of the same
    base: Proposal | None  # what is compared with: chosen, or the last this person decided on
    compared: known.Compared | None  # with the base, or the proposal before; None for the first
    versions: list[Proposal]  # before this one, newest first
    again: known.Compared | None  # with the round's first version; None: this is it
    lessons: list[Memory]
    decide_by: datetime
    clock: tzinfo  # on the wall of the person who asks
    unpriced: bool
    person: rights.Known
    hold: Hold | None
    holder: Assignment | None
    candidates: list[User]  # who may sign and has not
    reverted_by: Task | None
    reminders: list[Any]  # that were told, each with its `people`
    reachable: frozenset[str]  # agents that can be asked for changes, by slug
    absent: dict[str, str]  # for whom this person stands in here: names by id


def read(
    approval: Approval, user: User, mine: Mine, *, whole: bool = True, since: str = ""
) -> Record:
    """Read it, and give the approval its policy, project and people; `whole` with what was said.

    `since` names the version to compare with, as `2.1`: version 1 of round 2.
    Raises Http404 when the project is not one of `mine`.
    """
    _of_mine(approval, mine)
    lists = {**_of_decision(approval, user), **(_of_page(approval, user, since) if whole else {})}
    events = Event.objects.filter(UNPRICED, task=approval.task_id)
    numbers = {"unpriced": across.counted(events, 1)}
    found = together.read(lists, numbers)
    _complete(approval, found)
    may = _may(approval, found)
    others, edits = _others(approval, found), _edits(found)
    lead = approval.project_id in mine.led
    took_over = found.first("took_over")
    return Record(
        signatures=_signatures(approval, found, may),
        may=may,
        viewed=found.rows("viewed"),
        effects=found.rows("effects"),
        newer=next((row for row in others if row.pk > approval.pk), None),
        earlier=[row for row in others if row.pk < approval.pk],
        said=[row for row in found.rows("comments") if row.approval_id == approval.pk],
        replies=answering_rows.replies_of(found.rows("answers")),
        paths=_paths(found),
        edits=edits,
        made_by=_made_by(approval, edits, others),
        undone=undone.told(approval, found),
        names={str(hunk.pk): known.name_of(hunk) for hunk in found.rows("hunks_now")},
        colours={str(hunk.pk): hunk.colours for hunk in found.rows("hunks_now")},
        base=found.first("base"),
        compared=_compared(approval.proposal, found),
        versions=_versions(approval.proposal, found),
        again=known.compare(found, "merged") if approval.proposal.version > 1 else None,
        lessons=found.rows("lessons"),
        decide_by=found.rows("deadline")[0].until,
        clock=quiet.clock_in(next((row.zone for row in found.rows("hours")), None)),
        unpriced=bool(found.number("unpriced")),
        person=rights.Known(lead=lead, did=took_over.title if took_over else ""),
        hold=_hold(approval, found),
        holder=_holder(found),
        candidates=found.rows("candidates"),
        reverted_by=found.first("reverted_by"),
        reminders=_reminders(found),
        reachable=frozenset(agent.slug for agent in found.rows("reachable")),
        absent={str(one.pk): one.display_name for one in found.rows("absent")},
    )


def _signatures(approval: Approval, found: Found, may: set[UUID] | None) -> list[Signature]:
    people = _by_key(found.rows("signed_by"))
    for signature in found.rows("signatures"):
        signature.signer = people[signature.signer_id]
        signature.signed_for = _signed_for(signature, approval)
        signature.changed = _ended_by_signer(signature, approval)
    signers.tell_lapsed(found.rows("signatures"), may)
    return found.rows("signatures")


def _signed_for(signature: Signature, approval: Approval) -> str:
    """Return the digest a person signed, where this is a copy of their signature."""
    told = approval.snapshot.get("follows", {}).get("signed_for", {})
    return str(told.get(str(signature.signer_id), "")) if signature.carried_from_id else ""


def _ended_by_signer(signature: Signature, approval: Approval) -> bool:
    """Tell whether a person who had approved it has ended it since."""
    ended = approval.state in {ApprovalState.CHANGES_REQUESTED, ApprovalState.REJECTED}
    agreed = signature.verdict == SignatureVerdict.APPROVE
    return ended and agreed and signature.signer_id == approval.decided_by_id


def _may(approval: Approval, found: Found) -> set[UUID] | None:
    planned = any(effect.state == EffectState.PLANNED for effect in found.rows("effects"))
    waits = approval.state == ApprovalState.PENDING or planned
    return {person.pk for person in found.rows("may")} if waits else None


def _of_decision(approval: Approval, user: User) -> Lists:
    signed = Signature.objects.filter(approval=approval)
    others = Approval.objects.filter(task=approval.task_id).exclude(pk=approval.pk)
    people = [approval.requester_id, approval.decided_by_id]
    holding = holds.over_task(approval.task)
    edits = Edit.objects.filter(approval__task=approval.task_id)
    held = Assignment.objects.filter(approval=approval)
    told = Reminder.objects.filter(approval=approval, told_at__isnull=False)
    keys = Func("to", function="to_jsonb", output_field=JSONField())
    to_whom = told.annotate(keys=keys).only("share", "approval").order_by("share")
    return {
        "policies": Policy.objects.filter(pk=approval.policy_id),
        "hours": quiet.hours_of(user),
        "people": signers.people([key for key in people if key]),
        "signatures": signed.order_by("at", "pk"),
        "signed_by": signers.people(signed.values("signer")),
        "may": signers.who_count(approval, signed),
        "effects": deadlines.with_window(Effect.objects.filter(approval=approval)).order_by(
            "position"
        ),
        "deadline": deadlines.with_deadline(Approval.objects.filter(pk=approval.pk).only("pk")),
        "others": others.defer(*SEAL).order_by("-pk"),
        "proposals": Proposal.objects.filter(task=approval.task_id).only(
            "task", "round", "version"
        ),
        "took_over": takeovers.of(user, approval.task_id)[:1],
        "absent": signers.people(
            presence.in_force().filter(delegate=user, project=approval.project_id).values("person")
        ),
        "reachable": rounds.reachable(approval.task_id).only("slug"),
        "reminders": to_whom,
        "reminded": signers.people(told.annotate(one=_Each("to")).values("one")),
        "assigned": held,
        "assigned_to": signers.people(held.values("holder")),
        "candidates": signers.shown(routing.candidates(approval)),
        "reverted_by": reverting.of(approval.task).defer(*LONG),
        "edits": edits,
        "edited_by": signers.people(edits.values("person")),
        "holds": holding,
        "held_by": signers.people(holding.order_by().values("placed_by")),
    }


def _of_history(approval: Approval, user: User, since: str) -> Lists:
    earlier = Approval.objects.filter(task=approval.task_id, pk__lt=approval.pk)
    so_far = Approval.objects.filter(task=approval.task_id, pk__lte=approval.pk).values("pk")
    comments = Comment.objects.filter(approval__in=so_far).order_by("created_at", "pk")
    said = Hunk.objects.filter(pk__in=comments.order_by().values("hunk"))
    told = comments.order_by().exclude(verdict=HunkVerdict.ACCEPT)
    versions = said.filter(pk__in=told.values("hunk")).values("file__proposal")
    shown = approval.proposal
    proposals = Proposal.objects.filter(task=approval.task_id).order_by("-round", "-version")
    merged = proposals.filter(round=shown.round, version__lt=shown.version).order_by("version")
    before = proposals.filter(round__lt=shown.round) if shown.round > 1 else merged
    base = _base(proposals, shown, user, since)
    last, merged_last = (rows.values("pk")[:1] for rows in (before, merged))
    mine = {"decided": earlier.values("decided_by"), "wrote": comments.order_by().values("author")}
    return {
        "comments": comments,
        "said": known.named(said).only(*known.NAMED, "file", "new_start", "old_start").order_by(),
        "said_lines": said.filter(pk__in=told.values("hunk")).only("text").order_by(),
        "said_beside": FileChange.objects.filter(proposal__in=versions)
        .only("proposal", "path")
        .order_by(),
        "answers": answering_rows.answered(approval.task_id),
        "said_of": FileChange.objects.filter(pk__in=said.order_by().values("file")).order_by(),
        "goes_to": Agent.objects.filter(pk__in=comments.order_by().values("goes_to")),
        **{name: signers.people(keys) for name, keys in mine.items()},
        **undone.lists_of(approval),
        **known.lists_of([approval.proposal_id], known.NOW),
        "base": base.only("task", "round", "version"),
        **known.lists_of(base.values("pk")[:1], "base"),
        **known.lists_of(last, "before"),
        **known.lists_of(merged_last, "merged"),
        "lessons": Memory.objects.filter(
            pk__in=[memory["id"] for memory in approval.snapshot["memories"]]
        ).defer("search"),
    }


def _of_page(approval: Approval, user: User, since: str) -> Lists:
    return {"viewed": viewing.marks_of(user, approval), **_of_history(approval, user, since)}


def _base(
    proposals: QuerySet[Proposal], shown: Proposal, user: User, since: str
) -> QuerySet[Proposal]:
    """Return the version that is compared with, if any: the one named, or the last one decided on."""
    earlier = Q(round__lt=shown.round) | Q(round=shown.round, version__lt=shown.version)
    found = proposals.filter(earlier)
    if named := _VERSION.fullmatch(since):
        return found.filter(round=int(named[1]), version=int(named[2]))[:1]
    if since:
        return found.none()
    signed = Signature.objects.filter(approval__proposal=OuterRef("pk"), signer=user)
    return found.filter(Exists(signed))[:1]


def _of_mine(approval: Approval, mine: Mine) -> None:
    """Take the project from those of the person who asks; raises Http404 for one who has just left it."""
    found = next((project for project in mine.named if project.pk == approval.project_id), None)
    if found is None:
        raise Http404
    approval.project = approval.task.project = found


def _complete(approval: Approval, found: Found) -> None:
    """Give the approval and its task what was read of their policy and people."""
    people = _by_key(found.rows("people"))
    approval.policy = found.rows("policies")[0]
    approval.requester = people[approval.requester_id]
    approval.decided_by = people.get(approval.decided_by_id)
    approval.task.requester = approval.requester


def _edits(found: Found) -> dict[UUID, Edit]:
    people, edits = _by_key(found.rows("edited_by")), {}
    for edit in found.rows("edits"):
        edit.person = people[edit.person_id]
        edits[edit.approval_id] = edit
    return edits


def _made_by(approval: Approval, edits: dict[UUID, Edit], others: list[Approval]) -> Edit | None:
    """Return the edit an approval was sealed after: the one that ended the approval before it."""
    before = next((row for row in others if row.pk < approval.pk), None)
    return edits.get(before.pk) if before else None


def _hold(approval: Approval, found: Found) -> Hold | None:
    hold = None if approval.task.over else held.nearest(found.rows("holds"))
    if hold is not None:
        hold.placed_by = _by_key(found.rows("held_by"))[hold.placed_by_id]
    if hold is not None and hold.scope == HoldScope.TASK:
        hold.task = approval.task
    return hold


def _holder(found: Found) -> Assignment | None:
    held: Assignment | None = found.first("assigned")
    if held is not None:
        held.holder = found.rows("assigned_to")[0]
    return held


def _reminders(found: Found) -> list[Any]:
    people = {str(key): person for key, person in _by_key(found.rows("reminded")).items()}
    for row in found.rows("reminders"):
        row.people = [people[key] for key in row.keys if key in people]
    return found.rows("reminders")


class _Each(Func):
    """Each of an array, as a row."""

    function = "unnest"
    set_returning = True
    output_field = UUIDField()


def _paths(found: Found) -> dict[UUID, set[str]]:
    paths: dict[UUID, set[str]] = {}
    for file in found.rows("said_beside"):
        paths.setdefault(file.proposal_id, set()).add(file.path)
    return paths


def _others(approval: Approval, found: Found) -> list[Approval]:
    proposals = _by_key(found.rows("proposals"))
    decided = _by_key(found.rows("decided"))
    comments: dict[Any, list[Comment]] = {}
    for comment in _comments(found):
        comments.setdefault(comment.approval_id, []).append(comment)
    others: list[Approval] = found.rows("others")
    for row in others:
        row.task, row.proposal = approval.task, proposals[row.proposal_id]
        row.decided_by = decided.get(row.decided_by_id)
        together.keep(row, "comments", comments.get(row.pk, ()))
    return others


def _comments(found: Found) -> list[Comment]:
    authors, agents = _by_key(found.rows("wrote")), _by_key(found.rows("goes_to"))
    files, hunks = _by_key(found.rows("said_of")), _by_key(found.rows("said"))
    for hunk in hunks.values():
        hunk.file = files[hunk.file_id]
    for whole in found.rows("said_lines"):
        hunks[whole.pk].text = whole.text
    for comment in found.rows("comments"):
        comment.author = authors[comment.author_id]
        comment.hunk, comment.goes_to = hunks.get(comment.hunk_id), agents.get(comment.goes_to_id)
    return found.rows("comments")


def _compared(proposal: Proposal, found: Found) -> known.Compared | None:
    """Compare with the base; where there is none, with the version before, unless it is the first."""
    if found.first("base"):
        return known.compare(found, "base")
    first = (proposal.round, proposal.version) == (1, 1)
    return None if first else known.compare(found, "before")


def _versions(shown: Proposal, found: Found) -> list[Proposal]:
    at = (shown.round, shown.version)
    earlier = [row for row in found.rows("proposals") if (row.round, row.version) < at]
    return sorted(earlier, key=lambda row: (row.round, row.version), reverse=True)


def _by_key(rows: Iterable[Any]) -> dict[Any, Any]:
    return {row.pk: row for row in rows}
