"""Every socket and stream, by everybody: as `tests/routes/table.py` declares."""

from __future__ import annotations

import contextlib
import json

import httpx
import pytest
import websockets
from django.test import Client

from agents.lifecycle import TaskState
from agents.models import Task
from agents.runtime.database import in_db
from countersign import asgi
from countersign.edge import files
from countersign.edge.submitting import PATH as TASKS
from countersign.live import consumers, sockets, sse
from projects import tokens
from projects.models import Membership, Project, Role, User
from tests.api_fixtures import make_crew, submitted
from tests.live_fixtures import Watching, close_code, finish, serving
from tests.routes.asking import METHODS
from tests.routes.table import LIVE, rows

pytestmark = pytest.mark.django_db(transaction=True)

WHO = ("nobody", "disabled", "token", "requester", "lead", "second", "outsider", "admin")
TABLE = {row["route"]: {who: row[who] for who in WHO} for row in rows(LIVE)}
SOCKETS = sorted(route for route in TABLE if route.startswith("/ws/"))


@pytest.fixture
def task(project, requester) -> Task:
    task = submitted(project, requester)
    finish(task)
    assert task.state == TaskState.CANCELLED
    return task


@pytest.fixture
def people(requester, lead, second_lead, stranger, admin, project):
    other = Project.objects.create(slug="other", name="other", repository="/nowhere.git")
    Membership.objects.create(user=stranger, project=other, role=Role.LEAD)
    disabled = User.objects.create(username="disabled")
    Membership.objects.create(user=disabled, project=project, role=Role.LEAD)
    of_them = {"requester": requester, "lead": lead, "second": second_lead, "admin": admin}
    shown = {who: cookie(user) for who, user in of_them.items()}
    shown |= {"outsider": cookie(stranger), "disabled": cookie(disabled), "nobody": {}}
    User.objects.filter(pk=disabled.pk).update(is_active=False)
    _, text = tokens.issue(lead, name="matrix", scopes=tokens.SCOPES)
    return shown | {"token": {"Authorization": f"Bearer {text}"}}


def cookie(user: User) -> dict[str, str]:
    client = Client()
    client.force_login(user)
    return {"Cookie": f"sessionid={client.cookies['sessionid'].value}"}


def test_no_consumer_is_missing_from_the_table():
    served = {sockets._TASK_CONSUMER, sockets._UNKNOWN, *sockets._OTHERS.values()}
    classes = {each.consumer_class for each in served}
    assert classes == set(consumers.FeedConsumer.__subclasses__())
    assert set(SOCKETS) == {"/ws/tasks/{id}", "/ws/nothing", *sockets._OTHERS}
    assert set(asgi.application.application_mapping) == {"http", "websocket", "lifespan"}


def test_what_is_answered_before_django_is_what_the_tables_know():
    """Intake, streams and static files: `http` of asgi.py takes them by their paths, Django the rest."""
    assert TASKS == "/api/v1/tasks"
    assert sse.PATH.match("/api/v1/tasks/1/stream")
    assert files.FOLDER == "/static/"  # whoever asks: it repeats what Django answered
    code = asgi.http.__code__
    assert {"TASKS", "sse", "files", "_submit", "_files", "django"} == {
        name for name in code.co_names if hasattr(asgi, name)
    }


@pytest.mark.parametrize("route", SOCKETS)
async def test_every_socket_closes_as_declared(people, task, route):
    async with serving() as host:
        found = {who: await answer_of_socket(host, people[who], route, task) for who in WHO}
    assert found == TABLE[route]


async def answer_of_socket(host, headers, route, task):
    client = Watching(host, "")
    client.headers = headers
    origin = {"Origin": f"http://{host}"}
    async with client.ws(route.format(id=task.pk), headers=origin) as socket:
        if route == "/ws/activity":
            with contextlib.suppress(websockets.ConnectionClosed):
                await socket.send(json.dumps({"kind": "ping"}))
                assert json.loads(await socket.recv())["kind"] == "ping"
                return "open"
        return str(await close_code(socket))


async def test_every_stream_answers_as_declared_and_is_only_read(people, task):
    before = await in_db(Task.objects.values().get, pk=task.pk)
    async with serving() as host, httpx.AsyncClient(timeout=60) as web:
        url = f"http://{host}/api/v1/tasks/{task.pk}/stream"
        found = {
            (who, method): str((await web.request(method, url, headers=people[who])).status_code)
            for who in WHO
            for method in METHODS
        }
    declared = {
        (who, method): TABLE["stream"][who] if method == "GET" else "405"
        for who in WHO
        for method in METHODS
    }
    assert found == declared
    assert await in_db(Task.objects.values().get, pk=task.pk) == before


async def test_intake_before_django_answers_everybody_as_the_api_does(people, project):
    await in_db(make_crew)
    sent = {"project": project.slug, "request": "Fix the billing bug"}
    async with serving() as host, httpx.AsyncClient(timeout=60) as web:
        url = f"http://{host}{TASKS}"
        found = {
            who: (await web.post(url, json=sent, headers=people[who])).status_code for who in WHO
        }
    # A session's form needs the page's token; the tables' other answers are Django's own.
    by_session = dict.fromkeys(("requester", "lead", "second", "outsider", "admin"), 403)
    assert found == by_session | {"nobody": 401, "disabled": 401, "token": 202}
