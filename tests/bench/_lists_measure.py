"""Takes the time of pages: their statements inside this process, their first byte over the wire."""

from __future__ import annotations

import http.client
import json
import statistics
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.test import Client

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench._lists_pages import Measured

_READS = ("SELECT", "WITH", "(")


@dataclass
class Statements:
    """What one page asked of the database."""

    sent: list[tuple[str, Any]] = field(default_factory=list)
    waited_ms: float = 0.0

    def __call__(
        self,
        execute: Callable[..., Any],
        sql: str,
        params: Any,
        many: bool,
        context: Any,
    ) -> Any:
        """Execute and note."""
        began = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            self.waited_ms += (time.perf_counter() - began) * 1000
            self.sent.append((sql, params))


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What a page costs the database, by the server's own clock."""

    status: int
    queries: int
    server_ms: float  # execution
    planned_ms: float
    waited_ms: float
    walked: int
    slowest: str


class Persons:
    """Signed-in people: a session for pages, a token for the API."""

    def __init__(self) -> None:
        self.clients: dict[str, Client] = {"": Client()}
        self.tokens: dict[str, str] = {}

    def add(self, username: str) -> None:
        """Sign a person in."""
        from projects.models import User
        from projects.tokens import issue

        person = User.objects.get(username=username)
        self.clients[username] = Client()
        self.clients[username].force_login(person)
        self.tokens[username] = issue(person, name="bench")[1]

    def headers(self, page: Measured) -> dict[str, str]:
        """Return what a request of this page carries."""
        given = {"HX-Request": "true"} if page.fragment else {}
        if page.api:
            return given | {"Authorization": f"Bearer {self.tokens[page.who]}"}
        return given

    def cookie(self, page: Measured) -> str:
        """Return the session's cookie."""
        jar = self.clients[page.who].cookies
        return "; ".join(f"{name}={morsel.value}" for name, morsel in jar.items())


def costs(page: Measured, persons: Persons, *, times: int) -> Costs:
    """Ask for a page in this process, then have the server explain each of its statements."""
    client = persons.clients["" if page.api else page.who]
    passes: list[Statements] = []
    for _ in range(times + 1):  # the first warms up
        passes.append(Statements())
        with ExitStack() as stack:
            stack.enter_context(connection.execute_wrapper(passes[-1]))
            answer = client.get(page.path, headers=persons.headers(page))
            b"".join(answer) if answer.streaming else answer.content
    sent = passes[-1].sent
    plans = [_explained(sql, params, times) for sql, params in sent]
    slowest = max(zip(plans, sent, strict=True), key=lambda each: sum(each[0][:2]), default=None)
    return Costs(
        status=answer.status_code,
        queries=len(sent),
        server_ms=sum(taken for taken, _, _ in plans),
        planned_ms=sum(planned for _, planned, _ in plans),
        waited_ms=statistics.median(each.waited_ms for each in passes[1:]),
        walked=max((rows for _, _, rows in plans), default=0),
        slowest=slowest[1][0] if slowest else "",
    )


def _explained(sql: str, params: Any, times: int) -> tuple[float, float, int]:
    """Return how many ms a statement runs and is planned, and the most rows one scan of it walks."""
    if not sql.lstrip().startswith(_READS):
        return 0.0, 0.0, 0
    taken: list[float] = []
    planned: list[float] = []
    with connection.cursor() as cursor:
        for _ in range(times):
            cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}", params)
            found = cursor.fetchone()[0]
            plan = (json.loads(found) if isinstance(found, str) else found)[0]
            taken.append(plan["Execution Time"])
            planned.append(plan["Planning Time"])
    return statistics.median(taken), statistics.median(planned), _walked(plan["Plan"])


def _walked(node: dict[str, Any]) -> int:
    """Return the most rows one scan of a plan looks at, thrown away ones included."""
    below = max((_walked(child) for child in node.get("Plans", [])), default=0)
    if "Scan" not in node["Node Type"]:
        return below
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return max(below, round((node["Actual Rows"] + removed) * node["Actual Loops"]))


def first_bytes(page: Measured, persons: Persons, port: int, *, times: int) -> list[float]:
    """Return the milliseconds from the request to the first byte of its answer, of each time."""
    wire = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {**persons.headers(page), "Cookie": persons.cookie(page)}
    taken: list[float] = []
    for _ in range(times + 1):  # the first warms up
        began = time.perf_counter()
        wire.request("GET", page.path, headers=headers)
        answer = wire.getresponse()  # returns with the head, which is sent with the first byte
        taken.append((time.perf_counter() - began) * 1000)
        answer.read()
    wire.close()
    return taken[1:]
