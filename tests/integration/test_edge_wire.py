"""How answers leave the web server: head and body together, and neither waits for the other."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from countersign import asgi
from countersign.api.limits import MAX_BODY, MAX_PAGE
from countersign.edge.wire import Protocol
from tests.worker_fixtures import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ROUNDS = 20
_SEGMENTS_IN = 152  # where Linux' tcp_info says how many segments with data came in


@contextmanager
def _served(application: Callable[..., Any]) -> Iterator[socket.socket]:
    """Yield a connection to a server of this application."""
    with _serving(application) as address, socket.create_connection(address, timeout=5) as line:
        yield line


@contextmanager
def _serving(
    application: Callable[..., Any], *, http: type[Protocol] = Protocol, fd: int | None = None
) -> Iterator[tuple[str, int]]:
    config = uvicorn.Config(
        application, port=0, fd=fd, http=http, loop="uvloop", lifespan="off", log_level="warning"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started)
    address = server.servers[0].sockets[0].getsockname()
    try:
        yield address
    finally:
        server.should_exit = True
        thread.join()


def _ask(line: socket.socket, method: bytes = b"GET") -> bytes:
    line.sendall(method + b" / HTTP/1.1\r\nHost: here\r\n\r\n")
    return line.recv(65_536)


def _segments(line: socket.socket) -> int:
    told = line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SEGMENTS_IN + 4)
    return int(struct.unpack_from("I", told, _SEGMENTS_IN)[0])


def _answering(*bodies: bytes, length: int) -> Any:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"%d" % length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for place, body in enumerate(bodies, start=1):
            more = place < len(bodies)
            await send({"type": "http.response.body", "body": body, "more_body": more})

    return application


def test_no_packet_of_a_listener_that_was_handed_over_is_held_back() -> None:
    found = []

    class Seen(Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            plain = transport.get_extra_info("socket")
            found.append(plain.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        address, served = listener.getsockname(), _answering(b"hello", length=5)
        with (
            _serving(served, http=Seen, fd=listener.fileno()),
            socket.create_connection(address, timeout=5) as line,
        ):
            _ask(line)
    assert found == [1]


def test_head_and_body_arrive_in_one_piece() -> None:
    with _served(_answering(b"hello", length=5)) as line:
        answers = [_ask(line) for _ in range(_ROUNDS)]
        assert _segments(line) == _ROUNDS
    assert all(answer.startswith(b"HTTP/1.1 200 OK\r\n") for answer in answers)
    assert all(answer.endswith(b"\r\n\r\nhello") for answer in answers)


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_an_answer_without_a_body_arrives(method: bytes) -> None:
    with _served(_answering(b"", length=0)) as line:
        assert [_ask(line, method).endswith(b"\r\n\r\n") for _ in range(3)] == [True] * 3


def test_a_body_in_parts_arrives_in_order() -> None:
    with _served(_answering(b"one ", b"two ", b"three", length=13)) as line:
        answer = _ask(line)
        while not answer.endswith(b"three"):
            answer += line.recv(65_536)
    assert answer.endswith(b"\r\n\r\none two three")


def test_a_head_does_not_wait_for_a_body_that_comes_later() -> None:
    go_on = asyncio.Event()
    loops = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        loops.append(asyncio.get_running_loop())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"later"})

    with _served(application) as line:
        assert _ask(line).endswith(b"transfer-encoding: chunked\r\n\r\n")
        loops[0].call_soon_threadsafe(go_on.set)
        assert b"later" in line.recv(65_536)


def test_a_long_body_is_not_held_as_a_whole() -> None:
    part = b"x" * 50_000
    with _served(_answering(*[part] * 6, length=6 * len(part))) as line:
        answer = _ask(line)
        while not answer.endswith(part) or len(answer) < 6 * len(part):
            answer += line.recv(65_536)
    assert answer.partition(b"\r\n\r\n")[2] == part * 6


def test_answers_to_requests_sent_ahead_come_in_order() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    with _served(application) as line:
        line.sendall(b"".join(b"GET /%d HTTP/1.1\r\nHost: here\r\n\r\n" % n for n in range(5)))
        answer = b""
        while answer.count(b"HTTP/1.1") < 5 or not answer.endswith(b"/4"):
            answer += line.recv(65_536)
    bodies = [part.rpartition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1")[1:]]
    assert bodies == [b"/0", b"/1", b"/2", b"/3", b"/4"]


def test_the_last_answer_of_a_connection_leaves_before_it_is_closed() -> None:
    with _served(_answering(b"bye", length=3)) as line:
        line.sendall(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        answer = b""
        while data := line.recv(65_536):
            answer += data
    assert answer.endswith(b"\r\n\r\nbye")


def test_a_client_that_breaks_off_keeps_nobody_waiting() -> None:
    waiting: list[asyncio.Event] = []
    loops = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        go_on = asyncio.Event()
        loops.append(asyncio.get_running_loop())
        waiting.append(go_on)
        await go_on.wait()
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    async def answer_and_break(line: socket.socket) -> None:
        """Let all be answered in the turn in which a connection is found to be reset."""
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        line.close()
        for event in waiting:
            event.set()

    with _serving(application) as address:
        for round_ in range(1, 11):
            lines = [socket.create_connection(address, timeout=2) for _ in range(8)]
            for line in lines:
                line.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            until(lambda: len(waiting) == 8 * round_)  # noqa: B023
            asyncio.run_coroutine_threadsafe(answer_and_break(lines[0]), loops[0]).result(5)
            for line in lines[1:]:
                assert line.recv(65_536).endswith(b"ok")
                line.close()


def test_too_many_requests_sent_ahead_end_the_connection() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    with _served(application) as line:
        line.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n" * 200)
        assert b"400 Bad Request" in line.recv(65_536)


def test_no_more_is_read_while_requests_wait() -> None:
    served: list[str] = []
    go_on = threading.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        served.append(scope["path"])
        await asyncio.to_thread(go_on.wait)
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    some = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n" * 60
    with _served(application) as line:
        line.sendall(some)
        until(lambda: served)
        line.sendall(some)  # together more than may wait
        go_on.set()
        answer = b""
        while answer.count(b"\r\n\r\nok") < 120:
            data = line.recv(65_536)
            assert data
            answer += data
    assert b"400 Bad Request" not in answer


@pytest.mark.parametrize(
    ("address", "most"), [("/static/x", MAX_BODY), ("/sign-in", MAX_PAGE), ("/x/edits", MAX_PAGE)]
)
def test_a_body_without_an_end_is_refused_where_nobody_has_signed_in(
    address: str, most: int
) -> None:
    part = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    with _served(asgi.http) as line:
        line.sendall(f"POST {address} HTTP/1.1\r\nHost: localhost\r\n".encode())
        line.sendall(b"Transfer-Encoding: chunked\r\n\r\n" + part * (most // 65_536))
        line.sendall(b"1\r\nx\r\n")  # one byte more than may be, and the end never comes
        answer = b""
        while data := line.recv(65_536):
            answer += data
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.endswith(b"Nothing was read.")


def test_a_page_that_says_how_long_it_is_is_refused_unread() -> None:
    with _served(asgi.http) as line:
        line.sendall(b"POST /new HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999\r\n\r\n")
        assert line.recv(65_536).startswith(b"HTTP/1.1 413 ")
