"""A web process keeps its connections of the database: none is lost, and one that broke is replaced."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from agents.runtime import frozen
from projects.ids import uuid7
from tests.web_process import web

pytestmark = pytest.mark.django_db(transaction=True)
KEPT = 2


@pytest.fixture
def address(tmp_path):
    kept = {"COUNTERSIGN_KEPT_CONNECTIONS": str(KEPT), "SECRET_KEY": settings.SECRET_KEY}
    with web(tmp_path, **kept) as found:
        yield found


@pytest.fixture
def cookie(lead) -> str:
    client = Client()
    client.force_login(lead)
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"


def page(address: str, cookie: str) -> str:
    asked = urllib.request.Request(f"{address}/inbox", headers={"Cookie": cookie})  # noqa: S310  # our own
    with urllib.request.urlopen(asked, timeout=20) as answer:  # noqa: S310
        return answer.read().decode()


def stream(address: str, cookie: str) -> int:
    """Ask for the stream of no task: what serves streams looks for it."""
    path = f"{address}/api/v1/tasks/{uuid7()}/stream"
    asked = urllib.request.Request(path, headers={"Cookie": cookie})  # noqa: S310  # our own
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(asked, timeout=20)  # noqa: S310
    with refused.value:
        return refused.value.code


def names() -> set[str]:
    """Return what those who are connected call themselves."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT application_name FROM pg_stat_activity WHERE pid = ANY(%s)", [backends()]
        )
        return {name for (name,) in cursor.fetchall()}


def backends() -> list[int]:
    """Return the backends of others in the database of the test."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return [pid for (pid,) in cursor.fetchall()]


def test_requests_that_are_given_up_lose_no_connection(address, cookie):
    asked = f"GET /inbox HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n".encode()
    place = urlsplit(address)
    for _ in range(10 * KEPT):
        with socket.create_connection((place.hostname, place.port)) as given_up:
            given_up.sendall(asked)
    assert "Needs you" in page(address, cookie)
    assert 1 <= len(backends()) <= KEPT


def test_the_next_request_goes_on_with_the_same_connection(address, cookie):
    page(address, cookie)
    kept = backends()
    page(address, cookie)
    assert set(kept) & set(backends())


def test_connections_that_broke_are_replaced(address, cookie):
    page(address, cookie)
    broken = backends()
    assert broken
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s) pid", [broken])
    assert "Needs you" in page(address, cookie)
    assert not set(broken) & set(backends())


@pytest.mark.parametrize("first", ["stream", "page"])
def test_streams_and_pages_take_no_connection_of_each_other(address, cookie, first):
    if first == "stream":
        assert stream(address, cookie) == 404
    assert "Needs you" in page(address, cookie)
    if first == "page":
        assert stream(address, cookie) == 404
    assert names() == {"", frozen.NAME}
