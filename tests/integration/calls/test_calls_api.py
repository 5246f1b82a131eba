"""Calls of tools over the API: listed, read and decided in person."""

from __future__ import annotations

import json
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from approvals.calls import carrying
from approvals.models import CallApproval
from tests.api_fixtures import by_session
from tests.call_fixtures import decided, park, working_step

pytestmark = pytest.mark.django_db


def _path(row: CallApproval, more: str = "") -> str:
    return f"/api/v1/calls/{row.pk}{more}"


def _seal(row: CallApproval) -> dict[str, str]:
    return {"digest": row.digest, "nonce": row.nonce, "confirmation": row.task.label}


def test_calls_are_listed_by_state_and_read_whole(tool, project, requester, lead):
    first, second = park(working_step(project, requester), "A", "B")
    decided(second, lead, "refuse", note="No.")
    call = by_session(lead)
    listed = call("GET", "/api/v1/calls?state=pending").json()
    assert [row["id"] for row in listed["results"]] == [str(first.pk)]
    assert (listed["results"][0]["tool"], listed["results"][0]["agent"]) == ("pay", "coder")
    with CaptureQueriesContext(connection) as asked:
        call("GET", "/api/v1/calls")
    [of_calls] = [each["sql"] for each in asked if "snapshot" in each["sql"]]
    columns = of_calls.partition(" FROM ")[0]
    assert not re.search(r'"(snapshot|request|context)"(?! #>)', columns), columns
    page = call("GET", "/api/v1/calls?limit=1").json()
    assert len(page["results"]) == 1
    assert len(call("GET", page["next"].partition("testserver")[2]).json()["results"]) == 1
    read = call("GET", _path(first)).json()
    assert read["arguments"] == {"invoice": "A", "cents": 900}
    assert (read["edited"], read["you_may_decide"]) == (None, True)
    assert (read["digest"], read["nonce"]) == (first.digest, first.nonce)
    assert by_session(requester)("GET", _path(first)).json()["you_may_decide"] is False


def test_a_call_is_allowed_with_other_arguments(waiting, server, lead):
    given = {**_seal(waiting), "verdict": "allow", "arguments": {"invoice": "I-8", "cents": 3}}
    answer = by_session(lead)("POST", _path(waiting, "/decision"), given)
    assert answer.status_code == 201, answer.content
    assert (answer.json()["state"], answer.json()["verdict"]) == ("allowed", "allow")
    carrying.make_due("effects")
    assert list(server.paid.values()) == [3]
    read = by_session(lead)("GET", _path(waiting)).json()
    assert read["edited"] == {"invoice": "I-8", "cents": 3}
    assert "Paid I-8." in read["result"]


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"verdict": "allow", "digest": "0" * 64}, 422),
        ({"verdict": "refuse"}, 400),
        ({"verdict": "maybe"}, 400),
        ({"verdict": "allow", "arguments": [1]}, 400),
        ({"verdict": "allow", "arguments": None}, 400),
        ({"verdict": "allow", "arguments": {"cents": "all"}}, 400),
        ({"verdict": "allow", "arguments": {"invoice": "\x00", "cents": 1}}, 400),
        ({"verdict": "refuse", "note": "No.", "arguments": {}}, 400),
        ({"verdict": "allow", "state": "done"}, 400),
    ],
)
def test_a_wrong_decision_is_a_problem_and_changes_nothing(waiting, lead, more, status):
    answer = by_session(lead)("POST", _path(waiting, "/decision"), {**_seal(waiting), **more})
    assert answer.status_code == status, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert CallApproval.objects.get(pk=waiting.pk).state == "pending"


def test_a_late_decision_is_409_and_says_how_it_stands(waiting, lead, second_lead):
    decided(waiting, second_lead, "refuse", note="No.")
    given = {**_seal(waiting), "verdict": "allow"}
    answer = by_session(lead)("POST", _path(waiting, "/decision"), given)
    assert answer.status_code == 409
    assert "Ravi Singh refused this" in json.loads(answer.content)["detail"]
