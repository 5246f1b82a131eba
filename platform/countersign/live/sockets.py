"""The way in for WebSockets: origin, identity, route."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from channels.routing import URLRouter
from django.conf import settings
from django.db import Error as DatabaseError
from django.http.request import split_domain_port, validate_host
from django.urls import path, re_path

from agents.runtime.database import in_db
from countersign.live.consumers import ActivityConsumer, TaskConsumer, UnknownConsumer
from countersign.live.identity import headers_of, viewer_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Receive = Callable[[], Awaitable[Mapping[str, Any]]]
    Send = Callable[[Mapping[str, Any]], Awaitable[None]]

# Django's path() is typed for views; Channels routes consumers by it.
_routes: Any = URLRouter(
    [
        path("ws/tasks/<str:task_id>", cast("Any", TaskConsumer.as_asgi())),
        path("ws/activity", cast("Any", ActivityConsumer.as_asgi())),
        re_path(r"", cast("Any", UnknownConsumer.as_asgi())),
    ]
)


async def websocket(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Refuse foreign origins, find out who it is, and hand over to the consumer."""
    headers = headers_of(scope)
    if not _origin_allowed(headers):
        await send({"type": "websocket.close", "code": 4403})
        return
    try:
        viewer = await in_db(viewer_of, headers)
    except DatabaseError:
        await send({"type": "websocket.close", "code": 1013})
        return
    await _routes({**scope, "viewer": viewer}, receive, send)


def _origin_allowed(headers: Mapping[bytes, bytes]) -> bool:
    """A browser always names the page's origin; only a bearer token may come without.

    The port counts: cookies do not tell ports apart, so another site on this host has ours.
    """
    origin = headers.get(b"origin", b"").decode("latin-1").lower()
    if not origin:
        return headers.get(b"authorization", b"").lower().startswith(b"bearer ")
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    host = headers.get(b"host", b"").decode("latin-1").lower()
    allowed = settings.ALLOWED_HOSTS or ["localhost", "127.0.0.1", "[::1]"]
    mine = origin in {f"http://{host}", f"https://{host}"}
    return mine and validate_host(split_domain_port(host)[0], allowed)
