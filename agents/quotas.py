"""Quotas: how many tasks a person, or a project, may hand over within any 60 minutes."""

from __future__ import annotations

import math
import time
import uuid
from functools import cached_property
from typing import TYPE_CHECKING

from django.db.models import Q

from agents.lifecycle import TaskState
from agents.models import Task
from projects.exceptions import CountersignError
from projects.models import Membership, Quota

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet

    from agents.requests import Sender

HOUR = 3_600  # seconds


class QuotaUsed(CountersignError):
    """The quota is used up. Nothing was submitted."""

    def __init__(self, quota: Quota | None = None, retry_after: int = 0) -> None:
        self.retry_after = retry_after  # seconds
        if quota is None:
            super().__init__()
            return
        whose = "You have" if quota.user_id else "This project has"
        super().__init__(
            f"{whose} handed over {_tasks(quota.hourly)} in the last hour, which is the quota. "
            f"Nothing was submitted; try again in {_spoken(retry_after)}."
        )


# What may become of a request on its way: it has to be counted; there is room for it.
COUNTED, ROOM = QuotaUsed(), QuotaUsed()


def admit(senders: Sequence[Sender]) -> list[QuotaUsed]:
    """Return ROOM, or the refusal, for one request of each sender, in this order.

    Locks the quotas until the transaction ends, so that nobody else counts meanwhile: what is let in
    here has to be written in the same transaction.
    """
    counts = [_Count(quota) for quota in _locked(senders)]
    outcomes = []
    for sender in senders:
        mine = [count for count in counts if count.holds_for(sender)]
        full = next((count for count in mine if count.full), None)
        if full is None:
            for count in mine:
                count.taken += 1
        outcomes.append(ROOM if full is None else full.refusal)
    return outcomes


def _locked(senders: Sequence[Sender]) -> list[Quota]:
    people = {sender.requester for sender in senders}
    projects = {sender.project for sender in senders}
    rows = Quota.objects.filter(Q(user__in=people) | Q(project__in=projects))
    return list(rows.select_for_update(no_key=True).order_by("pk"))


class _Count:
    """One quota: what was handed over in the last hour, and what is let in now."""

    def __init__(self, quota: Quota) -> None:
        self._quota = quota
        self._now = time.time()
        # By the time in the id, which ends the indexes of a person's, and of a project's, tasks.
        self._recent = _tasks_of(quota).filter(id__gt=_first_id(self._now - HOUR)).order_by("-id")
        self._counted = self.taken = self._recent[: quota.hourly].count()

    def holds_for(self, sender: Sender) -> bool:
        return sender.requester == self._quota.user_id or sender.project == self._quota.project_id

    @property
    def full(self) -> bool:
        return self.taken >= self._quota.hourly

    @cached_property
    def refusal(self) -> QuotaUsed:
        oldest = self._now
        if self._counted:
            oldest = _seconds_of(self._recent.values_list("pk", flat=True)[self._counted - 1])
        return QuotaUsed(self._quota, max(1, math.ceil(oldest + HOUR - self._now)))


def _tasks_of(quota: Quota) -> QuerySet[Task]:
    if quota.project_id:
        return Task.objects.filter(project=quota.project_id)
    # Every column of the index is named: it is gone through place by place, not as a whole.
    projects = Membership.objects.filter(user=quota.user_id).values_list("project", flat=True)
    return Task.objects.filter(
        requester=quota.user_id, project__in=list(projects), state__in=TaskState.values
    )


def _first_id(seconds: float) -> uuid.UUID:
    """Return the lowest UUIDv7 of a time (RFC 9562: 48 bits of milliseconds come first)."""
    return uuid.UUID(int=int(seconds * 1_000) << 80)


def _seconds_of(task_id: uuid.UUID) -> float:
    return (task_id.int >> 80) / 1_000


def _tasks(count: int) -> str:
    return f"{count:,} task" if count == 1 else f"{count:,} tasks"


def _spoken(seconds: int) -> str:
    return f"{seconds} s" if seconds < 120 else f"{math.ceil(seconds / 60)} min"
