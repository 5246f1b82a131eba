"""Every error of the API as an RFC 9457 problem document."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework import exceptions as rest
from rest_framework.response import Response

from agents.quotas import QuotaUsed
from countersign.statuses import status_of
from projects.exceptions import CountersignError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

MEDIA_TYPE = "application/problem+json"
_FAULT = (
    "Countersign failed here. The fault was logged. A change is kept whole or not at all: look whether "
    "it was, before you send it again."
)
RETRY_AFTER = "5"  # seconds until the database is worth another try
TITLES = {
    400: "The request is not valid",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Too late",
    413: "The request is too large",
    415: "Wrong media type",
    422: "Does not match",
    429: "Too many requests",
    500: "A fault in Countersign",
    503: "Not available now",
}


class Problem(Exception):
    """An error on its way to the client."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Mapping[str, list[str]] | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})
        self.more = more

    def document(self, instance: str) -> dict[str, Any]:
        """Return the JSON document for the request's path."""
        phrase = HTTPStatus(self.status).phrase
        document: dict[str, Any] = {
            "type": f"urn:countersign:problem:{phrase.lower().replace(' ', '-')}",
            "title": TITLES.get(self.status, phrase),
            "status": self.status,
            "detail": _sendable(self.detail),
            "instance": _sendable(instance),
            **self.more,
        }
        if self.errors is not None:
            document["errors"] = {
                _sendable(name): [_sendable(text) for text in texts]
                for name, texts in self.errors.items()
            }
        return document


def _sendable(text: str) -> str:
    """Escape half characters: an error may quote input that cannot be sent back."""
    return text.encode("utf-8", "backslashreplace").decode()


# Made anew each time: an exception that is raised again keeps the frames of every raise.
def sign_in() -> Problem:
    """Return the answer to somebody unknown."""
    return Problem(
        401,
        "Sign in, or send a bearer token with the scope tasks:read.",
        headers={"WWW-Authenticate": "Bearer"},
    )


def not_found(what: str) -> Problem:
    """Return the one answer for unknown rows and rows of other people's projects."""
    return Problem(
        404, f"There is no such {what}, or it belongs to a project you are not a member of."
    )


def database_away() -> Problem:
    """Return the answer while the database cannot be reached."""
    return Problem(
        503,
        "The database cannot be reached. Send the request again; one with an Idempotency-Key is never "
        "done twice.",
        headers={"Retry-After": RETRY_AFTER},
    )


def problem_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn an exception of an API view into its problem document; None lets it become a 500."""
    problem = problem_of(error)
    if problem is None:
        return None
    if problem.status == 409:
        problem.more.update(_state_now(context.get("view")))
    return Response(
        problem.document(context["request"].path),
        status=problem.status,
        headers=problem.headers,
        content_type=MEDIA_TYPE,
    )


def problem_of(error: Exception) -> Problem | None:
    """Return the problem an exception stands for, None for a fault of ours."""
    match error:
        case Problem():
            return error
        case rest.APIException():
            return _of_rest(error)
        case CountersignError():
            return _of_domain(error)
        case Http404():
            return Problem(404, "There is nothing at this address.")
        case PermissionDenied():
            return Problem(403, str(error) or "You are not allowed to do this.")
        case SuspiciousOperation():
            return Problem(400, "The request is malformed and was not read.")
        case OperationalError() | InterfaceError():
            return database_away()
    return None


def _of_rest(error: rest.APIException) -> Problem:
    headers = {}
    if isinstance(error, rest.ValidationError):
        return Problem(
            400,
            "Some fields cannot be accepted. Nothing was changed.",
            errors=_fields(error.detail),
        )
    if isinstance(error, rest.NotAuthenticated):
        return Problem(
            401,
            "Sign in, or send a bearer token.",
            headers={"WWW-Authenticate": getattr(error, "auth_header", "Bearer")},
        )
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait) + 1)
    if auth := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = auth
    return Problem(error.status_code, str(error.detail), headers=headers)


def _of_domain(error: CountersignError) -> Problem:
    if isinstance(error, InvalidInput):
        return Problem(
            400,
            "Some fields cannot be accepted. Nothing was changed.",
            errors={error.field: [str(error)]},
        )
    wait = error.retry_after if isinstance(error, QuotaUsed) else 0
    return Problem(
        status_of(error), str(error), headers={"Retry-After": str(wait)} if wait else None
    )


def _fields(detail: Any, prefix: str = "") -> dict[str, list[str]]:
    """Flatten nested field errors: {"hunks": [{"id": [..]}]} becomes {"hunks.0.id": [..]}."""
    if isinstance(detail, dict):
        items = [(str(key), value) for key, value in detail.items()]
    elif any(isinstance(value, dict | list) for value in detail):
        items = [(str(index), value) for index, value in enumerate(detail) if value]
    else:
        return {prefix or "body": [str(text) for text in detail]}
    found: dict[str, list[str]] = {}
    for key, value in items:
        name = "" if key == "non_field_errors" else key
        found |= _fields(value, f"{prefix}.{name}".strip("."))
    return found


def _state_now(view: Any) -> dict[str, str]:
    """Return the state of what the view is about, read anew: somebody was faster."""
    subject = getattr(view, "subject", None)
    if subject is None:
        return {}
    state = type(subject)._base_manager.filter(pk=subject.pk).values_list("state", flat=True)
    return {"state": state[0]}


def as_http(problem: Problem, request: HttpRequest) -> HttpResponse:
    """Return a problem outside of the API's views."""
    return JsonResponse(
        problem.document(request.path),
        status=problem.status,
        headers=problem.headers,
        content_type=MEDIA_TYPE,
    )


def unknown_address(request: HttpRequest) -> HttpResponse:
    """Answer every path of the API that leads nowhere."""
    return as_http(Problem(404, "There is nothing at this address."), request)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404: a problem document under /api/, a page elsewhere."""
    if request.path.startswith("/api/"):
        return unknown_address(request)
    return defaults.page_not_found(request, exception)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400: a problem document under /api/, a page elsewhere."""
    if request.path.startswith("/api/"):
        return as_http(Problem(400, "The request is malformed and was not read."), request)
    return defaults.bad_request(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500: a problem document under /api/, a page elsewhere."""
    if request.path.startswith("/api/"):
        return as_http(
            Problem(500, _FAULT),
            request,
        )
    return defaults.server_error(request)
