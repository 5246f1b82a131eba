"""The review page of a long change: sent in parts, whole, with what decides at its end."""

from __future__ import annotations

import asyncio
import re
import zlib
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents.runtime.database import in_db
from approvals import sealing
from countersign import asgi
from countersign.console import diff
from tests.approval_fixtures import FILES, make_change, make_repository

if TYPE_CHECKING:
    from approvals.models import Approval

pytestmark = pytest.mark.django_db(transaction=True)

LINES = [f"line {number}" for number in range(1, 241)]
TEXTS = {
    "billing/invoice.py": "".join(f"{line} = {line!r}  # <b>\n" for line in LINES),
    "docs/rounding.md": "".join(f"- {line}\n" for line in LINES),
    "README.md": "Another service.\n",
}


@pytest.fixture
def approval(project, requester, lead, tmp_path) -> Approval:
    make_repository(tmp_path, project)
    return sealing.seal(make_change(project, requester, tmp_path, texts=TEXTS))


@pytest.fixture
def client(lead) -> Client:
    diff._drawn.cache.clear()
    client = Client()
    client.force_login(lead)
    return client


def address_of(approval: Approval) -> str:
    return f"/review/T-{approval.task.number}/r1"


async def asked(client: Client, path: str, encoding: str) -> tuple[dict[bytes, bytes], list[bytes]]:
    """Ask the application as a server does; return the headers and each part it sent."""
    sent = []
    headers = {
        b"host": b"testserver",
        b"cookie": f"sessionid={client.cookies['sessionid'].value}".encode(),
        b"accept-encoding": encoding.encode(),
    }
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": list(headers.items()),
        "http_version": "1.1",
        "scheme": "http",
    }

    asks = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive():
        return asks.pop() if asks else await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    await asgi.django(scope, receive, send)
    assert sent[0]["status"] == 200
    return dict(sent[0]["headers"]), [message.get("body", b"") for message in sent[1:]]


def test_every_line_is_shown_and_the_decision_comes_last(client, approval):
    page = client.get(address_of(approval)).getvalue().decode()
    assert page.count('class="diff-cell diff-new diff-add"') == sum(
        text.count("\n") for text in TEXTS.values()
    )
    assert page.count('class="diff-cell diff-old diff-del"') == sum(
        FILES[path].count("\n") for path in TEXTS
    )
    hunks = [hunk["id"] for file in approval.snapshot["files"] for hunk in file["hunks"]]
    assert sorted(re.findall(r'data-hunk="([^"]+)"', page)) == sorted(hunks)
    assert page.index('id="decision"') > max(page.index(f'id="h-{hunk}"') for hunk in hunks)
    assert "# <b>" not in page


def test_the_files_are_drawn_without_a_statement(client, approval):
    answer = client.get(address_of(approval))
    assert answer.streaming
    with CaptureQueriesContext(connection) as asked_for:
        parts = list(answer.streaming_content)
    assert [part.count(b"data-file>") for part in parts[:2]] == [0, 1]
    assert all(len(part) >= 64 * 1024 for part in parts[2:-2])
    assert b"".join(parts).count(b"data-file>") == len(TEXTS)
    assert not asked_for.captured_queries


async def test_a_browser_can_show_the_top_before_the_rest_is_drawn(client, approval):
    headers, parts = await asked(client, address_of(approval), "gzip")
    assert headers[b"Content-Encoding"] == b"gzip"
    unpack = zlib.decompressobj(wbits=31)
    top = unpack.decompress(parts[0]).decode()
    assert "If you approve" in top
    assert "data-file" not in top
    assert unpack.decompress(parts[1]).decode().count("data-file>") == 1
    end = b"".join(map(unpack.decompress, parts[2:])).decode()
    assert end.count("data-file>") == len(TEXTS) - 1
    assert 'id="decision"' in end
    assert end.rstrip().endswith("</html>")
    assert unpack.eof
    assert not unpack.unused_data


async def test_who_takes_no_gzip_is_sent_the_same(client, approval):
    _, plain = await asked(client, address_of(approval), "identity")
    whole = await in_db(lambda: client.get(address_of(approval)).getvalue())
    assert plain_of(b"".join(plain)) == plain_of(whole)


def plain_of(page: bytes) -> str:
    """Leave out what is made anew for each answer: the form's token, and the socket's ticket."""
    anew = r'(name="csrfmiddlewaretoken" value|data-ticket)="[^"]*"'
    return re.sub(anew, "", page.decode())
