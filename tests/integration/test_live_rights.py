"""Who may watch what: on connect, and again while they watch."""

from __future__ import annotations

import asyncio
import json
import uuid

import httpx
import psycopg
import pytest
import redis
import websockets
from django.db import connection
from django.test import Client
from django.urls import reverse

from agents.runtime.database import in_db
from countersign.live import control, register
from countersign.live.feeds import mux
from memory import posting
from projects import tokens
from projects.models import ApiToken, Membership, Project
from tests.api_fixtures import submitted
from tests.live_fixtures import SECONDS, Watching, close_code, finish, say, serving, until, watching

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def task(project, requester):
    return submitted(project, requester)


@pytest.fixture
def session(requester):
    """A signed-in browser's cookie."""
    client = Client()
    client.force_login(requester)
    return client.cookies["sessionid"].value


@pytest.fixture
def people(requester, lead, stranger, admin):
    return {"requester": requester, "lead": lead, "stranger": stranger, "admin": admin}


@pytest.mark.parametrize(
    ("who", "scopes", "status", "code"),
    [
        ("requester", ("tasks:read",), 200, 1000),
        ("lead", tokens.SCOPES, 200, 1000),
        ("requester", ("tasks:write", "approvals:read"), 401, 4401),
        ("stranger", tokens.SCOPES, 404, 4404),
        ("admin", tokens.SCOPES, 404, 4404),
        (None, (), 401, 4401),
    ],
)
async def test_on_connect(people, task, who, scopes, status, code):
    await in_db(finish, task)
    token = ""
    if who:
        _, token = await in_db(tokens.issue, people[who], name="test", scopes=scopes)
    async with serving() as host:
        client = Watching(host, token)
        assert (await client.sse(task))[0] == status
        headers = {} if token else {"Origin": f"http://{host}"}
        async with client.ws(f"/ws/tasks/{task.pk}", headers=headers) as socket:
            assert await close_code(socket) == code


@pytest.mark.parametrize("task_id", [str(uuid.uuid4()), "7", "%00", "..", "é"])
async def test_an_unknown_task_is_answered_like_a_foreign_one(requester, task_id, project):
    async with serving() as host:
        client = await watching(host, requester)
        async with client.open_sse(task_id) as (answer, _):
            assert answer.status_code == 404
        async with client.ws(f"/ws/tasks/{task_id}") as socket:
            assert await close_code(socket) == 4404


async def test_a_foreign_task_and_an_unknown_one_differ_in_nothing(task, stranger):
    async with serving() as host:
        client = await watching(host, stranger)
        bodies = []
        for each in (task.pk, uuid.uuid4()):
            async with client.open_sse(each) as (answer, _):
                document = json.loads(await answer.aread())
                assert document.pop("instance").endswith(f"{each}/stream")
                bodies.append((answer.status_code, document))
        assert bodies[0] == bodies[1]


@pytest.mark.parametrize("after", ["-1", "x", "9223372036854775808", "", "1.5", "٣"])
async def test_a_bad_cursor_is_refused(task, requester, after):
    async with serving() as host:
        client = await watching(host, requester)
        async with client.open_sse(task, after=after) as (answer, _):
            assert answer.status_code == 400
            assert "after" in json.loads(await answer.aread())["errors"]
        async with client.ws(f"/ws/tasks/{task.pk}?after={after}") as socket:
            assert await close_code(socket) == 4400


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_a_stream_is_only_read(task, requester, method):
    import httpx

    async with serving() as host:
        client = await watching(host, requester)
        async with httpx.AsyncClient() as http:
            url = f"http://{host}/api/v1/tasks/{task.pk}/stream"
            answer = await http.request(method, url, headers=client.headers)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_a_token_of_another_project_does_not_watch(task, requester):
    def other():
        made = Project.objects.create(slug="other", name="other", repository="/x.git")
        Membership.objects.create(user=requester, project=made, role="lead")
        return made

    elsewhere = await in_db(other)
    async with serving() as host:
        client = await watching(host, requester, project=elsewhere)
        assert (await client.sse(task))[0] == 404


async def test_a_browser_watches_by_its_session(task, session):
    await in_db(finish, task)
    async with serving() as host:
        cookie = {"Cookie": f"theme=dark; sessionid={session}"}
        client = Watching(host, "")
        client.headers = cookie
        assert (await client.sse(task))[0] == 200
        own = {"Origin": f"http://{host}"}
        async with client.ws(f"/ws/tasks/{task.pk}", headers=own) as socket:
            assert await close_code(socket) == 1000


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "http://evil.example",
        "null",
        "http://[",
        "https://localhost.evil.example",
        "http://127.0.0.1:9",
        "http://127.0.0.1",
        "http://evil.example\\@127.0.0.1",
    ],
)
async def test_another_origin_is_refused_before_the_handshake(task, session, origin):
    async with serving() as host:
        client = Watching(host, "")
        client.headers = {"Cookie": f"sessionid={session}"}
        headers = {} if origin is None else {"Origin": origin}
        with pytest.raises(websockets.InvalidStatus) as refused:
            await client.ws(f"/ws/tasks/{task.pk}", headers=headers)
        assert refused.value.response.status_code == 403


async def test_another_host_is_refused_even_with_a_token(requester):
    async with serving() as host:
        client = await watching(host, requester)
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        asked = {**client.headers, **upgrade, "Sec-WebSocket-Key": "A" * 22 + "=="}
        async with httpx.AsyncClient(timeout=SECONDS) as plain:
            for name, status in ((host, 101), ("evil.example", 403)):
                answer = plain.stream(
                    "GET", f"http://{host}/ws/activity", headers={**asked, "Host": name}
                )
                async with answer as opened:
                    assert opened.status_code == status


async def test_a_session_without_an_origin_needs_a_bearer_token(task, session):
    async with serving() as host:
        client = Watching(host, "")
        client.headers = {"Cookie": f"sessionid={session}", "Authorization": "Basic eDp5"}
        with pytest.raises(websockets.InvalidStatus):
            await client.ws(f"/ws/tasks/{task.pk}")


def _leave(user):
    Membership.objects.filter(user=user).delete()


def _revoke(user):
    from django.utils import timezone

    ApiToken.objects.filter(user=user).update(revoked_at=timezone.now())


def _disable(user):
    user.is_active = False
    user.save()


@pytest.mark.parametrize("loss", [_leave, _revoke, _disable])
async def test_a_lost_right_closes_what_is_open(task, requester, monkeypatch, loss):
    monkeypatch.setattr(register, "CHECK_SECONDS", 0.2)
    async with serving() as host:
        client = await watching(host, requester)
        stream = asyncio.create_task(client.sse(task))
        async with client.ws(f"/ws/tasks/{task.pk}") as socket:
            await until(lambda: register.register().open == 2)
            await in_db(loss, requester)
            assert await close_code(socket) == 4403
        await stream
        await in_db(say, task, "not for them")
    assert mux().watchers == 0


def test_a_lost_right_is_noticed_within_five_seconds():
    assert register.CHECK_SECONDS <= 5


async def test_signing_out_closes_what_is_open(task, session, monkeypatch):
    from django.contrib.sessions.models import Session

    monkeypatch.setattr(register, "CHECK_SECONDS", 0.2)
    async with serving() as host:
        client = Watching(host, "")
        client.headers = {"Cookie": f"sessionid={session}", "Origin": f"http://{host}"}
        async with client.ws(f"/ws/tasks/{task.pk}") as socket:
            await until(lambda: register.register().open == 1)
            await in_db(lambda: Session.objects.all().delete())
            assert await close_code(socket) == 4403


async def test_a_sign_out_closes_streams_before_the_clock_does(task, session, monkeypatch):
    monkeypatch.setattr(register, "CHECK_SECONDS", float(SECONDS))
    async with serving() as host:
        client = Watching(host, "")
        client.headers = {"Cookie": f"sessionid={session}", "Origin": f"http://{host}"}
        async with client.ws(f"/ws/tasks/{task.pk}") as socket:
            await until(_open_and_checked)
            await _sign_out(host, client.headers)
            async with asyncio.timeout(SECONDS / 4):
                assert await close_code(socket) == 4403


async def test_a_token_revoked_in_the_admin_closes_streams_at_once(
    task, requester, admin, monkeypatch
):
    monkeypatch.setattr(register, "CHECK_SECONDS", float(SECONDS))
    async with serving() as host:
        client = await watching(host, requester)
        async with client.ws(f"/ws/tasks/{task.pk}") as socket:
            await until(_open_and_checked)
            assert await in_db(_revoke_in_admin, admin, requester) == 302
            async with asyncio.timeout(SECONDS / 4):
                assert await close_code(socket) == 4403


def _open_and_checked():
    """Tell whether the check that a new subscription brings is over: what closes is told after it."""
    return register.register().open == 1 and not register.register()._told.is_set()


def _revoke_in_admin(admin, requester):
    browser = Client()
    browser.force_login(admin)
    chosen = [str(token.pk) for token in ApiToken.objects.filter(user=requester)]
    form = {"action": "revoke", "_selected_action": chosen}
    return browser.post(reverse("admin:projects_apitoken_changelist"), form).status_code


async def _sign_out(host, headers):
    async with httpx.AsyncClient(base_url=f"http://{host}", headers=headers) as page:
        token = (await page.get("/settings")).cookies["csrftoken"]
        cookies = {"Cookie": f"{headers['Cookie']}; csrftoken={token}", "X-CSRFToken": token}
        assert (await page.post("/sign-out", headers=cookies)).status_code == 302


def test_only_acts_of_somebody_let_rights_be_asked_again(session, admin, client, settings):
    with redis.Redis.from_url(settings.REDIS_URL) as bus, bus.pubsub() as heard:
        heard.subscribe(control.RIGHTS)
        heard.get_message(timeout=SECONDS)
        strict = Client(enforce_csrf_checks=True)
        strict.cookies["sessionid"] = session
        assert strict.post("/sign-out").status_code == 403
        client.post("/sign-out")
        client.post("/admin/login/", {"username": "nobody", "password": "wrong"})
        client.post("/admin/nothing/")
        client.force_login(admin)
        assert client.post("/admin/nothing/").status_code == 404
        assert posting.flush()
        bus.publish(control.RIGHTS, "nothing before")
        assert heard.get_message(timeout=SECONDS)["data"] == b"nothing before"
        assert client.post("/sign-out").status_code == 302
        assert heard.get_message(timeout=SECONDS)["type"] == "message"


async def test_activity_names_only_my_projects(task, requester, stranger, project):
    def elsewhere():
        made = Project.objects.create(slug="other", name="other", repository="/x.git")
        Membership.objects.create(user=stranger, project=made, role="lead")
        return submitted(made, stranger)

    foreign = await in_db(elsewhere)
    async with serving() as host:
        client = await watching(host, requester)
        async with client.ws("/ws/activity") as socket:
            assert json.loads(await socket.recv()) == {"kind": "resync"}
            await in_db(say, foreign, "secret")
            await in_db(say, task, "mine")
            frame = json.loads(await socket.recv())
    assert frame == {"task": str(task.pk), "number": task.number, "kind": "message", "seq": 2}


async def test_activity_takes_up_a_new_project(requester, lead, project, monkeypatch):
    monkeypatch.setattr(register, "CHECK_SECONDS", 0.2)

    def join():
        made = Project.objects.create(slug="other", name="other", repository="/x.git")
        for person in (requester, lead):
            Membership.objects.create(user=person, project=made, role="requester")
        return submitted(made, lead)

    async with serving() as host:
        client = await watching(host, requester)
        async with client.ws("/ws/activity") as socket:
            assert json.loads(await socket.recv()) == {"kind": "resync"}
            new = await in_db(join)
            assert json.loads(await socket.recv()) == {"kind": "resync"}
            await in_db(say, new, "hello")
            assert json.loads(await socket.recv())["task"] == str(new.pk)


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "x",
        "7",
        "[]",
        "{}",
        '{"kind": "pong"}',
        b"\x00",
        "[" * 100_000,
        '{"kind": "ping", "x": "' + "y" * 20_000 + '"}',
    ],
)
async def test_a_frame_we_do_not_know_closes_the_socket(task, requester, frame):
    async with serving() as host:
        client = await watching(host, requester)
        async with client.ws(f"/ws/tasks/{task.pk}") as socket:
            await socket.send(frame)
            assert await close_code(socket) == 4400


async def test_a_ping_is_answered(task, requester):
    async with serving() as host:
        client = await watching(host, requester)
        async with client.ws(f"/ws/tasks/{task.pk}?after=1") as socket:
            await until(lambda: register.register().open == 1)
            await socket.send('{"kind": "ping"}')
            answer = json.loads(await socket.recv())
            assert answer["kind"] == "ping"
            assert answer["ticket"]


@pytest.mark.parametrize("path", ["/ws/tasks/{}?after=1", "/ws/activity"])
async def test_a_ping_is_answered_only_once_the_feed_is_open(task, requester, path):
    info = connection.get_connection_params()
    wanted = ("host", "port", "user", "password", "dbname")
    async with serving() as host:
        client = await watching(host, requester)
        with psycopg.connect(**{name: info[name] for name in wanted if info.get(name)}) as holder:
            holder.execute("LOCK TABLE projects_membership")
            async with client.ws(path.format(task.pk)) as socket:
                await socket.send('{"kind": "ping"}')
                with pytest.raises(TimeoutError):  # accepted, but it may still be refused
                    await asyncio.wait_for(socket.recv(), 0.5)
                holder.rollback()
                async with asyncio.timeout(10):
                    assert json.loads(await socket.recv())["kind"] == "ping"
