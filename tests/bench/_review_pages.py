"""Takes the time of a review page: its first byte over the wire, and all of it in Chromium."""

from __future__ import annotations

import http.client
import threading
import time
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from playwright.sync_api import Browser, Page, Response

WIDTH, HEIGHT = 1440, 900
# Everything the page named is there, and the frame after it is on the screen.
_SHOWN = """
window.shown = new Promise((tell) => {
  addEventListener("load", () => requestAnimationFrame(() => setTimeout(() => tell(performance.now()))));
});
"""
_TIMES = """async () => {
  const shown = await window.shown;
  const { loadEventEnd } = performance.getEntriesByType("navigation")[0];
  return { loaded: loadEventEnd, shown };
}"""
_STATIC = ("content-type", "cache-control")


@dataclass
class Wire:
    """What asking for pages over one connection took, in milliseconds."""

    first: list[float] = field(default_factory=list)
    size: int = 0  # gzipped


@dataclass
class Shown:
    """What opening pages in Chromium took, in milliseconds from the navigation."""

    loaded: list[float] = field(default_factory=list)
    shown: list[float] = field(default_factory=list)  # painted, too
    elements: int = 0


def ask(paths: Sequence[str], cookies: dict[str, str], port: int, says: bytes = b"") -> Wire:
    """Ask for each path once, as a browser does, and take the time until it says this.

    Fails when one is not answered 200. A byte that says nothing is none: a page may come in parts.
    """
    wire, line = Wire(), http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    headers = {"Cookie": cookie, "Accept-Encoding": "gzip"}
    line.request("GET", "/healthz")  # the connection stands before anything is measured
    line.getresponse().read()
    for path in paths:
        began = time.perf_counter()
        line.request("GET", path, headers=headers)
        answer = line.getresponse()
        sent = _read_until(says, answer)
        wire.first.append((time.perf_counter() - began) * 1000)
        wire.size = len(sent + answer.read())
        assert answer.status == 200, (path, answer.status)
    line.close()
    return wire


def _read_until(says: bytes, answer: http.client.HTTPResponse) -> bytes:
    sent = answer.read1()
    packed = answer.getheader("Content-Encoding") == "gzip"
    while says not in (zlib.decompressobj(31).decompress(sent) if packed else sent):
        more = answer.read1()
        assert more, f"It does not say {says!r}."
        sent += more
    return sent


class Visitor:
    """Somebody who has signed in."""

    def __init__(self, browser: Browser, address: str, cookies: dict[str, str]) -> None:
        self.browser, self.address, self.cookies = browser, address, cookies

    @contextmanager
    def page(self) -> Iterator[Page]:
        """Open a browser that keeps nothing from before."""
        context = self.browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
        context.add_cookies(
            [
                {"name": name, "value": value, "url": self.address}
                for name, value in self.cookies.items()
            ]
        )
        context.add_init_script(_SHOWN)
        context.set_default_timeout(60_000)
        yield context.new_page()
        context.close()

    def open_new(self, path: str, shown: Shown) -> None:
        """Open a page in a browser of its own."""
        with self.page() as page:
            _open(page, self.address + path, shown)

    def open_again(self, path: str, shown: Shown, memory: Shown, times: int) -> None:
        """Open a page again and again, in turn with the same bytes out of memory."""
        with self.page() as page, from_memory(page, self.address + path) as held:
            _open(page, held, Shown())  # its files are kept from here on, as those of the house are
            for _ in range(times):
                _open(page, self.address + path, shown)
                _open(page, held, memory)


def _open(page: Page, address: str, shown: Shown) -> None:
    answer = page.goto(address)
    assert answer is not None, address
    assert answer.status == 200, address
    times = page.evaluate(_TIMES)
    shown.loaded.append(times["loaded"])
    shown.shown.append(times["shown"])
    shown.elements = page.evaluate("document.querySelectorAll('*').length")


@contextmanager
def from_memory(page: Page, address: str) -> Iterator[str]:
    """Open a page once, then serve the same bytes out of memory: what is left is the browser's.

    Yields its address there.
    """
    kept: dict[str, Response] = {}

    def keep(answer: Response) -> None:
        kept.setdefault(urlsplit(answer.url).path, answer)

    page.on("response", keep)
    page.goto(address)
    page.wait_for_load_state("networkidle")
    page.remove_listener("response", keep)
    held = {path: _held(answer) for path, answer in kept.items() if answer.status == 200}
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(held))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{urlsplit(address).path}"
    finally:
        server.shutdown()
        server.server_close()


def _held(answer: Response) -> tuple[dict[str, str], bytes]:
    headers = {name: value for name, value in answer.headers.items() if name in _STATIC}
    return headers, answer.body()


def _handler(held: dict[str, tuple[dict[str, str], bytes]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers with what was kept, or not at all."""

        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            headers, body = held.get(urlsplit(self.path).path, ({}, b""))
            self.send_response(200 if headers else 404)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler
