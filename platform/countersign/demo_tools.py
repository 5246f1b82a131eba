"""The demo's tool server: reminds customers of open invoices, by saying so and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp.server import MCPServer
from mcp.server.mcpserver import Context  # noqa: TC002 - the server reads it at run time
from mcp_types import ToolAnnotations

from agents.models import Agent, ToolServer
from agents.seeding import Outside, offer_outside
from agents.workspace.demo import REMINDERS
from agents.workspace.server import Definition
from approvals.calling import META
from projects import audit

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.applications import Starlette

_AGENT = "coder"
_HINTS = ToolAnnotations(read_only_hint=False, idempotent_hint=True, open_world_hint=False)


def build(say: Callable[[str], None]) -> MCPServer:
    """Return the server; `say` is told of each reminder, once for each idempotency key."""
    server = MCPServer(name=REMINDERS.server, log_level="WARNING")
    sent: set[str] = set()

    @server.tool(name=REMINDERS.tool, annotations=_HINTS)
    def remind(invoice: str, customer: str, ctx: Context) -> str:
        """Remind a customer of an open invoice."""
        key = str((ctx.request_context.meta or {}).get(META, ""))
        if not key or key not in sent:
            sent.add(key)
            say(f"Reminded {customer} of invoice {invoice}.")
        return f"Reminded {customer}."

    return server


def served(server: MCPServer) -> Starlette:
    """Return it as it is served over HTTP, under /mcp."""
    return server.streamable_http_app(stateless_http=True)


async def offer(server: MCPServer, port: int) -> Outside:
    """Return what is to be pinned of the server when it listens on that port."""
    definitions = [
        Definition(
            name=tool.name,
            description=tool.description or "",
            input_schema=tool.input_schema,
            read_only=bool(tool.annotations and tool.annotations.read_only_hint),
            idempotent=bool(tool.annotations and tool.annotations.idempotent_hint),
        )
        for tool in await server.list_tools()
    ]
    return Outside(
        slug=REMINDERS.server,
        name="Reminders (demo)",
        target=f"http://127.0.0.1:{port}/mcp",
        definitions=definitions,
    )


def switch_on(found: Outside) -> ToolServer:
    """Pin its tools and grant them to the code agent; again after it moved or was switched off.

    Raises Agent.DoesNotExist when that agent was deleted, NotThisServer when its slug is another's.
    """
    server = offer_outside(found, to=Agent.objects.get(slug=_AGENT))
    audit.record("demo.tools_on", subject=server, actor=None, target=server.target)
    return server


def switch_off(server: ToolServer) -> bool:
    """Switch it off, and tell whether it was still there: what waits for permission is not called any
    more. One that was started since, elsewhere, stays on."""
    here = ToolServer.objects.filter(pk=server.pk, target=server.target)
    if not here.update(enabled=False):
        return False
    audit.record("demo.tools_off", subject=server, actor=None)
    return True
