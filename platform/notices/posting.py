"""Posts one message to an address outside, and trusts nothing about whoever answers."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from notices import targets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from notices.targets import Target

# For all of it, however slowly it trickles. Only the look-up of a name may take longer, which nobody
# can cut short: nothing is sent then.
SECONDS = 10.0
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
    until = time.monotonic() + SECONDS
    try:
        with _connected(target, until) as given, closing(_Given(target, given)) as connection:
            connection.request("POST", target.path, body, {**headers, "Host": target.header})
            answer = connection.getresponse()
            answer.read(ANSWER_BYTES)
            return Answer(answer.status)
    except (OSError, http.client.HTTPException, ValueError) as error:
        late = time.monotonic() >= until
        raise NotTaken(_LATE.format(SECONDS) if late else _reason(error)) from error


_LATE = "No answer within {:.0f} seconds."


class _Given(http.client.HTTPConnection):
    """A connection over a socket that is already there, and over no other."""

    def __init__(self, target: Target, given: socket.socket) -> None:
        super().__init__(target.host, target.port)
        self.sock = given
        self.auto_open = 0


def _opened(target: Target, until: float) -> socket.socket:
    *first, last = targets.resolve(target)
    for address in first:
        with suppress(OSError):
            return socket.create_connection((address, target.port), timeout=_left(until) / 3)
    return socket.create_connection((last, target.port), timeout=_left(until))


def _left(until: float) -> float:
    """Return the seconds that are left; raises TimeoutError when none are."""
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


@contextmanager
def _connected(target: Target, until: float) -> Iterator[socket.socket]:
    """Connect, and cut the connection when the time is over: a socket's limit is for each read only."""
    with _wrapped(target, _opened(target, until)) as given:
        clock = threading.Timer(_left(until), _cut, [given])
        clock.daemon = True
        clock.start()
        try:
            if isinstance(given, ssl.SSLSocket):
                given.do_handshake()
            yield given
        finally:
            clock.cancel()


def _wrapped(target: Target, given: socket.socket) -> socket.socket:
    """Return the socket to speak over; TLS is not spoken yet, a receiver may take its time with it."""
    given.settimeout(SECONDS)
    if target.scheme != "https":
        return given
    try:
        return ssl.create_default_context().wrap_socket(
            given, server_hostname=target.host, do_handshake_on_connect=False
        )
    except BaseException:
        given.close()
        raise


def _cut(given: socket.socket) -> None:
    try:
        socket.socket.shutdown(given, socket.SHUT_RDWR)  # that of a TLS socket forgets its state
    except OSError:
        return  # it has ended by itself


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"The TLS connection failed: {error.reason or type(error).__name__}."
    if isinstance(error, OSError):
        return f"It could not be reached: {error.strerror or type(error).__name__}."
    return "The answer was not HTTP, or was cut off."
