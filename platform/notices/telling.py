"""Writes down whom events are told to, and by which channels; nothing leaves the house here."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from django.utils import timezone

from agents import events
from agents.models import Event
from approvals.models import SEAL, Approval, CallApproval
from notices import moments, settling
from notices.models import Delivery, Notice, Notification
from notices.recipients import Audience

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from agents.eventlog import Place
    from notices.moments import Moment

NEWS = timedelta(days=3)  # a weekend that the notifier was away, and no longer


@dataclass(kw_only=True)
class _Rows:
    """What is written together."""

    notices: list[Notice] = field(default_factory=list)
    lines: list[Notification] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)

    def add(
        self, notice: Notice, lines: Sequence[Notification], deliveries: Sequence[Delivery]
    ) -> None:
        """Take a notice somebody is told of; any other is not kept."""
        if lines or deliveries:
            self.notices.append(notice)
            self.lines += lines
            self.deliveries += deliveries


def tell(places: Sequence[Place]) -> None:
    """Write the notices of these events, in the caller's transaction.

    An event somebody has told already stays as it was told. One that is no news any more is told to
    nobody: after a restore the place in the log may lie before all there ever was.
    """
    heard = [place.event for place in places if place.kind in moments.HEARD]
    if not heard:
        return
    found = Event.objects.select_related("task__project").in_bulk(heard)
    happened = [found[key] for key in heard if key in found]  # one may be gone with its task
    told = set(Notice.objects.filter(event__in=heard).values_list("event", flat=True))
    since = timezone.now() - NEWS
    news = [event for event in happened if event.at >= since and event.pk not in told]
    meant = [moments.moment_of(event) for event in news]
    rows = _rows_of([moment for moment in meant if moment])
    Notice.objects.bulk_create(rows.notices)
    Notification.objects.bulk_create(rows.lines)
    Delivery.objects.bulk_create(rows.deliveries)
    settled = settling.settle(happened)
    told_of = {row.event for row in rows.notices if row.event}
    events.ring([each for each in happened if each.pk in told_of | settled])


def _rows_of(meant: Sequence[Moment]) -> _Rows:
    rows = _Rows()
    spared = moments.told_once(meant)
    asks = _asks(meant)
    audiences: dict[uuid.UUID, Audience] = {}
    for moment in meant:
        project = moment.event.task.project
        audience = audiences.setdefault(project.pk, Audience(project))
        asked = asks.get(moment.approval) if moment.approval else None
        once = moment.event.pk in spared
        people = [] if once else audience.of(moment, asked)
        notice = _notice(moment, asked)
        lines = [
            Notification(notice=notice, person=person, project_id=notice.project_id)
            for person in people
            if audience.wants(person, moment.kind).bell
        ]
        again = _comes_again(moment, asked)
        deliveries = audience.deliveries(notice, [] if again else people, chats=not (once or again))
        rows.add(notice, lines, deliveries)
    return rows


def _asks(meant: Sequence[Moment]) -> dict[uuid.UUID, Approval | CallApproval]:
    """Return what these moments name: approvals, and calls that need permission."""
    keys = {moment.approval for moment in meant if moment.approval}
    rows = Approval.objects.select_related("proposal").filter(pk__in=keys)
    rows = rows.defer("proposal__report", "proposal__summary", *SEAL)
    calls = CallApproval.objects.filter(pk__in=keys).defer("snapshot", "edited")
    return {row.pk: row for found in (rows, calls) for row in found}


def _notice(moment: Moment, asked: Approval | CallApproval | None) -> Notice:
    event = moment.event
    approval = asked if isinstance(asked, Approval) else None
    return Notice(
        project_id=event.task.project_id,
        task=event.task,
        approval=approval,
        call=asked if isinstance(asked, CallApproval) else None,
        round=approval.proposal.round if approval else None,
        event=event.pk,
        type=event.kind,
        kind=moment.kind,
        facts=moment.facts,
        at=event.at,
    )


def _comes_again(moment: Moment, asked: Approval | CallApproval | None) -> bool:
    """Tell whether the same round is asked for again only because main moved: the bell is enough."""
    version = asked.proposal.version if isinstance(asked, Approval) else 1
    return moment.event.kind == moments.REQUESTED and version > 1
