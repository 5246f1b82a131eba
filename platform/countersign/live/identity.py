"""Who watches, and whether they still may; asked on connect and again while they watch."""

from __future__ import annotations

from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import get_user
from django.db.models.functions import Now
from django.http import HttpRequest

from agents.models import Task
from projects import tokens
from projects.models import ApiToken, Project

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Mapping

    from django.db.models import QuerySet

    from projects.models import User

SCOPE = "tasks:read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """A person behind a socket, by session or by token."""

    user: User
    session_key: str = ""
    token: ApiToken | None = None

    def projects(self) -> QuerySet[Project]:
        """Return the projects this viewer may watch now; none once signed out or revoked."""
        if not self._still_signed_in():
            return Project.objects.none()
        projects = Project.objects.visible_to(self.user)
        if self.token and self.token.project_id:
            projects = projects.in_project(self.token.project_id)
        return projects

    def may_watch(self, task_id: uuid.UUID) -> bool:
        """Tell whether the task exists in a project of this viewer."""
        return Task.objects.filter(pk=task_id, project__in=self.projects()).exists()

    def _still_signed_in(self) -> bool:
        if self.token is None:
            user = _user_of(self.session_key)
            return user is not None and user.pk == self.user.pk
        live = ApiToken.objects.filter(
            pk=self.token.pk, revoked_at=None, expires_at__gt=Now(), user__is_active=True
        )
        return live.exists()


def viewer_of(headers: Mapping[bytes, bytes]) -> Viewer | None:
    """Return who sent these headers: a bearer token counts before a cookie, None is nobody."""
    scheme, _, text = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() == "bearer":
        token = tokens.find(text.strip())
        return Viewer(user=token.user, token=token) if token and SCOPE in token.scopes else None
    key = _session_key(headers.get(b"cookie", b"").decode("latin-1"))
    user = _user_of(key) if key else None
    return Viewer(user=user, session_key=key) if user else None


def headers_of(scope: Mapping[str, Any]) -> dict[bytes, bytes]:
    """Return the request's headers by lower-case name."""
    pairs: Iterable[tuple[bytes, bytes]] = scope["headers"]
    return {name.lower(): value for name, value in pairs}


def _session_key(header: str) -> str:
    try:
        morsel = SimpleCookie(header).get(settings.SESSION_COOKIE_NAME)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _user_of(session_key: str) -> User | None:
    request = HttpRequest()
    store = import_module(settings.SESSION_ENGINE).SessionStore
    request.session = store(session_key)
    user = get_user(request)
    return user if user.is_authenticated and user.is_active else None
