"""The front door of work: every request of a person or a program ends in `submit_all`."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import DataError, IntegrityError, transaction

from agents import accepting, dispatch, requests
from agents.accepting import Accepted
from agents.events import tell_of_new
from agents.models import Task
from projects import audit
from projects.exceptions import CountersignError
from projects.failpoints import failpoint
from projects.models import Project, User

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agents.accepting import Outcome
    from agents.requests import Asked
    from projects.models import ApiToken

logger = logging.getLogger(__name__)


class NotStorable(CountersignError):
    """The database cannot keep this request as it is. Nothing was submitted."""


@dataclass(frozen=True, kw_only=True)
class Submission:
    """The task of a request, and whether this call made it."""

    task: Task
    created: bool


def submit(
    *,
    project: Project,
    requester: User,
    request: str,
    limits: dict[str, Any] | None = None,
    agents: list[str] | None = None,
    context: dict[str, Any] | None = None,
    idempotency_key: str = "",
    token: ApiToken | None = None,
    address: str | None = None,
) -> Submission:
    """Accept one request and ring the bell.

    Twice with one key: the same task. Raises InvalidInput by field, NotAllowed, IdempotencyMismatch,
    QuotaUsed.
    """
    asked = requests.ask(
        requests.sender_of(requester, project, token),
        request=request,
        limits=limits,
        agents=agents,
        context=context,
        key=idempotency_key,
        address=address,
    )
    outcome = submit_all([asked])[0]
    if not isinstance(outcome, Accepted):
        raise outcome
    task = Task.objects.select_related("project", "requester").get(pk=outcome.id)
    return Submission(task=task, created=outcome.created)


def submit_all(asked: Sequence[Asked]) -> list[Outcome]:
    """Accept many requests in one transaction, and ring once; say in order what became of each.

    One that the database refuses to keep does not keep the others out. Raises what says that the
    database is away: then nobody knows whether they were accepted, and an Idempotency-Key helps.
    """
    try:
        with transaction.atomic():
            outcomes = accepting.accept(asked)
            new = [
                (one, outcome)
                for one, outcome in zip(asked, outcomes, strict=True)
                if isinstance(outcome, Accepted) and outcome.created
            ]
            _enter(new)
            failpoint("intake.written")
    except (DataError, IntegrityError) as error:
        return _halves(asked, error)
    if new:
        failpoint("intake.committed")
    return outcomes


def _halves(asked: Sequence[Asked], error: Exception) -> list[Outcome]:
    if len(asked) == 1:
        logger.warning("a request cannot be stored: %s", type(error).__name__, exc_info=error)
        return [NotStorable()]
    middle = len(asked) // 2
    return [*submit_all(asked[:middle]), *submit_all(asked[middle:])]


def _enter(new: list[tuple[Asked, Accepted]]) -> None:
    """Audit what was accepted, and let it be known after the commit."""
    if not new:
        return
    audit.record_all([_act(group) for group in _by_sender(new)])
    told = [(one.sender.project, one.id, accepted.number) for one, accepted in new]
    transaction.on_commit(partial(tell_of_new, told), robust=True)
    transaction.on_commit(dispatch.ring, robust=True)


def _by_sender(new: list[tuple[Asked, Accepted]]) -> list[list[Asked]]:
    """Put together what one person handed over in one project from one address."""
    groups: dict[Any, list[Asked]] = {}
    for one, _ in new:
        who = one.sender.project, one.sender.requester, one.address
        groups.setdefault(who, []).append(one)
    return list(groups.values())


def _act(group: list[Asked]) -> audit.Act:
    """One entry of the audit log for what came together: an entry each would halve the rate."""
    first, sender = group[0], group[0].sender
    others = [str(one.id) for one in group[1:]]
    return audit.Act(
        action="task.submitted",
        subject=Task(pk=first.id),
        actor=User(pk=sender.requester, username=sender.username),
        project=Project(pk=sender.project),
        address=first.address,
        detail={"and": others} if others else {},
    )
