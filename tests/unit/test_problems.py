"""Every exception has its problem document, and every document can be sent."""

from __future__ import annotations

import json

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import OperationalError
from django.http import Http404
from rest_framework import exceptions as rest

from agents.accepting import IdempotencyMismatch
from approvals.exceptions import AlreadyDecided, DigestMismatch, StaleApproval, UnknownApproval
from countersign.api.problems import Problem, problem_of
from projects.exceptions import CountersignError, InvalidInput, NotAllowed, TransitionRefused


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (rest.ParseError("x"), 400),
        (rest.ValidationError({"a": ["b"]}), 400),
        (InvalidInput("request", "no"), 400),
        (SuspiciousOperation("x"), 400),
        (rest.NotAuthenticated(), 401),
        (rest.AuthenticationFailed(), 401),
        (rest.PermissionDenied(), 403),
        (PermissionDenied(), 403),
        (NotAllowed(), 403),
        (Http404(), 404),
        (UnknownApproval(), 404),
        (rest.MethodNotAllowed("PUT"), 405),
        (TransitionRefused(), 409),
        (AlreadyDecided(), 409),
        (StaleApproval(), 409),
        (CountersignError(), 409),
        (rest.UnsupportedMediaType("text/plain"), 415),
        (IdempotencyMismatch(), 422),
        (DigestMismatch(), 422),
        (rest.Throttled(3), 429),
        (OperationalError(), 503),
    ],
)
def test_every_known_error_has_its_status(error, status):
    problem = problem_of(error)
    assert problem.status == status
    document = problem.document("/api/v1/x")
    assert {"type", "title", "status", "detail", "instance"} <= document.keys()
    assert document["status"] == status
    assert document["detail"]


def test_a_fault_of_ours_is_no_problem_document_of_a_known_kind():
    assert problem_of(ZeroDivisionError()) is None


@pytest.mark.parametrize("error", [rest.Throttled(3), OperationalError()])
def test_come_again_says_when(error):
    assert int(problem_of(error).headers["Retry-After"]) >= 3


def test_not_signed_in_names_the_scheme():
    assert problem_of(rest.NotAuthenticated()).headers["WWW-Authenticate"] == "Bearer"


def test_nested_field_errors_become_paths():
    detail = {"hunks": [{}, {"id": ["Required."]}], "limits": {"usd": ["No."]}, "x": ["y"]}
    errors = problem_of(rest.ValidationError(detail)).errors
    assert errors == {"hunks.1.id": ["Required."], "limits.usd": ["No."], "x": ["y"]}


def test_an_error_of_the_whole_body_is_named_body():
    assert problem_of(rest.ValidationError(["No."])).errors == {"body": ["No."]}
    detail = {"non_field_errors": ["No."]}
    assert problem_of(rest.ValidationError(detail)).errors == {"body": ["No."]}


def test_half_characters_in_quoted_input_can_be_sent_back():
    problem = Problem(400, "bad \ud800", errors={"\udfff": ["\ud800"]})
    text = json.dumps(problem.document("/\ud800"), ensure_ascii=False)
    assert "\\ud800" in text.encode().decode()
