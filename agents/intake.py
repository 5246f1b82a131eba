"""The front door of work: every request of a person or a program ends in `submit_all`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import transaction

from agents import accepting, dispatch, requests
from agents.accepting import Accepted
from agents.events import tell_of_new
from agents.models import Task
from projects.failpoints import failpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agents.accepting import Outcome
    from agents.requests import Asked
    from projects.models import ApiToken, Project, User


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
    prepared: bool = False,
) -> Submission:
    """Accept one request and ring the bell.

    With `prepared` its work is done already: no quota keeps it out, and it needs no router.
    Twice with one key: the same task. Raises InvalidInput by field, NotAllowed,
    IdempotencyMismatch, QuotaUsed, NoRouter.
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
    outcome = submit_all([asked], prepared=prepared)[0]
    if not isinstance(outcome, Accepted):
        raise outcome
    task = Task.objects.select_related("project", "requester").get(pk=outcome.id)
    return Submission(task=task, created=outcome.created)


def submit_all(asked: Sequence[Asked], *, prepared: bool = False) -> list[Outcome]:
    """Accept many requests together, and ring once; say in order what became of each.

    Raises what says that the database is away, or gives it as the outcome of those it befell: then
    nobody knows whether they were accepted, and an Idempotency-Key helps.
    """
    outcomes = accepting.accept(asked, prepared=prepared)
    told = [
        (one.sender.project, one.id, outcome.number)
        for one, outcome in zip(asked, outcomes, strict=True)
        if isinstance(outcome, Accepted) and outcome.created
    ]
    if told:
        failpoint("intake.committed")
        transaction.on_commit(partial(tell_of_new, told), robust=True)
        transaction.on_commit(dispatch.ring, robust=True)
    return outcomes
