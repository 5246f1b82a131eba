"""The OpenAPI document says what the API does; its page is browsable under its own policy."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client

from tests.api_fixtures import by_session

WITH_BODY = {"post", "patch", "put"}


@pytest.fixture(scope="module")
def document():
    from drf_spectacular.generators import SchemaGenerator

    return SchemaGenerator().get_schema(public=True)


def operations(document):
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            yield path, method, described


def test_it_is_made_without_a_warning(tmp_path):
    call_command(
        "spectacular", validate=True, fail_on_warn=True, file=tmp_path / "x", stdout=StringIO()
    )


def test_every_call_of_the_contract_is_in_it(document):
    named = {(method.upper(), path) for path, method, _ in operations(document)}
    assert named >= {
        ("POST", "/api/v1/tasks"),
        ("GET", "/api/v1/tasks"),
        ("GET", "/api/v1/tasks/{id}"),
        ("GET", "/api/v1/tasks/{id}/events"),
        ("GET", "/api/v1/tasks/{id}/stream"),
        ("POST", "/api/v1/tasks/{id}/cancel"),
        ("POST", "/api/v1/tasks/{id}/pause"),
        ("POST", "/api/v1/tasks/{id}/resume"),
        ("GET", "/api/v1/holds"),
        ("POST", "/api/v1/holds"),
        ("DELETE", "/api/v1/holds/{id}"),
        ("POST", "/api/v1/tasks/{id}/notes"),
        ("POST", "/api/v1/tasks/{id}/escalations/{escalation_pk}"),
        ("GET", "/api/v1/approvals"),
        ("GET", "/api/v1/approvals/{id}"),
        ("POST", "/api/v1/approvals/{id}/signatures"),
        ("POST", "/api/v1/approvals/{id}/undo"),
        ("POST", "/api/v1/calls/{id}/undo"),
        ("GET", "/api/v1/memories"),
        ("GET", "/api/v1/memories/{id}"),
        ("PATCH", "/api/v1/memories/{id}"),
        ("DELETE", "/api/v1/memories/{id}"),
        ("POST", "/api/v1/memories/search"),
    }


def test_every_operation_lists_its_problems(document):
    for path, method, described in operations(document):
        answers = described["responses"]
        wanted = {"400", "401", "403", "503"}
        wanted |= {"404"} if "{id}" in path else set()
        wanted |= {"413", "415"} if method in WITH_BODY else set()
        assert wanted <= answers.keys(), f"{method} {path}"
        for status in wanted:
            assert list(answers[status]["content"]) == ["application/problem+json"]


def test_submitting_lists_every_status_of_the_contract(document):
    answers = document["paths"]["/api/v1/tasks"]["post"]["responses"]
    assert {"202", "400", "401", "403", "404", "413", "415", "422", "429", "503"} <= set(answers)


def test_both_ways_to_sign_in_are_named(document):
    assert set(document["components"]["securitySchemes"]) == {"token", "cookieAuth"}


def test_it_is_served(db):
    answer = Client().get("/api/v1/schema")
    assert answer.status_code == 200
    assert b"openapi: 3" in answer.content


def test_its_page_has_a_policy_of_its_own_and_no_inline_script(db, requester):
    answer = by_session(requester).client.get("/api/v1/docs")
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    text = answer.content.decode()
    assert "<script>" not in text
    assert "https://" not in text


def test_its_script_is_a_file_of_ours(db):
    answer = Client().get("/api/v1/docs?script=")
    assert answer.headers["Content-Type"].startswith("application/javascript")
    assert b"SwaggerUIBundle" in answer.content
