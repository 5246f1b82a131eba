"""The way in for WebSockets: origin, identity, route."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from django.conf import settings

from countersign.edge.answers import is_ours
from countersign.live.consumers import ActivityConsumer, TaskConsumer, UnknownConsumer
from countersign.live.identity import headers_of, shown_by

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Receive = Callable[[], Awaitable[Mapping[str, Any]]]
    Send = Callable[[Mapping[str, Any]], Awaitable[None]]

_TASK = re.compile(r"/ws/tasks/(?P<task_id>[^/]+)\Z")
_TASK_CONSUMER: Any = TaskConsumer.as_asgi()
_OTHERS: dict[str, Any] = {"/ws/activity": ActivityConsumer.as_asgi()}
_UNKNOWN: Any = UnknownConsumer.as_asgi()


async def websocket(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Refuse foreign origins and hand over to the consumer, which finds out who it is."""
    headers = headers_of(scope)
    if not _origin_allowed(headers):
        await send({"type": "websocket.close", "code": 4403})
        return
    # In place, and nothing kept: with thousands of sockets a copy is a kilobyte for each.
    scope["shown"] = shown_by(headers)
    del headers
    await _consumer(scope)(scope, receive, send)


def _consumer(scope: dict[str, Any]) -> Any:
    """Return what serves the path; a task's id is in the scope then."""
    match = _TASK.match(scope["path"])
    scope["task"] = match["task_id"] if match else ""
    return _TASK_CONSUMER if match else _OTHERS.get(scope["path"], _UNKNOWN)


def _origin_allowed(headers: Mapping[bytes, bytes]) -> bool:
    """A browser always names the page's origin; only a bearer token may come without.

    The port counts: cookies do not tell ports apart, so another site on this host has ours.
    """
    host = headers.get(b"host", b"").decode("latin-1").lower()
    if not is_ours(host):
        return False
    origin = headers.get(b"origin", b"").decode("latin-1").lower()
    if not origin:
        return headers.get(b"authorization", b"").lower().startswith(b"bearer ")
    return origin in {f"http://{host}", f"https://{host}", *settings.CSRF_TRUSTED_ORIGINS}
