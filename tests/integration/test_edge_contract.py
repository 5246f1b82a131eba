"""The edge and the API's view give the same answer to every request for work."""

from __future__ import annotations

import asyncio
import json
import random
import re

import httpx
import pytest

from agents.models import Arrival, Event, Step, Task
from agents.runtime.database import in_db
from countersign.asgi import django
from projects import tokens
from projects.models import AuditEntry, Membership, Project, Quota, Role
from tests.api_fixtures import URL, make_crew
from tests.live_fixtures import SECONDS, serving

pytestmark = pytest.mark.django_db(transaction=True)

JSON = {"Content-Type": "application/json"}
GOOD = {"project": "acme-billing", "request": "Fix the billing bug"}
_UNIQUE = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|T-\d+|(?<=\"number\":)\d+|:\d{4,5}/"
)
_COMPARED = ("content-type", "location", "retry-after", "www-authenticate")


class Both:
    """One person's requests, sent to the edge and to the view."""

    def __init__(self, edge, view, token):
        self.hosts = {"edge": edge, "view": view}
        self.headers = {**JSON, "Authorization": f"Bearer {token}"}

    async def send(self, where, body=None, *, content=None, **headers):
        """Send once; return what the contract says of the answer."""
        told = {
            **self.headers,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        told = {name: value for name, value in told.items() if value is not None}
        if content is None:
            content = json.dumps(GOOD if body is None else body).encode()
        async with httpx.AsyncClient(timeout=SECONDS) as client:
            answer = await client.post(
                f"http://{self.hosts[where]}{URL}", content=content, headers=told
            )
        kept = {name: answer.headers.get(name) for name in _COMPARED}
        return answer.status_code, kept, answer.text

    async def compare(self, body=None, *, content=None, **headers):
        """Send to both; the answers differ in ids alone. Return the status."""
        edge, view = [
            await self.send(where, body, content=content, **headers) for where in ("edge", "view")
        ]
        assert _plain(edge) == _plain(view)
        return edge[0]


def _plain(answer):
    status, headers, text = answer
    return (
        status,
        {name: _UNIQUE.sub("~", value or "") for name, value in headers.items()},
        (_UNIQUE.sub("~", text)),
    )


@pytest.fixture
async def both(project, requester):
    await in_db(make_crew)
    _, token = await in_db(tokens.issue, requester, name="both")
    async with serving() as edge, serving(app=django) as view:
        yield Both(edge, view, token)


BODIES = {
    "the least": ({}, 202),
    "limits": ({"limits": {"usd": 1, "seconds": 60, "rounds": 2, "steps": 3, "tokens": 9}}, 202),
    "no limits": ({"limits": {}}, 202),
    "a limit beyond the project": ({"limits": {"usd": 99}}, 400),
    "a limit below all": ({"limits": {"usd": -1}}, 400),
    "an unknown limit": ({"limits": {"turns": 1}}, 400),
    "a limit as text": ({"limits": {"usd": "1"}}, 400),
    "a limit that is true": ({"limits": {"steps": True}}, 400),
    "limits that are null": ({"limits": None}, 400),
    "a context": ({"context": {"ticket": "BILL-7", "lines": [1, 2.5, None, {"deep": "é"}]}}, 202),
    "a context too large": ({"context": {"text": "x" * 20_000}}, 400),
    "a context with NUL": ({"context": {"a\0": "b"}}, 400),
    "a context that is a list": ({"context": []}, 400),
    "chosen agents": ({"agents": ["coder"]}, 202),
    "unknown agents": ({"agents": ["nobody"]}, 400),
    "an unknown field": ({"priority": 1}, 400),
    "Unicode": ({"request": "Prüfe die Rechnung 🧾 für Ünal; 修复舍入错误。"}, 202),
    "right to left": ({"request": "\u202eتحقق من الفاتورة"}, 202),
    "an escape": ({"request": "\ud83e\uddfe und \u2028"}, 202),
    "half a character": ({"request": "a\ud800b"}, 400),
    "NUL": ({"request": "a\0b"}, 400),
    "blank": ({"request": " \n\t\u200b"}, 400),
    "empty": ({"request": ""}, 400),
    "the longest": ({"request": "x" * 20_000}, 202),
    "too long": ({"request": "x" * 20_001}, 400),
    "the longest in emoji": ({"request": "🧾" * 17_000}, 413),
    "a number": ({"request": 7}, 400),
    "null": ({"request": None}, 400),
    "an unknown project": ({"project": "nobody-knows"}, 404),
    "somebody else's project": ({"project": "secret"}, 404),
    "a project too long": ({"project": "x" * 61}, 400),
    "no project": ({"project": ""}, 400),
    "a project with NUL": ({"project": "acme\0billing"}, 400),
    "half a character for a project": ({"project": "\ud800"}, 400),
    "a project in Greek": ({"project": "χρέωση"}, 404),
    "an archived project": ({"project": "old"}, 400),
}


@pytest.mark.parametrize("name", BODIES)
async def test_bodies(both, requester, name):
    await in_db(_other_projects, requester)
    more, status = BODIES[name]
    content = json.dumps({**GOOD, **more}, ensure_ascii="emoji" not in name).encode()
    assert await both.compare(content=content) == status
    assert await in_db(Task.objects.count) == (2 if status == 202 else 0)


def _other_projects(requester):
    Project.objects.create(slug="secret", name="secret", repository="/nowhere.git")
    old = Project.objects.create(slug="old", name="old", repository="/nowhere.git")
    Membership.objects.create(user=requester, project=old, role=Role.REQUESTER)
    Project.objects.filter(pk=old.pk).update(archived_at="2026-01-01T00:00:00Z")


RAW = {
    "nothing": (b"", 400),
    "no JSON": (b"{", 400),
    "a list": (b"[]", 400),
    "a text": (b'"x"', 400),
    "a key twice": (b'{"project":"acme-billing","request":"a","request":"b"}', 400),
    "not a number": (b'{"project":"acme-billing","request":"a","context":{"n":NaN}}', 400),
    "an infinite number": (b'{"project":"acme-billing","request":"a","context":{"n":1e999}}', 400),
    "a byte order mark": (b'\xef\xbb\xbf{"project":"acme-billing","request":"a"}', 400),
    "Latin-1": ('{"project":"acme-billing","request":"ä"}'.encode("latin-1"), 400),
    "nested too deep": (b'{"context":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}", 400),
    "a huge number": (
        b'{"project":"acme-billing","request":"a","context":{"n":' + b"9" * 4_000 + b"}}",
        202,
    ),
    "oversize": (b" " * 65_537, 413),
    "the largest": (b" " * 65_400 + json.dumps(GOOD).encode(), 202),
}


@pytest.mark.parametrize("name", RAW)
async def test_raw_bodies(both, name):
    content, status = RAW[name]
    assert await both.compare(content=content) == status


HEADERS = {
    "a charset": ({"Content_Type": "application/json; charset=utf-8"}, 202),
    "a charset in capitals": ({"Content_Type": 'Application/JSON; charset="UTF-8"'}, 202),
    "another charset": ({"Content_Type": "application/json; charset=latin-1"}, 202),
    "another media type": ({"Content_Type": "text/plain"}, 415),
    "no media type": ({"Content_Type": None}, 415),
    "nobody": ({"Authorization": None}, 401),
    "an unknown token": ({"Authorization": "Bearer cs_0000000000000000_nothing"}, 401),
    "no token": ({"Authorization": "Bearer"}, 401),
    "another scheme": ({"Authorization": "Basic bWlyYTptaXJh"}, 401),
    "a key": ({"Idempotency_Key": "k-1"}, 202),
    "the longest key": ({"Idempotency_Key": "k" * 200}, 202),
    "a key too long": ({"Idempotency_Key": "k" * 201}, 400),
    "a key of other letters": ({"Idempotency_Key": "schlüssel".encode("latin-1")}, 400),
    "another host": ({"Host": "evil.example"}, 400),
}


@pytest.mark.parametrize("name", HEADERS)
async def test_headers(both, name):
    headers, status = HEADERS[name]
    assert await both.compare(**headers) == status


async def test_a_token_without_the_scope_or_for_another_project(both, requester):
    other = await in_db(Project.objects.create, slug="o", name="o", repository="/nowhere.git")
    _, reads = await in_db(tokens.issue, requester, name="reads", scopes=("tasks:read",))
    _, elsewhere = await in_db(tokens.issue, requester, name="elsewhere", project=other)
    assert await both.compare(Authorization=f"Bearer {reads}") == 403
    assert await both.compare(Authorization=f"Bearer {elsewhere}") == 404


async def test_random_bodies(both):
    chance = random.Random(2811)  # noqa: S311 - bodies to try, the same each time
    pieces = [None, True, 0, -1, 2**70, 1.5, "", "x", "acme-billing", "a\0b", "\ud800", [], {}]
    names = ["project", "request", "limits", "context", "usd", "seconds", "agents", "odd"]

    def any_body(depth=0):
        if depth > 2 or chance.random() < 0.4:
            return chance.choice(pieces)
        chosen = chance.sample(names, chance.randint(0, 4))
        return {name: any_body(depth + 1) for name in chosen}

    seen = set()
    for _ in range(60):
        odd = any_body()
        body = {**GOOD, **odd} if isinstance(odd, dict) and chance.random() < 0.7 else odd
        seen.add(await both.compare(body))
    assert {202, 400} <= seen


async def test_a_key_is_replayed_by_either(both):
    first, second = [await both.send(where, Idempotency_Key="again") for where in ("edge", "view")]
    assert json.loads(first[2])["id"] == json.loads(second[2])["id"]
    again = await both.send("edge", Idempotency_Key="again")
    assert (again[0], again[2].replace(both.hosts["edge"], "~")) == (
        202,
        first[2].replace(both.hosts["edge"], "~"),
    )
    assert await in_db(Task.objects.count) == 1
    other = {**GOOD, "request": "Something else"}
    assert await both.compare(other, Idempotency_Key="again") == 422


async def test_one_key_at_once_makes_one_task(both):
    waiting = [
        both.send(where, Idempotency_Key="race") for where in ("edge", "view") for _ in range(15)
    ]
    answers = await asyncio.gather(*waiting)
    assert {status for status, _, _ in answers} == {202}
    (made,) = {json.loads(text)["id"] for _, _, text in answers}
    assert await in_db(_rows) == (1, 1, 1, [made])


def _rows():
    entries = AuditEntry.objects.filter(action="task.submitted")
    return (
        Task.objects.count(),
        Step.objects.count() + Arrival.objects.count(),  # written together they are a crowd
        Event.objects.count(),
        [entry.object_id for entry in entries],
    )


@pytest.mark.parametrize("whose", ["user", "project"])
async def test_a_quota_is_exact_whoever_asks_at_once(both, requester, project, whose):
    owner = {"user": requester, "project": project}[whose]
    await in_db(lambda: Quota.objects.create(**{whose: owner}, hourly=7))
    waiting = [both.send(where) for where in ("edge", "view") for _ in range(12)]
    answers = await asyncio.gather(*waiting)
    assert sorted(status for status, _, _ in answers) == [202] * 7 + [429] * 17
    assert await in_db(Task.objects.count) == 7
    refused = [answer for answer in answers if answer[0] == 429]
    assert {int(headers["retry-after"]) for _, headers, _ in refused} <= set(range(3_500, 3_601))
    assert await both.compare() == 429


async def test_a_replay_is_no_new_task_for_a_quota(both, requester):
    await in_db(lambda: Quota.objects.create(user=requester, hourly=1))
    assert (await both.send("edge", Idempotency_Key="k"))[0] == 202
    assert await both.compare(Idempotency_Key="k") == 202
    assert await both.compare(Idempotency_Key="other") == 429
    assert await both.compare({**GOOD, "request": "other"}, Idempotency_Key="k") == 422


@pytest.mark.parametrize("lost", ["token", "scope", "membership", "person", "archived"])
async def test_a_right_that_is_lost_counts_at_once(both, requester, project, lost):
    assert await both.compare() == 202
    await in_db(_lose, lost, requester, project)
    status = {"token": 401, "scope": 403, "person": 401, "membership": 404, "archived": 400}
    assert await both.compare() == status[lost]
    assert await in_db(Task.objects.count) == 2


def _lose(what, requester, project):
    if what == "token":
        requester.api_tokens.update(revoked_at="2026-01-01T00:00:00Z")
    elif what == "scope":
        requester.api_tokens.update(scopes=["tasks:read"])
    elif what == "membership":
        requester.memberships.all().delete()
    elif what == "person":
        type(requester).objects.filter(pk=requester.pk).update(is_active=False)
    else:
        Project.objects.filter(pk=project.pk).update(archived_at="2026-01-01T00:00:00Z")


async def test_limits_that_are_lowered_hold_at_once(both, project):
    assert await both.compare({**GOOD, "limits": {"usd": 4}}) == 202
    await in_db(lambda: Project.objects.filter(pk=project.pk).update(limits={"usd": 3}))
    assert await both.compare({**GOOD, "limits": {"usd": 4}}) == 400
    assert (await both.send("edge"))[0] == 202
    newest = await in_db(Task.objects.order_by("-id").first)
    assert newest.limits["usd"] == 3


async def test_a_slug_means_the_project_that_has_it_now(both, project):
    assert (await both.send("edge"))[0] == 202
    given = await in_db(_give_slug_to_another, project)
    assert (await both.send("edge"))[0] == 202
    newest = await in_db(Task.objects.order_by("-id").first)
    assert newest.project_id == given


def _give_slug_to_another(project):
    slug = project.slug
    other = Project.objects.create(slug="other", name="Other", repository="/nowhere.git")
    for member in project.memberships.all():
        Membership.objects.create(user=member.user, project=other, role=member.role)
    Project.objects.filter(pk=project.pk).update(slug="renamed")
    Project.objects.filter(pk=other.pk).update(slug=slug)
    return other.pk


async def test_without_a_router_nothing_is_taken(both):
    await in_db(lambda: Step._meta.get_field("agent").related_model.objects.update(enabled=False))
    assert await both.compare() == 409
