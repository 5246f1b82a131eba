"""A body is read whole before anybody is asked to answer, or nobody is."""

from __future__ import annotations

import pytest

from countersign.api.limits import limit_body

SCOPE = {"type": "http", "path": "/sign-in", "headers": []}
GONE = {"type": "http.disconnect"}


async def asked(*messages: dict) -> list[bytes]:
    """Return the bodies an application was asked to answer, when these messages came in."""
    left, bodies = list(messages), []

    async def receive() -> dict:
        return left.pop(0)

    async def application(scope, receive, send) -> None:
        bodies.append((await receive())["body"])

    async def send(message) -> None:
        raise AssertionError(message)

    await limit_body(application)(SCOPE, receive, send)
    return bodies


def part(body: bytes, *, more: bool) -> dict:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_in_parts_is_handed_on_as_one():
    assert await asked(part(b"text=a", more=True), part(b"bc", more=False)) == [b"text=abc"]


@pytest.mark.parametrize("messages", [[GONE], [part(b"text=a", more=True), GONE]])
async def test_half_a_form_is_not_handed_on_as_a_whole_one(messages):
    assert await asked(*messages) == []
