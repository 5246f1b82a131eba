"""A small client of the public API: submit, read, follow by cursor."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any, Self

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 40.0  # the server pings every 15 s
AWAY_SECONDS = 120.0  # a server that is restarted is waited for so long
RETRY_SECONDS = 1.0
_NOT_CONNECTED = (httpx.ConnectError, httpx.ConnectTimeout)


class ServerAway(Exception):
    """The server does not answer."""


class ApiRefused(Exception):
    """The server said no, in its own words."""

    def __init__(self, said: str, *, status: int) -> None:
        super().__init__(said)
        self.status = status


class ApiClient:
    """One person's connection."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        timeout = httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
        headers = {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=timeout)
        self._answered = False  # whether a server was ever there

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self._http.close()

    def submit(self, *, project: str, request: str) -> dict[str, Any]:
        """Hand over a request; return the receipt.

        A server that goes away in mid-answer may have accepted it: it is asked again with the same
        idempotency key, so that there is one task.
        """
        sent = {"project": project, "request": request}
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return self._patiently("POST", "/api/v1/tasks", json=sent, headers=headers)

    def task(self, task_id: str) -> dict[str, Any]:
        """Return a task with everything done for it; waits for a server that is restarted."""
        return self._patiently("GET", f"/api/v1/tasks/{task_id}")

    def _patiently(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        """Ask until there is an answer; a server that never answered is not waited for."""
        away_since: float | None = None
        while True:
            try:
                answer = self._http.request(method, path, **more)
            except httpx.TransportError as error:
                away_since = away_since or time.monotonic()
                waited = time.monotonic() - away_since
                never_there = not self._answered and isinstance(error, _NOT_CONNECTED)
                if never_there or waited > AWAY_SECONDS:
                    raise self._away() from error
            else:
                self._answered = True
                if answer.is_error:
                    raise _refusal(answer)
                found: dict[str, Any] = answer.json()
                return found
            self._answered = True  # it was there, and was cut off
            time.sleep(RETRY_SECONDS)

    def follow(self, task_id: str, *, after: int = 0) -> Iterator[dict[str, Any]]:
        """Yield every frame once, across reconnects, until the task is over."""
        away_since: float | None = None
        while True:
            try:
                for name, frame in self._stream(task_id, after):
                    away_since = None
                    after = frame.get("seq", after)
                    if name == "end":
                        return
                    yield frame
            except httpx.TransportError as error:
                away_since = away_since or time.monotonic()
                if time.monotonic() - away_since > AWAY_SECONDS:
                    raise self._away() from error
            time.sleep(RETRY_SECONDS)

    def _stream(self, task_id: str, after: int) -> Iterator[tuple[str, dict[str, Any]]]:
        path = f"/api/v1/tasks/{task_id}/stream"
        with self._http.stream("GET", path, params={"after": after}) as answer:
            if answer.is_error:
                answer.read()
                raise _refusal(answer)
            name = ""
            for line in answer.iter_lines():
                field, _, value = line.partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    yield name, json.loads(value)
                    name = ""

    def _away(self) -> ServerAway:
        return ServerAway(
            f"No Countersign server answers at {self.url}. "
            "Start it with `make up`, or name another by --url."
        )


def _refusal(answer: httpx.Response) -> ApiRefused:
    try:
        problem = answer.json()
        fields = problem.get("errors", {}).items()
        said = [f"{name}: {' '.join(texts)}" for name, texts in fields]
        return ApiRefused(" ".join(said) or problem["detail"], status=answer.status_code)
    except (ValueError, KeyError, AttributeError):
        said_nothing = f"The server answered {answer.status_code} and no reason."
        return ApiRefused(said_nothing, status=answer.status_code)
