"""Requests no browser of a friend would send: an answer each, never a fault of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.core.exceptions import BadRequest

from agents import notes
from agents.escalations.resolving import check_note
from agents.models import Event, Task
from agents.seeding import seed_agents
from approvals.decisions import Decision, HunkDecision
from approvals.models import HunkVerdict
from countersign.api.problems import Problem
from countersign.live import sse
from countersign.texts import readable_requests
from projects.exceptions import InvalidInput
from tests.api_fixtures import submitted

if TYPE_CHECKING:
    from django.http import HttpRequest

pytestmark = pytest.mark.django_db

UNSEEN = ("\u200b\u200b", "\u2800", "\u3164", "\ufeff", "\u00ad\u2060", " \u200b\n")
NOWHERE = ("tasks", "[", "-1", "?x", "a\0b", "console:home", "//evil.example/", "https://evil/x")


@pytest.fixture
def signed_in(client, requester):
    client.force_login(requester)
    return client


@pytest.mark.parametrize("address", NOWHERE)
def test_what_is_no_address_leads_home(client, requester, address):
    form = {"username": requester.username, "password": "correct horse", "next": address}
    answer = client.post("/sign-in", form)
    assert (answer.status_code, answer["Location"]) == (302, "/")


def test_an_address_of_ours_is_gone_to(client, requester):
    form = {"username": requester.username, "password": "correct horse", "next": "/tasks?mine=1"}
    assert client.post("/sign-in", form)["Location"] == "/tasks?mine=1"


@pytest.mark.parametrize("key", ["\0aaaaaaaaaaaa", "short", "a" * 31 + "é", "' OR 1=1 --"])
def test_a_cookie_that_is_no_session_is_nobodys(client, key):
    client.cookies["sessionid"] = key
    assert client.get("/sign-in").status_code == 200
    assert client.get("/tasks").status_code == 302
    assert client.get("/api/v1/tasks").status_code == 401


@pytest.mark.parametrize(
    "kind",
    [
        "application/x-www-form-urlencoded; charset=latin-1",
        "application/x-www-form-urlencoded; charset=utf-7",
        "multipart/form-data; boundary=x; charset=hex",
    ],
)
def test_a_form_in_another_encoding_is_not_read(rf, kind):
    asked: list[HttpRequest] = []
    with pytest.raises(BadRequest, match="UTF-8"):
        readable_requests(asked.append)(rf.generic("POST", "/new", b"a=b", content_type=kind))
    assert asked == []
    plain = rf.generic("POST", "/new", b"a=b", content_type="text/plain; charset=UTF-8")
    readable_requests(asked.append)(plain)
    assert asked == [plain]


def test_a_form_in_an_encoding_that_can_spell_half_a_character_does_nothing(signed_in, project):
    seed_agents()
    fields = {"project": project.slug, "request": "Hello"}
    part = '--x\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    form = "".join(part.format(*field) for field in fields.items()) + "--x--\r\n"
    kind = "multipart/form-data; boundary=x; charset={}"
    answer = signed_in.generic("POST", "/new", form, content_type=kind.format("utf-7"))
    assert answer.status_code == 400
    assert "Content-Security-Policy" in answer
    assert not Task.objects.exists()
    signed_in.generic("POST", "/new", form, content_type=kind.format("utf-8"))
    assert Task.objects.get().request == "Hello"


@pytest.mark.parametrize("address", ["/tasks?state=%00", "/admin/agents/task/?state__exact=%00"])
def test_an_address_with_a_nul_is_refused(client, admin, address):
    client.force_login(admin)
    assert client.get(address).status_code == 400


@pytest.mark.parametrize("text", UNSEEN)
def test_what_nobody_can_see_is_no_word(project, requester, text):
    task = submitted(project, requester)
    before = Event.objects.filter(task=task).count()
    with pytest.raises(InvalidInput, match="empty"):
        notes.add_note(task, text=text, by=requester)
    with pytest.raises(InvalidInput, match="Say why"):
        Decision(verdict="reject", note=text)
    accepted = [HunkDecision(id="1", verdict=HunkVerdict.ACCEPT, note=text)]
    with pytest.raises(InvalidInput, match="Say what must change"):
        Decision(verdict="request_changes", note=text, hunks=accepted)
    assert check_note(text) == ""
    assert Event.objects.filter(task=task).count() == before


async def test_a_stream_is_not_answered_under_another_host_name():
    scope = {"method": "GET", "path": "/api/v1/tasks/x/stream", "headers": [(b"host", b"evil.ex")]}
    with pytest.raises(Problem) as refused:
        await sse._open(scope)
    assert refused.value.status == 400
