"""The ASGI application: Django, with intake, streams and WebSockets as thin code before it."""

from __future__ import annotations

import gc
import os
import sys
import warnings
from functools import cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.db import DEFAULT_DB_ALIAS, connections
from django.template.loader import get_template
from django.urls import reverse

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "countersign.settings")
# First of all: everything below reads models.
_django = get_asgi_application()

from channels.routing import ProtocolTypeRouter  # noqa: E402

from countersign.api.limits import limit_body  # noqa: E402
from countersign.connections import keep_connections  # noqa: E402
from countersign.edge import batcher, files  # noqa: E402
from countersign.edge.submitting import PATH as TASKS  # noqa: E402
from countersign.edge.submitting import submitting  # noqa: E402
from countersign.live import feeds, sse  # noqa: E402
from countersign.live.sockets import websocket  # noqa: E402

if TYPE_CHECKING:
    from countersign.live.sse import Receive, Send

keep_connections(connections.settings[DEFAULT_DB_ALIAS], settings.KEPT_CONNECTIONS)
SWITCH_SECONDS = 0.0005
THRESHOLDS = (20_000, 20, 50)  # new objects, and collections of the generation before

# WhiteNoise hands Django a file to iterate; it is small and that is fine.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous")

# Django alone: the API as its views have it, the pages, the admin.
django = limit_body(_django)
_submit = submitting(_django)
_files = files.kept(django)


async def http(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Serve streams here (Django's own streaming costs ten times more), the rest by Django."""
    if scope["path"] == TASKS and scope["method"] == "POST":
        await _submit(scope, receive, send)
    elif sse.PATH.match(scope["path"]):
        await sse.stream(scope, receive, send)
    elif scope["path"].startswith(files.FOLDER):
        await _files(scope, receive, send)
    else:
        await django(scope, receive, send)


def read_ahead() -> None:
    """Read addresses and templates, or the first to ask for a page would wait for them: half a second."""
    reverse("console:home")
    folder = settings.RESOURCE_DIR / "templates"
    for path in folder.rglob("*.html"):
        get_template(str(path.relative_to(folder)))


@cache
def tune() -> None:
    """Set up the interpreter for a process of one busy event loop; once is enough.

    A thread that reads an answer of the database would wait 5 ms, the default, for the loop to let
    the interpreter go: five times in each transaction that takes requests. And what is there at the
    start stays: to look through it for garbage took a fifth of each request.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


async def lifespan(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Say yes to the server's start and stop."""
    read_ahead()  # and so what it read stays, too
    tune()
    while True:
        message = await receive()
        if message["type"] == "lifespan.shutdown":
            await batcher.close()
            await feeds.close()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


application = ProtocolTypeRouter({"http": http, "websocket": websocket, "lifespan": lifespan})
