"""Who watches: by bearer token, by session, or by a ticket that proves a check of a minute ago."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cachetools import TTLCache
from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest

from agents.runtime.database import in_db
from projects import tokens

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Mapping

    from projects.models import User

SCOPE = "tasks:read"
CACHE_SECONDS = 30.0
_MOST = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """A person by their session, or by a token that may be held to one project."""

    user: uuid.UUID
    session_key: str = ""
    token: uuid.UUID | None = None
    project: uuid.UUID | None = None  # the only one the token is for
    credential: bytes = b""  # a digest of what was shown


@dataclass(frozen=True, slots=True)
class Shown:
    """What a request shows to say who it is: a bearer text counts before a session's key."""

    bearer: str = ""
    session_key: str = ""

    @property
    def digest(self) -> bytes:
        """What is kept of it."""
        return hashlib.sha256(f"{self.bearer}\n{self.session_key}".encode()).digest()[:16]


# Bearer texts by digest. No right is given by what is kept: `rights` asks the rows.
_kept: TTLCache[bytes, Viewer] = TTLCache(_MOST, CACHE_SECONDS)


async def viewer_of(shown: Shown) -> Viewer | None:
    """Return who shows this, None for nobody; raises DatabaseError."""
    kept = _kept.get(shown.digest)
    if kept is not None or not (shown.bearer or shown.session_key):
        return kept
    viewer = await in_db(_by_bearer if shown.bearer else _by_session, shown)
    if viewer is not None and shown.bearer:
        _kept[shown.digest] = viewer
    return viewer


def forget(shown: Shown) -> None:
    """Read the rows next time."""
    _kept.pop(shown.digest, None)


def shown_by(headers: Mapping[bytes, bytes]) -> Shown:
    """Return what the headers show."""
    scheme, _, text = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() == "bearer":
        return Shown(bearer=text.strip())
    return Shown(session_key=_session_key(headers.get(b"cookie", b"").decode("latin-1")))


def headers_of(scope: Mapping[str, Any]) -> dict[bytes, bytes]:
    """Return the request's headers by lower-case name."""
    pairs: Iterable[tuple[bytes, bytes]] = scope["headers"]
    return {name.lower(): value for name, value in pairs}


def _by_bearer(shown: Shown) -> Viewer | None:
    token = tokens.find(shown.bearer)
    if token is None or SCOPE not in token.scopes:
        return None
    return Viewer(
        user=token.user_id, token=token.pk, project=token.project_id, credential=shown.digest
    )


def _by_session(shown: Shown) -> Viewer | None:
    user = user_of(shown.session_key)
    if user is None:
        return None
    return Viewer(user=user.pk, session_key=shown.session_key, credential=shown.digest)


def user_of(session_key: str) -> User | None:
    """Return the active person who is signed in by this session."""
    request = HttpRequest()
    store = import_module(settings.SESSION_ENGINE).SessionStore
    request.session = store(session_key)
    user = get_user(request)
    return user if user.is_authenticated and user.is_active else None


def _session_key(header: str) -> str:
    try:
        morsel = SimpleCookie(header).get(settings.SESSION_COOKIE_NAME)
    except CookieError:
        return ""
    return morsel.value if morsel else ""
