"""Memory over the API: list, edit, keep, retire, forget, search."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from memory import lessons
from tests.api_fixtures import by_session, by_token

if TYPE_CHECKING:
    from memory.models import Memory

URL = "/api/v1/memories"


@pytest.fixture
def memory(project, lead) -> Memory:
    return lessons.propose(
        project, content="Money is rounded half even.", source="user_stated", by=lead
    )


@pytest.fixture
def active(memory, lead) -> Memory:
    return lessons.keep(memory, by=lead)


def test_memories_are_listed_and_filtered(active, requester):
    call = by_token(requester)
    [row] = call.get(f"{URL}?project=acme-billing&state=active&kind=lesson").json()["results"]
    assert (row["id"], row["content"]) == (str(active.pk), active.content)
    assert call.get(f"{URL}?state=retired").json()["results"] == []
    assert call.get(f"{URL}/{active.pk}").json()["project"] == "acme-billing"


def test_a_lead_keeps_a_proposed_memory(memory, lead):
    answer = by_session(lead)("PATCH", f"{URL}/{memory.pk}", {"state": "active"})
    assert (answer.status_code, answer.json()["state"]) == (200, "active")


def test_a_requester_keeps_nothing(memory, requester):
    answer = by_session(requester)("PATCH", f"{URL}/{memory.pk}", {"state": "active"})
    assert answer.status_code == 403
    memory.refresh_from_db()
    assert memory.state == "proposed"


@pytest.mark.parametrize(
    "change",
    [
        {"state": "active"},
        {"content": "Pay me"},
        {"pinned": True},
        {"paths": ["billing/**"]},
        {"state": "retired", "paths": []},
    ],
)
def test_a_token_changes_nothing_that_agents_recall(memory, lead, change):
    assert by_token(lead)("PATCH", f"{URL}/{memory.pk}", change).status_code == 403
    memory.refresh_from_db()
    assert (memory.state, memory.pinned) == ("proposed", False)


def test_a_token_of_a_lead_may_retire(active, lead):
    answer = by_token(lead)("PATCH", f"{URL}/{active.pk}", {"state": "retired"})
    assert (answer.status_code, answer.json()["state"]) == (200, "retired")


def test_an_edited_active_memory_becomes_a_new_version(active, lead):
    change = {"content": "Money is rounded half even, once.", "paths": ["billing/**"]}
    answer = by_session(lead)("PATCH", f"{URL}/{active.pk}", change).json()
    assert answer["id"] != str(active.pk)
    assert (answer["state"], answer["paths"]) == ("active", ["billing/**"])
    active.refresh_from_db()
    assert str(active.superseded_by_id) == answer["id"]


def test_a_forgotten_memory_is_gone_and_forgotten_once(active, lead):
    call = by_session(lead)
    assert call("DELETE", f"{URL}/{active.pk}").status_code == 204
    assert call.get(f"{URL}/{active.pk}").json()["content"] == ""
    again = call("DELETE", f"{URL}/{active.pk}")
    assert (again.status_code, again.json()["state"]) == (409, "erased")


def test_search_finds_what_fits_with_its_score(active, requester):
    answer = by_token(requester).post(f"{URL}/search", {"query": "how is money rounded"})
    [found] = answer.json()["results"]
    assert found["memory"]["id"] == str(active.pk)
    assert found["score"] > 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "query"),
        ({"query": ""}, "query"),
        ({"query": "  "}, "query"),
        ({"query": "\0"}, "query"),
        ({"query": 5}, "query"),
        ({"query": "x" * 2_001}, "query"),
        ({"query": "x", "limit": 0}, "limit"),
        ({"query": "x", "limit": "5"}, "limit"),
        ({"query": "x", "project": []}, "project"),
        ({"query": "x", "owner": "y"}, "owner"),
    ],
)
def test_a_bad_search_names_the_field(requester, body, field):
    answer = by_token(requester).post(f"{URL}/search", body)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"content": ""}, "content"),
        ({"content": " "}, "content"),
        ({"content": "\0"}, "content"),
        ({"content": "x" * 601}, "content"),
        ({"state": "erased"}, "state"),
        ({"state": 5}, "state"),
        ({"paths": "billing"}, "paths"),
        ({"paths": [1]}, "paths.0"),
        ({"pinned": "yes"}, "pinned"),
        ({"approved_by": "me"}, "approved_by"),
        ({"used_count": 9}, "used_count"),
    ],
)
def test_a_bad_change_names_the_field_and_changes_nothing(active, lead, body, field):
    answer = by_session(lead)("PATCH", f"{URL}/{active.pk}", body)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])
    active.refresh_from_db()
    assert (active.state, active.content) == ("active", "Money is rounded half even.")


def test_half_a_change_is_no_change(memory, requester):
    # The edit is allowed to who proposed it, the keeping is not: neither happens.
    memory.proposed_by = requester
    memory.save(update_fields=["proposed_by"])
    change = {"content": "Money is rounded up.", "state": "active"}
    assert by_session(requester)("PATCH", f"{URL}/{memory.pk}", change).status_code == 403
    memory.refresh_from_db()
    assert memory.content == "Money is rounded half even."
