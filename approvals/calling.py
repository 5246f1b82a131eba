"""One signed tool call over MCP, an effect or a call an agent asked for, sent under its id as key.

The other side may keep the key and do the work once, however often it is sent. Nobody can be asked
afterwards whether a call landed, so a tool that is not marked idempotent is never sent twice.
"""

from __future__ import annotations

import json
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol, cast

from django.db import DatabaseError

from agents import storable
from agents.models import Tool
from agents.models.tools import Transport
from agents.workspace.addresses import without_secrets
from approvals import verifying
from approvals.exceptions import NotCarriedOut, NotNow, Refused, Uncertain
from approvals.models import EffectKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from mcp import Client
    from mcp_types import CallToolResult, RequestParamsMeta

    from approvals.models import Effect

logger = logging.getLogger(__name__)

HEADER = "Idempotency-Key"
META = "countersign/idempotency-key"
CONNECT_SECONDS = 15.0
CALL_SECONDS = 120.0
RESULT_CHARACTERS = 20_000
RESPONSE_BYTES = 1024**2  # of one answer of the server, and of one event of a stream
_SENDS = 2  # of an idempotent call whose answer is lost, before a person is asked


def sealed_call(tool: Tool, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return a tool call as a snapshot seals it: where it goes, with what, and to which definition."""
    return {
        "kind": str(EffectKind.MCP_CALL),
        "server": tool.server.slug,
        "target": tool.server.target,
        "tool": tool.name,
        "definition": tool.definition_digest,
        "idempotent": tool.idempotent,
        "arguments": storable.plain(arguments),
        "reversible": False,
    }


class Sendable(Protocol):
    """A row whose call may be sent: `arguments` as `sealed_call` made them."""

    @property
    def pk(self) -> Any:
        """Its id, which is its idempotency key."""

    @property
    def sent_at(self) -> datetime | None:
        """When it was first sent; from then on it may have landed."""

    @property
    def arguments(self) -> dict[str, Any]:
        """Where it goes, with what, and to which definition."""

    def note_sent(self) -> bool:
        """Put on record that the outside world is about to be touched; False: it must not be."""


def call(effect: Effect) -> dict[str, Any]:
    """Send the signed call and return what the tool answered; raises what `deliver` raises."""
    verifying.require_signed(effect)
    return deliver(effect)


def deliver(row: Sendable) -> dict[str, Any]:
    """Send a call whose permission was verified, and return what the tool answered.

    Called again after a crash: an idempotent tool is sent the same key again. Raises Refused
    (nothing was sent), NotNow (nothing was sent this time), NotCarriedOut (surely not done) or
    Uncertain (a person must look).
    """
    require_same_tool(row.arguments)
    again = bool(row.arguments["idempotent"])
    if row.sent_at is not None and not again:
        raise Uncertain("The worker died while the tool was called.")
    for left in reversed(range(_SENDS if again else 1)):
        try:
            return _result(_send(row))
        except Uncertain as lost:
            if not left:
                raise
            logger.warning("call %s is sent again under its key: %s", row.pk, lost)
    raise AssertionError("a call is sent at least once")


def require_same_tool(sealed: dict[str, Any]) -> None:
    """Raise Refused unless the server and the tool are still those that were signed."""
    tool = (
        Tool.objects.select_related("server")
        .filter(server__slug=sealed["server"], name=sealed["tool"])
        .first()
    )
    if tool is None or not (tool.enabled and tool.server.enabled):
        raise Refused(f"The tool {sealed['tool']} is no longer offered. Nothing was called.")
    if tool.server.transport != Transport.HTTP:
        raise Refused(f"{tool.server.name} cannot be reached over HTTP. Nothing was called.")
    if sealed_call(tool, sealed["arguments"]) != sealed:
        raise Refused(
            f"The tool {tool.name} or its server is not as it was signed. Nothing was called; "
            "propose it again."
        )


def _send(row: Sendable) -> CallToolResult:
    # Heavy, and only needed by the few who call tools: the effects worker stays small.
    from anyio.from_thread import start_blocking_portal

    sealed = row.arguments
    with start_blocking_portal() as portal:
        sent, may = row.sent_at is not None, True
        answer: CallToolResult | None = None
        try:
            with portal.wrap_async_context_manager(_connected(row)) as client:
                if may := row.note_sent():
                    sent = True
                    answer = portal.call(_call, client, row)
        except DatabaseError:
            raise  # what is on record is not known; the next turn looks
        except Exception as failure:
            if answer is not None:
                return answer  # only the good-bye failed
            if not may:
                raise NotNow from failure
            said = f"{sealed['tool']} at {sealed['server']}: {_said(failure)}"
            if sent:
                raise Uncertain(f"{said}.") from failure
            raise NotCarriedOut(f"{said}. Nothing was called.") from failure
        if answer is None:
            raise NotNow
        return answer


@asynccontextmanager
async def _connected(row: Sendable) -> AsyncIterator[Client]:
    import httpx2
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    from approvals.bounded import BoundedTransport

    async with httpx2.AsyncClient(
        transport=BoundedTransport(RESPONSE_BYTES),  # and without the proxies of our environment
        headers={HEADER: str(row.pk)},
        timeout=httpx2.Timeout(CONNECT_SECONDS, read=CALL_SECONDS),
        follow_redirects=False,  # the protocol's own client follows those that stay at the origin
    ) as web:
        target = row.arguments["target"]
        transport = streamable_http_client(
            target, http_client=web, max_sse_event_size=RESPONSE_BYTES
        )
        async with Client(transport, read_timeout_seconds=CALL_SECONDS, cache=None) as client:
            yield client


async def _call(client: Client, row: Sendable) -> CallToolResult:
    import anyio

    sealed = row.arguments
    meta = cast("RequestParamsMeta", {META: str(row.pk)})
    with anyio.fail_after(CALL_SECONDS):
        return await client.call_tool(sealed["tool"], sealed["arguments"], meta=meta)


def _result(answer: CallToolResult) -> dict[str, Any]:
    """Return what the tool said, cut to size; raises NotCarriedOut when it says that it failed."""
    texts = [part.text for part in answer.content if part.type == "text"]
    left_out = len(answer.content) - len(texts)
    said = storable.text("\n".join(texts))
    if answer.is_error:
        raise NotCarriedOut(f"The tool says that it failed: {_shortened(said, 500)}")
    result: dict[str, Any] = {"text": _shortened(said, RESULT_CHARACTERS)}
    if left_out:
        result["left_out"] = left_out  # pictures and files: nothing here shows them
    structured = storable.plain(answer.structured_content)
    if structured and len(json.dumps(structured)) <= RESULT_CHARACTERS:
        result["structured"] = structured
    return result


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _said(failure: BaseException) -> str:
    """Return the innermost reason in one line: task groups wrap what went wrong in groups."""
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    line = storable.text(" ".join(str(failure).split()))
    return _shortened(without_secrets(line), 300) or type(failure).__name__
