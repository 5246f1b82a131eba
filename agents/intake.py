"""Accepts requests: every front door ends in `submit`."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import IntegrityError, transaction

from agents import dispatch
from agents.events import Kind
from agents.lifecycle import StepKind, StepState
from agents.limits import Limits
from agents.models import AgentRole, AgentVersion, Step, Task
from agents.workspace import characters
from projects import audit
from projects.access import is_lead, require_member
from projects.exceptions import CountersignError, InvalidInput
from projects.failpoints import failpoint
from projects.prepared import Prepared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from projects.models import Project, User

MAX_CHARACTERS = 20_000
_TITLE = 80  # characters
_KEY = 200  # characters
_SENTENCE = re.compile(r"(?<=[.!?])\s")


class IdempotencyMismatch(CountersignError):
    """This Idempotency-Key was used for another request. Nothing was submitted; use a new key."""


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
) -> Submission:
    """Accept a request and ring the bell.

    The project's limits are ceilings: anybody may ask for less, only a tech lead for more.
    Twice with one key: the same task. Raises InvalidInput by field, IdempotencyMismatch, NotAllowed.
    """
    require_member(requester, project)
    _check(project, request, context or {}, idempotency_key)
    frozen = _limits(project, requester, limits)
    slugs = _specialists(agents)
    task = Task(
        project=project,
        requester=requester,
        request=request.strip(),
        title=title_of(request),
        context=context or {},
        requested_agents=slugs,
        limits=frozen.as_json(),
        model=settings.COUNTERSIGN_MODEL,
        idempotency_key=idempotency_key,
        request_digest=_digest(project, request, limits, slugs, context),
    )
    if known := _same_key(task):
        return known
    try:
        _create(task)
    except IntegrityError:
        # Two requests with one key: the unique constraint let the other one in.
        if known := _same_key(task):
            return known
        raise
    failpoint("intake.committed")
    return Submission(task=task, created=True)


def title_of(request: str) -> str:
    """Return the first sentence of a request, shortened for lists."""
    line = " ".join(_SENTENCE.split(request.strip().splitlines()[0])[0].split())
    return line if len(line) <= _TITLE else line[: _TITLE - 1].rstrip() + "…"


def _check(project: Project, request: Any, context: Any, key: Any) -> None:
    if project.archived_at is not None:
        raise InvalidInput("project", "This project is archived. Nothing was submitted.")
    # What nobody can see asks for nothing.
    if not isinstance(request, str) or characters.says_nothing(request):
        raise InvalidInput("request", "Say what you want done; the request is empty.")
    if len(request) > MAX_CHARACTERS:
        raise InvalidInput(
            "request",
            f"The request has {len(request):,} characters; at most {MAX_CHARACTERS:,} are taken. "
            "Shorten it, or put the details into the repository.",
        )
    _check_text("request", request)
    if not isinstance(key, str) or len(key) > _KEY:
        raise InvalidInput("idempotency_key", f"An Idempotency-Key has at most {_KEY} characters.")
    _check_text("idempotency_key", key)
    _check_context(_mapping("context", context))


def _check_context(context: dict[str, Any]) -> None:
    for text in _texts(context):
        _check_text("context", text)
    try:
        size = len(json.dumps(context, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        raise InvalidInput("context", "The context must be plain JSON.") from None
    if size > MAX_CHARACTERS:
        raise InvalidInput(
            "context", f"The context has {size:,} characters; at most {MAX_CHARACTERS:,} are taken."
        )


def _check_text(field: str, text: str) -> None:
    if "\0" in text:
        raise InvalidInput(field, "The text holds a NUL character. Remove it and submit again.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(
            field, "The text holds half a character (a lone surrogate). Submit it as valid Unicode."
        ) from None


def _texts(value: Any) -> Iterator[str]:
    rest = [value]
    while rest:
        match rest.pop():
            case str() as text:
                yield text
            case dict() as mapping:
                rest.extend([*mapping.keys(), *mapping.values()])
            case list() | tuple() as items:
                rest.extend(items)


def _mapping(field: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidInput(field, f"{field} must be an object.")
    return value


def _limits(project: Project, requester: User, given: Any) -> Limits:
    ceiling = Limits.of(project.limits)
    wanted = Limits.of(project.limits, _mapping("limits", given))
    above = wanted.above(ceiling)
    if above and not is_lead(requester, project):
        most = getattr(ceiling, above[0])
        raise InvalidInput(
            "limits",
            f"The limit {above[0]} is at most {most:,} in this project; "
            "only a tech lead of it may ask for more.",
        )
    return wanted


def _specialists(slugs: Any) -> list[str]:
    if slugs is None:
        return []
    if not isinstance(slugs, list) or not all(isinstance(slug, str) for slug in slugs):
        raise InvalidInput("agents", "agents must be a list of agent names.")
    versions = AgentVersion.objects.in_use(AgentRole.SPECIALIST)
    known = {version.agent.slug for version in versions} & set(slugs)
    if unknown := [slug for slug in slugs if slug not in known]:
        raise InvalidInput("agents", f"There is no enabled agent {unknown[0]!a} that does steps.")
    return sorted(known)


def _digest(project: Project, *body: Any) -> str:
    canonical = json.dumps([str(project.pk), *body], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _same_key(task: Task) -> Submission | None:
    if not task.idempotency_key:
        return None
    known = Task.objects.filter(
        requester=task.requester, idempotency_key=task.idempotency_key
    ).first()
    if known is None:
        return None
    if known.request_digest != task.request_digest:
        raise IdempotencyMismatch
    return Submission(task=known, created=False)


def _create(task: Task) -> None:
    version = _router()
    with transaction.atomic():
        task.save(force_insert=True)
        Step.objects.create(
            task=task,
            key="route",
            kind=StepKind.ROUTE,
            agent=version.agent,
            version=version,
            title="Plan the work",
            state=StepState.READY,
        )
        who = task.requester.display_name
        task.record(
            Kind.TASK_SUBMITTED,
            {"state": task.state, "title": task.title, "requester": who, "model": task.model},
        )
        audit.record("task.submitted", subject=task, actor=task.requester, project=task.project)
        failpoint("intake.written")
        transaction.on_commit(dispatch.ring, robust=True)


_ROUTERS = Prepared(lambda: AgentVersion.objects.in_use(AgentRole.ROUTER)[:1])


def _router() -> AgentVersion:
    version = next(iter(_ROUTERS()), None)
    if version is None:
        raise CountersignError(
            "No router agent is enabled, so nothing can be planned and nothing was submitted. "
            "Ask an admin to enable one."
        )
    return version
