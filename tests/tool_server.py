"""A real MCP server over HTTP for tests: it pays once for each idempotency key and says what it saw."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Self

import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver import Context  # noqa: TC002 - the server reads it at run time
from mcp.server.mcpserver.exceptions import ToolError
from starlette.applications import Starlette
from starlette.responses import RedirectResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request


class PayServer:
    """Offers the tool `pay`; a context manager. `calls` are (header, meta) of each call."""

    def __init__(self, *, elsewhere: str = "") -> None:
        self.calls: list[tuple[str, str]] = []
        self.paid: dict[str, int] = {}
        self.requests = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        app = self._leading(elsewhere) if elsewhere else self._paying()
        config = uvicorn.Config(self._counted(app), log_level="error", lifespan="on")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/mcp"

    def _paying(self) -> Starlette:
        server = MCPServer(name="pay")

        @server.tool()
        def pay(invoice: str, cents: int, ctx: Context) -> str:
            """Pay an invoice."""
            meta = dict(ctx.request_context.meta or {})
            key = str(meta.get("countersign/idempotency-key", ""))
            self.calls.append(((ctx.headers or {}).get("idempotency-key", ""), key))
            if cents < 0:
                raise ToolError("nobody pays less than nothing")
            self.paid.setdefault(key, cents)
            return f"Paid {invoice}."

        return server.streamable_http_app(stateless_http=True)

    def _leading(self, elsewhere: str) -> Starlette:
        async def lead(_: Request) -> RedirectResponse:
            return RedirectResponse(elsewhere, status_code=307)

        return Starlette(routes=[Route("/mcp", lead, methods=["GET", "POST", "DELETE"])])

    def _counted(self, app: Starlette):
        async def counted(scope, receive, send):
            self.requests += scope["type"] == "http"
            await app(scope, receive, send)

        return counted

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + 30
        while not self._server.started:
            assert time.monotonic() < deadline, "the tool server did not start"
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()
