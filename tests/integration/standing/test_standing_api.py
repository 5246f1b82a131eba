"""Standing grants over the API: made with a decision in person, listed, read, revoked."""

from __future__ import annotations

import json

import pytest

from approvals.models import CallApproval, StandingGrant
from tests.api_fixtures import by_session, by_token
from tests.call_fixtures import park, working_step
from tests.standing_fixtures import asks, let_any

pytestmark = pytest.mark.django_db


@pytest.fixture
def waiting(tool, project, requester, lead) -> CallApproval:
    let_any(project, lead)
    return park(working_step(project, requester), "I-1")[0]


def _decide(call, row: CallApproval, **facts: object):
    seal = {"digest": row.digest, "nonce": row.nonce, "confirmation": row.task.label}
    given = {"verdict": "allow", **seal, **facts}
    return call("POST", f"/api/v1/calls/{row.pk}/decision", given)


def test_a_decision_is_remembered_and_uses_are_told(waiting, project, requester, lead):
    call = by_session(lead)
    terms = {
        "widened": {"invoice": {"kind": "glob", "value": "I-*"}},
        "only_this_agent": False,
        "hours": 2,
        "max_hits": 1,
    }
    answer = _decide(call, waiting, remember=terms)
    assert answer.status_code == 201, answer.content
    key = answer.json()["standing_grant"]
    read = call("GET", f"/api/v1/standing-grants/{key}").json()
    assert read["arguments"]["invoice"] == {"kind": "glob", "value": "I-*"}
    assert read["arguments"]["cents"] == {"kind": "exact", "value": 900}
    assert (read["state"], read["hits"], read["max_hits"], read["agent"]) == ("active", 0, 1, None)
    (row,) = asks(project, requester, "I-2")
    told = call("GET", f"/api/v1/calls/{row.pk}").json()
    assert (told["state"], told["standing_grant"]) == ("allowed", key)
    listed = call("GET", "/api/v1/standing-grants?in_force=false").json()
    assert [each["state"] for each in listed["results"]] == ["used_up"]
    assert call("GET", "/api/v1/standing-grants?in_force=true").json()["results"] == []
    assert by_token(lead, "approvals:read").get("/api/v1/standing-grants").status_code == 200


def test_left_out_terms_are_the_narrow_ones(waiting, lead):
    answer = _decide(by_session(lead), waiting, remember={})
    assert answer.status_code == 201, answer.content
    grant = StandingGrant.objects.get()
    assert (grant.max_hits, grant.agent_id) == (10, waiting.step.agent_id)
    assert {each["kind"] for each in json.loads(grant.patterns).values()} == {"exact"}


@pytest.mark.parametrize(
    "terms",
    [
        [],
        {"hours": 0},
        {"hours": 721},
        {"max_hits": 1_001},
        {"max_hits": "1"},
        {"only_this_agent": "no"},
        {"widened": []},
        {"widened": {"invoice": "I-*"}},
        {"widened": {"invoice": {"kind": "regex", "value": "."}}},
        {"widened": {"invoice": {"kind": "glob", "value": 7}}},
        {"widened": {"invoice": {"kind": "glob", "value": "I-\x00"}}},
        {"widened": {"invoice": {"kind": "glob"}}},
        {"widened": {"invoice": {"kind": "glob", "value": "*"}}},
        {"widened": {"nothing\ud800": {"kind": "any"}}},
        {"widened": {str(n): {"kind": "any"} for n in range(201)}},
        {"forever": True},
    ],
)
def test_wrong_terms_are_a_problem_and_decide_nothing(waiting, lead, terms):
    answer = _decide(by_session(lead), waiting, remember=terms)
    assert answer.status_code == 400, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert CallApproval.objects.get(pk=waiting.pk).state == "pending"


def test_a_refusal_and_a_token_remember_nothing(waiting, lead):
    answer = _decide(by_session(lead), waiting, verdict="refuse", note="No.", remember={})
    assert answer.status_code == 400
    assert _decide(by_token(lead), waiting, remember={}).status_code == 403
    assert not StandingGrant.objects.exists()


def test_a_lead_revokes_in_person(grant, lead, requester):
    path = f"/api/v1/standing-grants/{grant.pk}/revoke"
    assert by_token(lead).post(path, {}).status_code == 403
    assert by_session(requester)("POST", path, {}).status_code == 403
    answer = by_session(lead)("POST", path, {})
    assert (answer.status_code, answer.json()["state"]) == (200, "revoked")
    assert by_session(lead)("POST", path, {}).status_code == 200
