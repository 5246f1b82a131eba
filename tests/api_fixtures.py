"""Callers of the API: by token and by session, over real HTTP semantics."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.test import Client

from agents.intake import submit
from projects import tokens
from tests.approval_fixtures import make_agent

if TYPE_CHECKING:
    from agents.models import Task
    from projects.models import Project, User

URL = "/api/v1/tasks"
PROBLEM = "application/problem+json"


class Caller:
    """One person's client; answers are parsed and problems are checked for their form."""

    def __init__(self, user: User | None, *, token: str = "", csrf: bool = False) -> None:
        self.client = Client(enforce_csrf_checks=csrf, raise_request_exception=False)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        if user is not None and not token:
            self.client.force_login(user)

    def __call__(
        self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, **more: Any
    ) -> Any:
        headers = {**self.headers, **more.pop("headers", {})}
        content = raw if raw is not None else b"" if body is None else json.dumps(body)
        answer = self.client.generic(
            method,
            path,
            content,
            content_type=more.pop("content_type", "application/json"),
            headers=headers,
            **more,
        )
        if answer.status_code >= 400:
            check_problem(answer, path)
        return answer

    def get(self, path: str, **more: Any) -> Any:
        return self("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> Any:
        return self("POST", path, {} if body is None else body, **more)


def check_problem(answer: Any, path: str) -> None:
    """Every error is an RFC 9457 document that agrees with its status."""
    assert answer.headers["Content-Type"].startswith(PROBLEM), answer.content[:300]
    document = json.loads(answer.content)
    assert {"type", "title", "status", "detail", "instance"} <= document.keys()
    assert document["status"] == answer.status_code
    assert document["instance"] == path.partition("?")[0]


def by_token(user: User, *scopes: str, project: Project | None = None) -> Caller:
    _, text = tokens.issue(user, name="test", scopes=scopes or tokens.SCOPES, project=project)
    return Caller(user, token=text)


def by_session(user: User, *, csrf: bool = False) -> Caller:
    return Caller(user, csrf=csrf)


def make_crew() -> None:
    """Seed the agents a submission needs."""
    make_agent("router", "Router", "router")
    make_agent("coder", "Code agent")


def submitted(project: Project, requester: User, request: str = "Fix the billing bug") -> Task:
    make_crew()
    return submit(project=project, requester=requester, request=request).task
