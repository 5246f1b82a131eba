"""What waits for a person, what is with agents, and what was decided, as the inbox shows it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from django.db.models import Exists, OuterRef, Subquery
from django.utils import timezone

from approvals import (
    collisions,
    edits,
    presence,
    rights,
    routing,
    selectors,
    shortest,
    signed,
)
from approvals.calls import selectors as call_selectors
from approvals.lifecycle import ApprovalState
from approvals.models import RANKS, Approval, CallApproval, Sort
from approvals.requirements import Required
from countersign.console import (
    addresses,
    call_rows,
    looks,
    outcomes,
    sentences,
    signers,
    spans,
    warned,
)
from countersign.console.call_rows import CallRow
from countersign.console.checks import Checks, checks_of
from countersign.console.inbox_rows import Beside, beside, urgency
from countersign.console.meters import unpriced
from notices import quiet
from notices.models import Hours
from projects import keyset, together
from projects.across import Few
from projects.keyset import Order
from projects.prepared import Given, Prepared

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from uuid import UUID

    from django.db.models import QuerySet

    from agents.models import Escalation, Task
    from approvals.models import Assignment, Edit
    from countersign.console.narrowing import Narrowing
    from projects.across import Across, Mine
    from projects.keyset import Page, Place
    from projects.models import User


@dataclass(frozen=True, kw_only=True)
class Row:
    """One approval in the inbox, from its seal."""

    approval: Approval
    key: str
    href: str
    title: str
    round: int
    effect: dict[str, Any]
    checks: Checks | None
    proven: int
    claims: int
    contradicted: int
    agents: list[dict[str, Any]]
    look: looks.Look
    urgency: str
    ends_at: datetime
    left: timedelta
    whole: timedelta
    collides_with: list[int]  # numbers of tasks that wait as well
    asleep_until: datetime | None = None
    main_moves: bool = False  # which ends that, too
    held: Assignment | None = None
    edit: Edit | None = None  # which ended it
    carried: int = 0  # signatures that hold, given before main moved in other files
    stands_for: tuple[str, ...] = ()  # absent people a rule names, whose delegate this person is
    is_call: bool = False


Shown = TypeVar("Shown")
AnyRow = Row | CallRow
Group = tuple[str, str, list[AnyRow]]  # icon, title, rows


@dataclass(frozen=True, kw_only=True)
class NeedsYou:
    """The first tab: questions of limits, what must be asked again, then groups by due time."""

    questions: list[Escalation]
    again: list[Row]
    groups: list[Group]
    page: Page[Any]
    questions_count: str
    again_count: str

    @property
    def rows(self) -> list[AnyRow]:
        """Every row with a page of its own, in order."""
        return [*self.again, *self.waiting]

    @property
    def waiting(self) -> list[AnyRow]:
        """What waits for a decision."""
        return [row for _, _, rows in self.groups for row in rows]


def needs_you(narrowing: Narrowing, place: Place | None) -> NeedsYou:
    """Return what this person is asked, most urgent first unless they chose another order."""
    fits = narrowing.of_approvals
    asked = selectors.needs_you(
        narrowing.user,
        narrowing.mine,
        place=place,
        fits=fits,
        order=narrowing.order,
    )
    waiting = call_selectors.waiting(narrowing.user.pk, narrowing.mine)
    page, more = _with_calls(narrowing, asked.page, waiting, narrowing.order, place)
    pending = [_waiting_row(each, more) for each in page.rows]
    groups = _groups(pending, narrowing)
    questions, questions_count = _first(asked.questions)
    again, again_count = _first(asked.again)
    return NeedsYou(
        questions=questions,
        again=[_row(approval) for approval in again],
        groups=[group for group in groups if group[2]],
        page=page,
        questions_count=questions_count,
        again_count=again_count,
    )


def _first(found: list[Shown], limit: int = selectors.FIRST) -> tuple[list[Shown], str]:
    """Return what is shown of a list that is read from its front, and how much there is in a word."""
    shown = found[:limit]
    return shown, f"{len(shown)}+" if len(found) > len(shown) else str(len(shown))


def _with_calls(
    narrowing: Narrowing,
    approvals: Page[Approval],
    calls: Across | Few,
    order: Order,
    place: Place | None,
) -> tuple[Page[Any], Beside]:
    """Return one page of changes and calls, and what stands beside it."""
    user, limit = narrowing.user, selectors.ROWS
    listed = shortest.of_calls(calls, narrowing.of_calls)
    found = call_selectors.page_of(listed, user, order=order, place=place, limit=limit)
    more = beside(approvals.rows, user, found, place)
    page = keyset.merged(approvals, more.calls, order=order, place=place, limit=limit)
    if order == selectors.BY_DUE:
        selectors.rank(page.rows)
    return page, more


def _waiting_row(found: Any, more: Beside) -> AnyRow:
    """Return a row of what waits, with who sees to it, and for whom this person may sign it."""
    if isinstance(found, CallApproval):
        return call_rows.waiting_row(found, more.absent)
    row = _row(found, more.held.get(found.pk))
    return replace(row, stands_for=_stands_for(found, more.absent))


def _over_row(found: Any, over: outcomes.Over, undoable: Collection[UUID]) -> AnyRow:
    if isinstance(found, CallApproval):
        return call_rows.row_of_allowed(found, undoable)
    row = _row(found, edit=over.edits.get(found.pk))
    return replace(row, look=outcomes.look(found, over.effects.get(found.pk, ())) or row.look)


def _groups(pending: list[AnyRow], narrowing: Narrowing) -> list[Group]:
    match narrowing.sort:
        case Sort.DUE:
            return _by_due(pending)
        case Sort.RISK:
            return [
                ("inbox", f"{risk.label} risk", [r for r in pending if r.approval.risk == risk])
                for risk in RANKS
            ]
    return [("inbox", narrowing.words, pending)]


def _by_due(pending: list[AnyRow]) -> list[Group]:
    first = [row for row in pending if isinstance(row, Row) and row.round == 1]
    again = [row for row in pending if isinstance(row, Row) and row.round > 1]
    return [
        ("wrench", "Agents ask to use a tool", [row for row in pending if row.is_call]),
        ("timer", "Due within 1 hour", [row for row in first if row.urgency == "now"]),
        ("clock", "Today", [row for row in first if row.urgency == "today"]),
        ("inbox", "Later", [row for row in first if row.urgency == "later"]),
        ("undo-2", "Sent back, new round ready", [*again]),
    ]


def _of_tasks(rows: QuerySet[Any]) -> QuerySet[Any]:
    return rows.select_related("project", "requester").defer(*sentences.LONG)


def with_agents(
    narrowing: Narrowing, place: Place | None
) -> tuple[list[sentences.TaskRow], Page[Task]]:
    """Return the tasks agents are at, in the projects of this person, with what they may undo."""
    page: Page[Task] = keyset.page(
        selectors.with_agents(narrowing.mine, narrowing.task_states).filter(narrowing.of_tasks),
        _of_tasks,
        order=Order(),
        place=place,
        limit=selectors.ROWS,
    )
    return sentences.task_rows(page.rows, led=narrowing.mine.led), page


@dataclass(frozen=True, kw_only=True)
class Aside:
    """What stands above the tasks agents are at: calls that were allowed and have no answer yet, and
    what this person has signed that waits for others."""

    calls: list[CallRow] = field(default_factory=list)
    calls_count: str = ""
    signed: list[Any] = field(default_factory=list)
    signed_count: str = ""


def aside(narrowing: Narrowing) -> Aside:
    """Read the first of it, in one statement; with a filter only calls."""
    user, mine = narrowing.user, narrowing.mine
    listed = call_selectors.at_work(user.pk, mine).filter(narrowing.of_calls.all)
    limit = selectors.FIRST
    lists: dict[str, QuerySet[Any] | together.Ready] = {
        "calls": call_selectors.page_of(listed, user, order=Order(), place=None, limit=limit)
    }
    if not narrowing.filter:
        lists["changes"] = signed.changes_of(user, mine)
        lists["signed_calls"] = signed.calls_of(user, mine)
    found = together.read(lists)
    calls, count = _first(found.rows("calls"))
    undoable = call_rows.undoable_by(user, mine, calls)
    waits = [*found.rows("changes"), *found.rows("signed_calls")]
    shown, signed_count = _first(sorted(waits, key=lambda row: row.until), signed.SHOWN)
    return Aside(
        calls=[call_rows.row_of_allowed(call, undoable) for call in calls],
        calls_count=count,
        signed=shown,
        signed_count=signed_count,
    )


def snoozed(narrowing: Narrowing, place: Place | None) -> tuple[list[AnyRow], Page[Any]]:
    """Return what this person has put off, by due time unless they chose another order."""
    page = selectors.snoozed(
        narrowing.user,
        narrowing.mine,
        place=place,
        fits=narrowing.of_approvals,
        order=narrowing.order,
    )
    calls = Few(rows=call_selectors.put_off(narrowing.user.pk, narrowing.mine))
    page, more = _with_calls(narrowing, page, calls, narrowing.order, place)
    return [_waiting_row(each, more) for each in page.rows], page


def decided(narrowing: Narrowing, place: Place | None) -> tuple[list[AnyRow], Page[Any]]:
    """Return what was decided, or ended undecided, newest first."""
    page = selectors.decided(
        narrowing.user, narrowing.mine, place=place, fits=narrowing.of_approvals
    )
    calls = call_selectors.decided(narrowing.mine)
    page, _ = _with_calls(narrowing, page, calls, selectors.BY_DECISION, place)
    changes = [each for each in page.rows if not isinstance(each, CallApproval)]
    asked = [each for each in page.rows if isinstance(each, CallApproval)]
    undoable = call_rows.undoable_by(narrowing.user, narrowing.mine, asked)
    over = outcomes.of_approvals(changes)
    return [_over_row(each, over, undoable) for each in page.rows], page


def closer_look(user: User, mine: Mine, row: AnyRow) -> dict[str, Any] | None:
    """Return one approval or call with its whole seal, for the pane beside the list."""
    if isinstance(row, CallRow):
        return call_rows.closer_look(user, mine, row)
    found = _LOOKED_AT(approvals=[row.approval.pk], people=[user.pk])
    if not found:  # who asks left the project since the list was read
        return None
    (approval,) = found
    sealed = approval.snapshot
    return {
        "approval": approval,
        "sealed": sealed,
        "effect": sealed["effects"][0] if sealed["effects"] else {},
        "price_unknown": approval.price_unknown,
        "checks": checks_of(sealed["checks"]) if sealed["checks"] else None,
        "hidden": warned.many(sealed, "hidden_character"),
        "alike": warned.many(sealed, "lookalike_character"),
        "offers": spans.offered(approval, quiet.clock_in(approval.zone), row.ends_at),
        "clashes": collisions.of(approval) if row.collides_with else [],
        "edit": row.edit,
        "look": row.look,
        "carried": row.carried,
        "holding": _holding(approval) if row.carried else 0,
        "newer": edits.newest_after(approval) if row.edit else None,
        **(_assigned(approval, user, mine, row) if approval.state == ApprovalState.PENDING else {}),
    }


def _looked_at() -> QuerySet[Any]:
    found = Approval.objects.visible_to_given().filter(pk__any=Given("approvals"))
    unknown = Exists(unpriced(OuterRef("task")))
    shown = found.select_related("task", "proposal", "requester", "project")
    zone = Subquery(Hours.objects.filter(person__any=Given("people")).values("zone")[:1])
    return shown.annotate(price_unknown=unknown, zone=zone).defer(
        "task__request", "task__context", "proposal__report", "proposal__summary"
    )


_LOOKED_AT: Prepared[Any] = Prepared(_looked_at)


def _holding(approval: Approval) -> int:
    """Return how many of the signatures given before main moved hold: of people who may still sign."""
    signed_for = approval.snapshot["follows"]["signed_for"]
    if approval.state != ApprovalState.PENDING:
        return len(signed_for)
    return rights.who_may(approval).filter(pk__in=list(signed_for)).count()


def _assigned(approval: Approval, user: User, mine: Mine, row: Row) -> dict[str, Any]:
    people = list(signers.shown(routing.candidates(approval)))
    return signers.assignable(people, row.held, user, lead=approval.project_id in mine.led)


def _stands_for(approval: Approval, absent: presence.Absent) -> tuple[str, ...]:
    required = Required.sealed(approval.outline)
    return presence.named(required, absent.get(approval.project_id, {}))


def _row(
    approval: Any, held: Assignment | None = None, edit: Edit | None = None
) -> Row:  # with the sealed facts selectors load beside it
    checks, effects = approval.sealed_checks, approval.sealed_effects
    verdicts = [claim["verdict"] for claim in approval.sealed_claims]
    ends_at = approval.expires_at + approval.added
    left = ends_at - timezone.now()
    return Row(
        approval=approval,
        key=str(approval.pk),
        href=addresses.of_review(approval.task.number, approval.sealed_round),
        title=approval.sealed_title,
        round=approval.sealed_round,
        effect=effects[0] if effects else {},
        checks=checks_of(checks) if checks else None,
        proven=verdicts.count("proven"),
        claims=len(verdicts),
        contradicted=verdicts.count("contradicted"),
        agents=approval.sealed_agents,
        look=looks.of_approval(approval, edit=edit),
        urgency=urgency(left),
        ends_at=ends_at,
        left=max(left, timedelta()),
        whole=approval.expires_at - approval.requested_at,
        collides_with=approval.collides_with if approval.state == ApprovalState.PENDING else [],
        asleep_until=getattr(approval, "asleep_until", None),
        main_moves=getattr(approval, "asleep_for_main", False),
        held=held,
        edit=edit,
        carried=len(approval.outline.get("follows", {}).get("signed_for", {})),
    )
