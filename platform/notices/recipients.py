"""Who is told of a moment: asked when it is read, so that a right lost meanwhile counts."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from django.utils import timezone

from approvals import counting, deadlines, rights, routing
from approvals.lifecycle import ApprovalState
from notices import choosing, moments, quiet
from notices.choosing import Wishes
from notices.models import Delivery, Hours, Kind, Webhook, WebhookStyle
from projects.models import Membership, Role, User

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from approvals.models import Approval, CallApproval
    from notices.choosing import Wish
    from notices.models import Notice
    from notices.moments import Moment
    from projects.models import Project


class Audience:
    """The people of one project, read when the first of its moments needs them."""

    def __init__(self, project: Project) -> None:
        self.project = project

    @cached_property
    def members(self) -> dict[uuid.UUID, Membership]:
        """The active members with their roles."""
        rows = Membership.objects.filter(project=self.project, user__is_active=True)
        return {row.user_id: row for row in rows.select_related("user")}

    @cached_property
    def webhooks(self) -> list[Webhook]:
        """The webhooks that are switched on."""
        return list(Webhook.objects.filter(project=self.project, enabled=True))

    @cached_property
    def _wishes(self) -> Wishes:
        return Wishes.of(self.members, self.project.pk)

    @cached_property
    def _hours(self) -> dict[uuid.UUID, Hours]:
        return Hours.objects.in_bulk(list(self.members))

    def wants(self, person: User, kind: str) -> Wish:
        """Return how this person wants to be told of a kind here."""
        return self._wishes.wish(person.pk, self.project.pk, kind)

    def deliveries(
        self, notice: Notice, people: Sequence[User], *, chats: bool = True
    ) -> list[Delivery]:
        """Return what leaves the house: to webhooks that want the kind, and by e-mail to people."""
        hooks = [hook for hook in self.webhooks if notice.kind in hook.kinds]
        if not chats:
            hooks = [hook for hook in hooks if hook.style != WebhookStyle.CHAT]
        return [
            *(Delivery(notice=notice, webhook=hook) for hook in hooks),
            *(
                self._email(notice, person)
                for person in people
                if self._writes(person, notice.kind)
            ),
        ]

    def _writes(self, person: User, kind: str) -> bool:
        return choosing.email_is_on() and bool(person.email) and self.wants(person, kind).email

    def _email(self, notice: Notice, person: User) -> Delivery:
        at = may_leave(notice, self._hours.get(person.pk), timezone.now())
        return Delivery(notice=notice, person=person, next_at=at)

    @property
    def leads(self) -> list[User]:
        """Those who sign."""
        return [row.user for row in self.members.values() if row.role == Role.LEAD]

    def of(self, moment: Moment, approval: Approval | CallApproval | None) -> list[User]:
        """Return whom to tell of this moment."""
        if moment.kind == Kind.STUCK:
            return _once([*self._requester(moment), *self.leads])
        match moment.event.kind:
            case moments.REQUESTED | moments.CALL:
                return self._who_may_sign(approval, self.leads)
            case moments.ASSIGNED | moments.REMINDED:
                named = [each for each in self._named(moment) if not _did_it(each, moment)]
                return self._who_may_sign(approval, named)
        return self._requester(moment)

    def _requester(self, moment: Moment) -> list[User]:
        row = self.members.get(moment.event.task.requester_id)
        return [row.user] if row else []

    def _named(self, moment: Moment) -> list[User]:
        given = moment.event.data.get("to")
        named = given if isinstance(given, list) else [given]
        keys = filter(None, map(moments.key_of, named))
        return _once(self.members[key].user for key in keys if key in self.members)

    def _who_may_sign(
        self, approval: Approval | CallApproval | None, people: list[User]
    ) -> list[User]:
        if approval is None or approval.state != ApprovalState.PENDING:
            return []
        approval.project = self.project
        asked = routing.candidates(approval).filter(pk__in=[person.pk for person in people])
        keys = set(asked.values_list("pk", flat=True))
        return [person for person in people if person.pk in keys]


def may_leave(notice: Notice, hours: Hours | None, now: datetime) -> datetime:
    """Return when an e-mail to somebody with these quiet hours may leave; whoever said so is told at
    once of what can be decided no longer when they end."""
    asked = notice.asks if hours and hours.unless_due else None
    due = deadlines.end_of(asked) if asked else None
    return quiet.first_try(hours, now, due=due)


def may_still_sign(approval: Approval | CallApproval, person: User) -> bool:
    """Tell, when a message is about to leave, whether it is still this person's to answer: who has
    signed is asked again only where nobody else's signature is missing."""
    if approval.state != ApprovalState.PENDING or rights.why_not(approval, person):
        return False
    signed = approval.signatures.filter(signer=person.pk).exists()
    return not signed or not counting.of(approval).missing(approval)


def _did_it(person: User, moment: Moment) -> bool:
    """Tell whether it was the person's own act: the event has the name alone."""
    return moment.facts.get("by") == person.display_name


def _once(people: Iterable[User]) -> list[User]:
    return list({person.pk: person for person in people}.values())
