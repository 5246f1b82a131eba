"""A ticket stands for a check of a minute ago, beside what was shown, for one task, and no longer."""

from __future__ import annotations

import asyncio
import json
import re
import time

import pytest
from django.core import signing
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents.runtime.database import in_db
from countersign.api import problems
from countersign.live import identity, register, rights, tickets
from countersign.live.feeds import mux
from countersign.live.identity import Shown, Viewer
from projects import tokens
from projects.models import Membership
from tests.api_fixtures import submitted
from tests.live_fixtures import Watching, close_code, serving, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def task(project, requester):
    return submitted(project, requester)


@pytest.fixture
def session(requester):
    client = Client()
    client.force_login(requester)
    return client.cookies["sessionid"].value


def browser(host, session, **headers):
    client = Watching(host, "")
    client.headers = {"Cookie": f"sessionid={session}", "Origin": f"http://{host}", **headers}
    return client


async def test_a_page_comes_in_by_its_ticket_and_no_session_is_read(task, requester, session):
    ticket = tickets.make_for_page(session, requester.pk, task.pk)
    async with serving() as host:
        client = browser(host, session)
        queries = await in_db(lambda: CaptureQueriesContext(connection))
        await in_db(queries.__enter__)
        async with client.ws(f"/ws/tasks/{task.pk}?after=0&ticket={ticket}") as socket:
            assert json.loads(await socket.recv())["seq"] == 1
            asked = " ".join(
                query["sql"] for query in await in_db(lambda: queries.captured_queries)
            )
        await in_db(lambda: queries.__exit__(None, None, None))
    assert "django_session" not in asked
    assert "projects_membership" not in asked


def test_pages_of_a_task_carry_a_ticket(task, requester):
    client = Client()
    client.force_login(requester)
    session = Shown(session_key=client.cookies["sessionid"].value)
    for path in (f"/tasks/T-{task.number}", f"/tasks/T-{task.number}/trace"):
        told = re.search(r'data-ticket="([^"]+)"', client.get(path).content.decode())
        assert tickets.read(told[1], session, task.pk).user == requester.pk


async def test_a_ping_brings_a_new_ticket(task, requester, session, monkeypatch):
    monkeypatch.setattr(register, "PING_SECONDS", 0.05)
    async with serving() as host:
        client = browser(host, session)
        async with client.ws(f"/ws/tasks/{task.pk}?after=1") as socket:
            async with asyncio.timeout(10):
                ping = json.loads(await socket.recv())
        assert ping["kind"] == "ping"
        assert tickets.read(ping["ticket"], Shown(session_key=session), task.pk)
        async with client.ws(f"/ws/tasks/{task.pk}?ticket={ping['ticket']}") as socket:
            assert json.loads(await socket.recv())["seq"] == 1


def test_a_ticket_is_for_what_was_shown_and_for_one_task(task, requester, session, project):
    other = submitted(project, requester)
    ticket = tickets.make_for_page(session, requester.pk, task.pk)
    assert tickets.read(ticket, Shown(session_key=session), task.pk).user == requester.pk
    for shown in (Shown(), Shown(session_key="other"), Shown(bearer=session)):
        assert tickets.read(ticket, shown, task.pk) is None
    assert tickets.read(ticket, Shown(session_key=session), other.pk) is None
    assert session not in ticket


@pytest.mark.parametrize("bad", ["", "x", ".:.", "a.b.c.d.e:1:sig", "%00", "é" * 300])
def test_nonsense_is_no_ticket(task, session, bad):
    assert tickets.read(bad, Shown(session_key=session), task.pk) is None


def test_a_ticket_lasts_a_minute(task, requester, session, monkeypatch):
    ticket = tickets.make_for_page(session, requester.pk, task.pk)
    later = time.time() + tickets.SECONDS + 1
    monkeypatch.setattr(signing.time, "time", lambda: later)
    assert tickets.read(ticket, Shown(session_key=session), task.pk) is None


async def test_a_ticket_alone_opens_nothing(task, requester, session):
    ticket = tickets.make_for_page(session, requester.pk, task.pk)
    async with serving() as host:
        thief = Watching(host, "")
        thief.headers = {"Origin": f"http://{host}"}
        async with thief.ws(f"/ws/tasks/{task.pk}?ticket={ticket}") as socket:
            assert await close_code(socket) == 4401
        thief.headers = {"Cookie": "sessionid=abcdefgh12345678"}
        async with thief.open_sse(f"{task.pk}/stream?ticket={ticket}#") as (answer, _):
            assert answer.status_code in {401, 404}


async def test_who_came_by_a_ticket_is_checked_like_all(task, requester, session, monkeypatch):
    monkeypatch.setattr(register, "CHECK_SECONDS", 0.2)
    ticket = tickets.make_for_page(session, requester.pk, task.pk)
    await in_db(lambda: Membership.objects.all().delete())
    async with serving() as host:
        client = browser(host, session)
        async with client.ws(f"/ws/tasks/{task.pk}?ticket={ticket}") as socket:
            assert await close_code(socket) == 4403
        assert mux().watchers == 0


async def test_a_ticket_does_not_renew_itself(task, requester, session):
    ticket = tickets.make_for_page(session, requester.pk, task.pk)
    await in_db(lambda: Membership.objects.all().delete())
    async with serving() as host:
        client = browser(host, session)
        async with client.ws(f"/ws/tasks/{task.pk}?after=1&ticket={ticket}") as socket:
            await until(lambda: register.register().open == 1)
            await socket.send('{"kind": "ping"}')
            async with asyncio.timeout(10):
                assert json.loads(await socket.recv()) == {"kind": "ping"}


async def test_who_came_by_a_ticket_gets_another_after_a_check(
    task, requester, session, monkeypatch
):
    monkeypatch.setattr(register, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr(register, "PING_SECONDS", 0.1)
    ticket = tickets.make_for_page(session, requester.pk, task.pk)
    async with serving() as host:
        client = browser(host, session)
        async with client.ws(f"/ws/tasks/{task.pk}?after=1&ticket={ticket}") as socket:
            async with asyncio.timeout(10):
                while "ticket" not in (ping := json.loads(await socket.recv())):
                    assert ping == {"kind": "ping"}
        assert tickets.read(ping["ticket"], Shown(session_key=session), task.pk)


async def test_refusals_keep_nothing_of_a_request(task):
    async with serving() as host:
        nobody = Watching(host, "")
        for _ in range(3):
            async with nobody.open_sse(task) as (answer, _):
                assert answer.status_code == 401
    kept = [one for one in vars(problems).values() if isinstance(one, BaseException)]
    assert kept == []


async def test_a_revoked_token_is_refused_though_it_is_remembered(task, requester):
    token, text = await in_db(tokens.issue, requester, name="t")
    async with serving() as host:
        client = Watching(host, text)
        async with client.open_sse(task) as (answer, _):
            assert answer.status_code == 200
        await until(lambda: mux().watchers == 0)
        token.revoked_at = token.created_at
        await in_db(token.save)
        assert (await identity.viewer_of(Shown(bearer=text))).token == token.pk
        async with client.open_sse(task) as (answer, _):
            assert answer.status_code == 401


def test_rights_of_many_are_read_in_a_handful_of_queries(
    project, requester, lead, stranger, session, django_assert_max_num_queries
):
    token, _ = tokens.issue(lead, name="t")
    viewers = {
        Viewer(user=requester.pk, session_key=session),
        Viewer(user=lead.pk, session_key=session),  # another person's session
        Viewer(user=lead.pk, token=token.pk),
        Viewer(user=lead.pk, token=token.pk, project=stranger.pk),  # for another project
        Viewer(user=stranger.pk, session_key="nobody"),
    }
    viewers |= {Viewer(user=lead.pk, token=token.pk, credential=bytes([n])) for n in range(200)}
    with django_assert_max_num_queries(4):
        found = rights.projects_of(viewers)
    seen = [viewer for viewer, projects in found.items() if projects == {project.pk}]
    assert len(seen) == 202
    assert not any(projects for viewer, projects in found.items() if viewer not in seen)


def test_a_changed_password_ends_a_session_here_too(project, requester, session):
    viewer = Viewer(user=requester.pk, session_key=session)
    assert rights.projects_of({viewer})[viewer]
    requester.set_password("another")
    requester.save()
    assert not rights.projects_of({viewer})[viewer]
