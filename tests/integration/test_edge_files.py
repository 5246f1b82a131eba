"""Scripts and styles at the edge: asked for once of Django, answered from memory from then on."""

from __future__ import annotations

import asyncio
import gzip

import pytest
from django.templatetags.static import static

from countersign import asgi
from countersign.edge import files

pytestmark = [
    pytest.mark.django_db(transaction=True),
    # As the application itself has it: files are small.
    pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume"),
]

PLAIN, PACKED = {}, {b"accept-encoding": b"gzip, br"}


class Site:
    """Django, with a count of what it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, scope, receive, send) -> None:
        self.asked += 1
        await asgi.django(scope, receive, send)


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def edge(site):
    return files.kept(site)


def ask(application, path, headers=PLAIN, method="GET", query=b""):
    """Ask as a server does; return status, headers and body."""

    pairs = headers.items() if isinstance(headers, dict) else headers

    async def asked():
        sent = []

        given = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive():
            return given.pop() if given else await asyncio.Event().wait()

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query,
            "headers": [(b"host", b"testserver"), *pairs],
        }
        await application(scope, receive, send)
        return sent

    start, *bodies = asyncio.run(asked())
    return (
        start["status"],
        {name.lower(): value for name, value in start["headers"]},
        b"".join(each.get("body", b"") for each in bodies),
    )


@pytest.mark.parametrize("headers", [PLAIN, PACKED])
def test_a_file_is_asked_for_once_and_says_the_same_again(edge, site, headers) -> None:
    first, again = (ask(edge, static("css/tokens.css"), headers) for _ in range(2))
    assert site.asked == 1
    assert (again[0], again[2]) == (200, first[2])
    assert first[1].items() <= again[1].items()
    assert again[1][b"content-length"] == str(len(first[2])).encode()
    assert again[1][b"cache-control"] == b"public, max-age=31536000, immutable"
    assert again[1][b"x-content-type-options"] == b"nosniff"


def test_packed_and_plain_are_two_answers_of_one_text(edge, site) -> None:
    url = static("js/console.js")
    for _ in range(2):
        plain, packed = ask(edge, url), ask(edge, url, PACKED)
        assert b"content-encoding" not in plain[1]
        assert packed[1][b"content-encoding"] == b"gzip"
        assert gzip.decompress(packed[2]) == plain[2]
    assert site.asked == 2


@pytest.mark.parametrize(
    "odd",
    [
        [(b"accept-encoding", b"gzip"), (b"accept-encoding", b"identity")],
        [(b"accept-encoding", b"xgzip")],
        [(b"accept-encoding", b"gzipped, br")],
    ],
)
def test_an_odd_request_changes_nothing_of_what_others_are_answered(edge, odd) -> None:
    url = static("css/tokens.css")
    ask(edge, url, odd)
    assert b"content-encoding" not in ask(edge, url)[1]
    assert ask(edge, url, PACKED)[1][b"content-encoding"] == b"gzip"


@pytest.mark.parametrize(
    "asked",
    [
        {"method": "HEAD"},
        {"method": "POST"},
        {"query": b"v=1"},
        {"headers": {b"range": b"bytes=0-9"}},
        {"headers": {b"if-modified-since": b"Sun, 29 Nov 2099 00:00:00 GMT"}},
    ],
)
def test_what_asks_for_something_else_is_answered_by_django(edge, site, asked) -> None:
    url = static("css/tokens.css")
    whole = ask(edge, url)
    other = [ask(edge, url, **asked) for _ in range(2)]
    assert site.asked == 3
    assert other[0][0] == other[1][0]
    assert (other[0][0], other[0][2]) != (200, b"") or asked["method"] == "HEAD"
    assert ask(edge, url)[2] == whole[2]
    assert site.asked == 3


@pytest.mark.parametrize("path", ["/static/css/tokens.css", "/static/0123456789ab/css/tokens.css"])
def test_what_may_change_is_asked_for_each_time(edge, site, path) -> None:
    for _ in range(2):
        assert ask(edge, path)[0] == 200
    assert site.asked == 2


def test_what_is_not_there_is_not_kept(edge, site) -> None:
    for _ in range(2):
        status, headers, _ = ask(edge, static("css/nothing.css"))
        assert status == 404
        assert (
            b"no-store"
            in {name.lower(): value for name, value in headers.items()}[b"cache-control"]
        )
    assert site.asked == 2


def test_an_answer_that_broke_off_is_not_kept() -> None:
    asked = []

    async def site(scope, receive, send) -> None:
        asked.append(scope["path"])
        headers = [(b"cache-control", b"immutable")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"half", "more_body": len(asked) == 1})

    edge = files.kept(site)
    bodies = [ask(edge, "/static/x")[2] for _ in range(3)]
    assert bodies == [b"half"] * 3
    assert len(asked) == 2
