"""Posts one message to an address outside, and trusts nothing about whoever answers."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from notices import targets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from notices.targets import Target

SECONDS = 10.0  # for all of it, however slowly it trickles
ANSWER_BYTES = 4_096  # read and thrown away
AGENT = "Countersign"


class NotTaken(Exception):
    """The message did not arrive, as far as anybody can tell."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; the body says nothing we would believe."""

    status: int


def post(address: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Post the body once: no redirect is followed, no proxy of the environment is used.

    Raises Refused where it may not go, or NotTaken.
    """
    target = targets.target_of(address)
    began = time.monotonic()
    try:
        connection = _connected(target)
        with _ended_in_time(connection):
            connection.request("POST", target.path, body, {**headers, "Host": target.header})
            answer = connection.getresponse()
            answer.read(ANSWER_BYTES)
            return Answer(answer.status)
    except (OSError, http.client.HTTPException, ValueError) as error:
        late = time.monotonic() - began >= SECONDS
        raise NotTaken(_LATE.format(SECONDS) if late else _reason(error)) from error


_LATE = "No answer within {:.0f} seconds."


class _Given(http.client.HTTPConnection):
    """A connection over a socket that is already there, and over no other."""

    def __init__(self, target: Target, given: socket.socket) -> None:
        super().__init__(target.host, target.port)
        self.sock = given
        self.auto_open = 0


def _opened(target: Target) -> socket.socket:
    *first, last = targets.resolve(target)
    for address in first:
        with suppress(OSError):
            return socket.create_connection((address, target.port), timeout=SECONDS / 3)
    return socket.create_connection((last, target.port), timeout=SECONDS)


def _connected(target: Target) -> http.client.HTTPConnection:
    given = _opened(target)
    given.settimeout(SECONDS)
    try:
        if target.scheme == "https":
            given = ssl.create_default_context().wrap_socket(given, server_hostname=target.host)
    except BaseException:
        given.close()
        raise
    return _Given(target, given)


@contextmanager
def _ended_in_time(connection: http.client.HTTPConnection) -> Iterator[None]:
    """Cut the connection when the time is over: its own limit is for each read only."""
    clock = threading.Timer(SECONDS, _cut, [connection.sock])
    clock.daemon = True
    clock.start()
    try:
        yield
    finally:
        clock.cancel()
        connection.close()


def _cut(given: socket.socket) -> None:
    try:
        given.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it has ended by itself


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"The TLS connection failed: {error.reason or type(error).__name__}."
    if isinstance(error, OSError):
        return f"It could not be reached: {error.strerror or type(error).__name__}."
    return "The answer was not HTTP, or was cut off."
