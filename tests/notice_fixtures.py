"""What tests of the notices floor begin with: a place in the log, events, and reading them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models.functions import Now

from agents import events
from approvals import sealing
from notices import delivering, reading
from notices.lockbox import lock
from notices.models import Delivery, Kind, Notification, Webhook
from tests.approval_fixtures import make_report

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.models import Event, Task
    from approvals.models import Approval
    from projects.models import Project, User


SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def sealed(project: Project, requester: User) -> Approval:
    """Return an approval that waits, asked for after the place in the log."""
    return sealing.seal(make_report(project, requester))


def happens(task: Task, _kind: str, **data: object) -> Event:
    """Write one event as the floors below do."""
    with transaction.atomic():
        return task.record(events.Kind(_kind), data)


def read_all() -> int:
    """Read the log to its end, as the notifier does turn by turn."""
    count = 0
    while read := reading.read_new():
        count += read
    return count


def told(person: User) -> list[str]:
    """Return the types of what a person's bell tells, oldest first."""
    rows = Notification.objects.filter(person=person).order_by("id")
    return list(rows.values_list("notice__type", flat=True))


def at_once(*works: Callable[[], object]) -> list[BaseException]:
    """Do things on threads that begin together; return what failed."""
    gate, failed = threading.Barrier(len(works)), []

    def run(work: Callable[[], object]) -> None:
        try:
            gate.wait(20)
            work()
        except BaseException as error:  # noqa: BLE001  # told to the caller
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return failed


def make_webhook(project: Project, url: str, **facts: Any) -> Webhook:
    """Return a webhook of a project that is told of everything."""
    return Webhook.objects.create(
        **{
            "project": project,
            "name": f"hook {Webhook.objects.count()}",
            "host": "127.0.0.1",
            "address": lock(url),
            "secret": lock(SECRET),
            "kinds": Kind.values,
            **facts,
        }
    )


def deliver_due() -> None:
    """Send what is due, one after another, as the notifier's hands do side by side."""
    for delivery in delivering.due(200):
        delivering.carry_out(delivery.pk)


def time_comes() -> None:
    """Let the time of every delivery come that waits for it."""
    Delivery.objects.filter(finished_at=None).update(next_at=Now())
