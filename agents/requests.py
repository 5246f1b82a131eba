"""What may be asked for: a request for work, checked and measured before it is written."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.conf import settings

from agents.limits import Limits
from agents.models import AgentRole, AgentVersion
from projects import characters
from projects.access import require_member
from projects.exceptions import InvalidInput
from projects.ids import uuid7_text
from projects.models import Role

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator

    from projects.models import ApiToken, Project, User

MAX_CHARACTERS = 20_000
_TITLE = 80  # characters
MAX_KEY = 200  # characters
_SENTENCE = re.compile(r"(?<=[.!?])\s")


@dataclass(frozen=True, kw_only=True, eq=False)
class Sender:
    """Who asks in which project, as the rows said; they are asked again when a request is written.

    So it may be kept: what is written from it is right, or not written.
    """

    project: uuid.UUID
    slug: str  # it may be another project's by now
    requester: uuid.UUID
    name: str
    username: str
    role: str
    ceiling: dict[str, Any]  # what the project lays down about limits
    model: str
    token: uuid.UUID | None = None

    @cached_property
    def limits(self) -> Limits:
        """The limits of a request that names none."""
        return Limits.of(self.ceiling)

    @cached_property
    def frozen(self) -> dict[str, Any]:
        """The same, as they are kept on the task."""
        return self.limits.as_json()


@dataclass(slots=True, kw_only=True, eq=False)
class Asked:
    """One request that may be accepted; its id is the task's."""

    sender: Sender
    request: str
    title: str
    context: dict[str, Any]
    agents: list[str]
    limits: dict[str, Any]
    key: str
    digest: str
    address: str | None
    id: str = field(default_factory=uuid7_text)


def sender_of(user: User, project: Project, token: ApiToken | None = None) -> Sender:
    """Return the sender; raises NotAllowed for strangers, InvalidInput for an archived project."""
    role = require_member(user, project)
    if project.archived_at is not None:
        raise InvalidInput("project", "This project is archived. Nothing was submitted.")
    return Sender(
        project=project.pk,
        slug=project.slug,
        requester=user.pk,
        name=user.display_name,
        username=user.username,
        role=role,
        ceiling=project.limits,
        model=settings.COUNTERSIGN_MODEL,
        token=token.pk if token else None,
    )


def ask(
    sender: Sender,
    *,
    request: str,
    limits: dict[str, Any] | None = None,
    agents: list[str] | None = None,
    context: dict[str, Any] | None = None,
    key: str = "",
    address: str | None = None,
) -> Asked:
    """Return what may be accepted; raises InvalidInput by field. Reads rows only for `agents`.

    The project's limits are ceilings: anybody may ask for less, only a tech lead for more.
    """
    _check(request, context or {}, key)
    slugs = _specialists(agents)
    return Asked(
        sender=sender,
        request=request.strip(),
        title=title_of(request),
        context=context or {},
        agents=slugs,
        limits=_limits(sender, limits),
        key=key,
        digest=_digest(sender.project, request, limits, slugs, context),
        address=address,
    )


def title_of(request: str) -> str:
    """Return the first sentence of a request, shortened for lists."""
    line = request.strip().splitlines()[0]
    if end := _SENTENCE.search(line):
        line = line[: end.start()]
    line = " ".join(line.split())
    return line if len(line) <= _TITLE else line[: _TITLE - 1].rstrip() + "…"


def _check(request: Any, context: Any, key: Any) -> None:
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
    if not isinstance(key, str) or len(key) > MAX_KEY:
        raise InvalidInput(
            "idempotency_key", f"An Idempotency-Key has at most {MAX_KEY} characters."
        )
    _check_text("idempotency_key", key)
    if context:
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


def _limits(sender: Sender, given: Any) -> dict[str, Any]:
    if not (asked := _mapping("limits", given)):
        return sender.frozen
    ceiling = sender.limits
    wanted = Limits.of(sender.ceiling, asked)
    above = wanted.above(ceiling)
    if above and sender.role != Role.LEAD:
        most = getattr(ceiling, above[0])
        raise InvalidInput(
            "limits",
            f"The limit {above[0]} is at most {most:,} in this project; "
            "only a tech lead of it may ask for more.",
        )
    return wanted.as_json()


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


def _digest(project: uuid.UUID, request: str, limits: Any, slugs: list[str], context: Any) -> str:
    """Return what tells requests apart. It is stored: another spelling would refuse every old key."""
    if limits is None and not slugs and context is None:  # as most are: the same, made faster
        told = f'["{project}",{_CANONICAL.encode(request)},null,[],null]'
    else:
        told = _CANONICAL.encode([str(project), request, limits, slugs, context])
    return hashlib.sha256(told.encode()).hexdigest()


# Made once: `json.dumps` would make one for every request.
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
