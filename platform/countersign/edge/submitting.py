"""`POST /api/v1/tasks` at the edge: what it takes it answers; all else the API answers.

So a refusal has one wording: the serializer's, the view's, the permission's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import InterfaceError, OperationalError

from agents import requests
from agents.accepting import Accepted, Outdated
from countersign.api.limits import ClientGone, hand_on, read_body, refuse_body
from countersign.api.links import under
from countersign.api.problems import Problem, database_away, problem_of
from countersign.edge import senders, shapes
from countersign.edge.answers import answer, is_ours, refuse
from countersign.edge.batcher import batcher
from projects.exceptions import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Receive = Callable[[], Awaitable[Mapping[str, Any]]]
    Send = Callable[[Mapping[str, Any]], Awaitable[None]]
    Application = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]

PATH = "/api/v1/tasks"
_JSON = (b"application/json", b"application/json; charset=utf-8")
_ONCE = (b"authorization", b"content-type", b"host", b"idempotency-key")


@dataclass(slots=True, eq=False)
class _Envelope:
    """What the headers say of a request the edge can take."""

    bearer: str
    origin: str  # scheme and host, as the client knows us
    key: str
    address: str | None


def submitting(api: Application) -> Application:
    """Return an application that answers requests for work; what it cannot, `api` answers."""

    async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        try:
            body = await read_body(scope, receive)
        except ClientGone:
            return
        if body is None:
            await refuse_body(scope, send)
            return
        try:
            receipt = await _taken(scope, body)
        except Problem as problem:
            await refuse(send, problem, PATH)
            return
        if receipt is None:
            await hand_on(api, scope, body, receive, send)
        else:
            location = (b"location", receipt["links"]["self"].encode("latin-1"))
            await answer(send, 202, receipt, b"application/json", location)

    return application


async def _taken(scope: dict[str, Any], body: bytes) -> dict[str, Any] | None:
    """Return the receipt, None for what the API has to answer; raises Problem."""
    envelope, shape = _envelope(scope), shapes.read(body)
    if envelope is None or shape is None:
        return None
    try:
        asked = await _asked(envelope, shape)
    except (OperationalError, InterfaceError, TimeoutError) as error:
        raise database_away() from error
    if asked is None:
        return None
    outcome = await batcher().submit(asked)
    if isinstance(outcome, Outdated):
        senders.forget(envelope.bearer, shape.project)
        return None
    if not isinstance(outcome, Accepted):
        raise problem_of(outcome) or outcome
    return _receipt(outcome, envelope.origin)


async def _asked(envelope: _Envelope, shape: shapes.SubmitShape) -> requests.Asked | None:
    sender = senders.kept(envelope.bearer, shape.project)
    if sender is None and (sender := await senders.find(envelope.bearer, shape.project)) is None:
        return None
    try:
        return requests.ask(sender, key=envelope.key, address=envelope.address, **shape.asked())
    except InvalidInput:
        return None


def _envelope(scope: dict[str, Any]) -> _Envelope | None:
    found: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in _ONCE:
            if name in found:
                return None  # twice: whatever is meant, it is not for us to choose
            found[name] = value
    scheme, _, bearer = found.get(b"authorization", b"").decode("latin-1").partition(" ")
    host = found.get(b"host", b"").decode("latin-1")
    key = found.get(b"idempotency-key", b"").decode("latin-1")
    strange = not is_ours(host) or scope.get("root_path") or not _plain(key)
    if strange or scheme.lower() != "bearer" or found.get(b"content-type") not in _JSON:
        return None
    client = scope.get("client")
    address = client[0] if client else None
    return _Envelope(bearer.strip(), f"{scope['scheme']}://{host}", key, address)


def _plain(key: str) -> bool:
    return not key or (len(key) <= requests.MAX_KEY and key.isascii() and key.isprintable())


def _receipt(accepted: Accepted, origin: str) -> dict[str, Any]:
    links = under(origin, accepted.id, accepted.number)
    return {"id": accepted.id, "number": accepted.number, "state": "queued", "links": links}
