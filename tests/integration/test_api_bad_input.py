"""Bad input gets the status of the contract, names the field and changes nothing."""

from __future__ import annotations

import asyncio
import json

import pytest
from django.db import connection

from agents.models import Task
from agents.runtime.database import in_db
from countersign.asgi import application
from projects import tokens
from tests.api_fixtures import URL, by_session, by_token, make_crew, submitted


@pytest.fixture(autouse=True)
def crew(db):
    make_crew()


@pytest.fixture
def call(requester):
    return by_token(requester)


@pytest.fixture
def body(project):
    return {"project": project.slug, "request": "Fix the billing bug"}


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"request": ""}, "request"),
        ({"request": " \n\t "}, "request"),
        ({"request": "x" * 20_001}, "request"),
        ({"request": "a\0b"}, "request"),
        ({"request": "a\ud800b"}, "request"),
        ({"request": 7}, "request"),
        ({"request": None}, "request"),
        ({"request": True}, "request"),
        ({"request": ["a"]}, "request"),
        ({"project": ["a"]}, "project"),
        ({"project": {}}, "project"),
        ({"project": "a\0b"}, "project"),
        ({"project": "x" * 61}, "project"),
        ({"limits": 5}, "limits"),
        ({"limits": []}, "limits"),
        ({"limits": {"usd": "5"}}, "limits.usd"),
        ({"limits": {"usd": -1}}, "limits"),
        ({"limits": {"tokens": True}}, "limits.tokens"),
        ({"limits": {"tokens": 0}}, "limits.tokens"),
        ({"limits": {"tokens": 1.5}}, "limits.tokens"),
        ({"limits": {"tokens": 10**400}}, "limits.tokens"),
        ({"limits": {"usd": 10**400}}, "limits.usd"),
        ({"limits": {"colour": 1}}, "limits.colour"),
        ({"agents": "coder"}, "agents"),
        ({"agents": [5]}, "agents.0"),
        ({"agents": ["nobody"]}, "agents"),
        ({"agents": ["a\0"]}, "agents.0"),
        ({"agents": ["coder"] * 21}, "agents"),
        ({"context": "x"}, "context"),
        ({"context": {"a": "\0"}}, "context"),
        ({"context": {"\ud800": 1}}, "context"),
        ({"context": {"a": ["b", {"c": "\udfff"}]}}, "context"),
        ({"context": {"a": "x" * 20_001}}, "context"),
        ({"state": "done"}, "state"),
        ({"id": "00000000-0000-7000-8000-000000000000"}, "id"),
        ({"requester": "somebody"}, "requester"),
        ({"number": 1}, "number"),
        ({"model": "openai:x"}, "model"),
        ({"\ud800": 1}, "\\ud800"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_submitted(call, body, more, field):
    answer = call.post(URL, {**body, **more})
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [field]
    assert not Task.objects.exists()


@pytest.mark.parametrize("missing", ["project", "request"])
def test_a_missing_field_is_named(call, body, missing):
    del body[missing]
    answer = call.post(URL, body)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [missing])


def test_exactly_20_000_characters_are_taken(call, body):
    raw = json.dumps({**body, "request": "é" * 20_000}, ensure_ascii=False).encode()
    assert call("POST", URL, raw=raw).status_code == 202


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"nonsense",
        b"[]",
        b"7",
        b'"text"',
        b"null",
        b"\xff\xfe{}",
        b'\xef\xbb\xbf{"a": 1}',
        b'{"project": NaN}',
        b'{"limits": {"usd": 1e999}}',
        b'{"limits": {"usd": Infinity}}',
        b'{"request": "a", "request": "b"}',
        b"[" * 50_000,
        b'{"a":' * 10_000,
        b'{"limits": {"tokens": ' + b"9" * 5_000 + b"}}",
    ],
)
def test_what_is_no_json_object_is_400(call, raw):
    assert call("POST", URL, raw=raw).status_code == 400
    assert not Task.objects.exists()


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "x", ""]
)
def test_another_media_type_is_415(call, body, media_type):
    answer = call("POST", URL, raw=json.dumps(body).encode(), content_type=media_type)
    assert answer.status_code == 415


def test_json_with_a_charset_is_json(call, body):
    media_type = "application/json; charset=utf-8"
    assert call.post(URL, body, content_type=media_type).status_code == 202


def test_a_body_over_64_kib_is_413(call, body):
    body["context"] = {"a": "x" * 65_536}
    assert call.post(URL, body).status_code == 413


@pytest.mark.parametrize("key", ["x" * 201, "é", "a\tb", "\x7f"])
def test_a_bad_idempotency_key_is_400(call, body, key):
    answer = call.post(URL, body, headers={"Idempotency-Key": key})
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["Idempotency-Key"]


def test_a_key_of_200_characters_is_taken(call, body):
    assert call.post(URL, body, headers={"Idempotency-Key": "x" * 200}).status_code == 202


def test_an_unknown_project_and_a_foreign_one_get_the_same_answer(project, stranger):
    call = by_token(stranger)
    foreign = call.post(URL, {"project": project.slug, "request": "Fix it"})
    unknown = call.post(URL, {"project": "nowhere", "request": "Fix it"})
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.content == unknown.content


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=",
        "limit=99999999999999999999",
        "cursor=x",
        "cursor=",
        "cursor=0199aaaaaaaa7000800000000000000000:tampered",
        "state=lost",
        "mine=perhaps",
        "project=a%00b",
        "cursor=%00",
        "project=" + "x" * 61,
    ],
)
def test_bad_query_parameters_of_a_list_are_400(call, query):
    answer = call.get(f"{URL}?{query}")
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [query.partition("=")[0]]


@pytest.mark.parametrize("query", ["after=-1", "after=x", "after=9223372036854775808", "limit=0"])
def test_bad_query_parameters_of_events_are_400(call, project, requester, query):
    task = submitted(project, requester)
    assert call.get(f"{URL}/{task.pk}/events?{query}").status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/api/",
        "/api/v1",
        "/api/v2/tasks",
        "/api/v1/tasks/",
        "/api/v1/tasks/7",
        "/api/v1/tasks/%00",
        "/api/v1/tasks/..%2f..",
        "/api/v1/approvals/none",
        "/api/v1/nothing",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_address_that_leads_nowhere_is_404(call, method, path):
    answer = call.client.generic(method, path, headers=call.headers)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "", "GET, POST"),
        ("DELETE", "", "GET, POST"),
        ("DELETE", "/{task}", "GET"),
        ("PATCH", "/{task}", "GET"),
        ("GET", "/{task}/cancel", "POST"),
        ("POST", "/{task}/events", "GET"),
    ],
)
def test_a_wrong_method_is_405_with_the_right_ones(requester, project, method, path, allowed):
    task = submitted(project, requester)
    answer = by_session(requester)(method, URL + path.format(task=task.pk))
    assert answer.status_code == 405
    assert answer.headers["Allow"].replace(", HEAD", "").replace(", OPTIONS", "") == allowed


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("notes", {}, "text"),
        ("notes", {"text": ""}, "text"),
        ("notes", {"text": " "}, "text"),
        ("notes", {"text": "\0"}, "text"),
        ("notes", {"text": "x" * 4_001}, "text"),
        ("notes", {"text": "x", "author": "lead"}, "author"),
        ("cancel", {"reason": 5}, "reason"),
        ("cancel", {"reason": "\0"}, "reason"),
        ("cancel", {"force": True}, "force"),
    ],
)
def test_steering_with_bad_input_names_the_field(call, project, requester, path, body, field):
    task = submitted(project, requester)
    answer = call.post(f"{URL}/{task.pk}/{path}", body)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


def test_a_host_that_is_not_ours_is_400(call):
    answer = call.get(URL, HTTP_HOST="evil.example")
    assert answer.status_code == 400


def test_no_database_is_503_with_a_time_to_come_again(call, body, monkeypatch):
    call.get(URL)  # the connection is open: the next statement finds nobody there
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = cursor.fetchone()[0]
    kill = _killer()
    kill.execute("SELECT pg_terminate_backend(%s)", [backend])
    try:
        answer = call.post(URL, body)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
    finally:
        kill.connection.close()
        connection.close()


def _killer():
    import psycopg

    parameters = connection.get_connection_params()
    known = ("host", "port", "user", "password", "dbname")
    return psycopg.connect(
        autocommit=True, **{name: parameters[name] for name in known if name in parameters}
    ).cursor()


async def _post(chunks, headers):
    """Send raw body chunks through the ASGI application; return status, document, chunks read."""
    sent, read = [], 0

    async def receive():
        nonlocal read
        if read == len(chunks):
            await asyncio.Event().wait()  # the client stays
        read += 1
        return {
            "type": "http.request",
            "body": chunks[read - 1],
            "more_body": read < len(chunks),
        }

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": URL,
        "raw_path": URL.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json"), *headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await application(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], json.loads(body), read


async def test_a_declared_length_over_the_limit_is_refused_before_reading():
    status, document, read = await _post([b"{}"], [(b"content-length", b"65537")])
    assert (status, document["status"], read) == (413, 413, 0)


async def test_a_chunked_body_over_the_limit_is_refused_while_it_comes():
    status, document, read = await _post([b"x" * 30_000] * 10, [])
    assert (status, document["status"], read) == (413, 413, 3)


@pytest.mark.django_db(transaction=True)
async def test_a_chunked_body_within_the_limit_is_read(requester, project):
    _, token = await in_db(tokens.issue, requester, name="test")
    raw = json.dumps({"project": project.slug, "request": "Fix it"}).encode()
    chunks = [raw[:10], raw[10:20], raw[20:]]
    status, document, _ = await _post(chunks, [(b"authorization", f"Bearer {token}".encode())])
    assert (status, document["state"]) == (202, "queued")
