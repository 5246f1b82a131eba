"""What viewers may watch now: asked for many of them at once, on connect and again every few seconds."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.db.models import UUIDField, Value
from django.db.models.functions import Now
from django.utils.crypto import constant_time_compare

from projects.models import ApiToken, Membership, User
from projects.prepared import Given, Prepared

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection

    from countersign.live.identity import Viewer

NOTHING: frozenset[uuid.UUID] = frozenset()
_NO_PROJECT = Value(None, UUIDField())
# People with their projects and, without one, living tokens: streams that open wait for it.
_SPOKEN_FOR = Prepared(
    lambda: (
        Membership.objects.filter(user__any=Given("people"), user__is_active=True)
        .values_list("user", "project")
        .union(
            ApiToken.objects.filter(
                pk__any=Given("tokens"), revoked_at=None, expires_at__gt=Now(), user__is_active=True
            ).values_list("pk", _NO_PROJECT),
            all=True,
        )
    )
)


def projects_of(viewers: Collection[Viewer]) -> dict[Viewer, frozenset[uuid.UUID]]:
    """Return the projects each viewer may watch; none for whom no session or token speaks any more.

    One query for tokens, three for sessions, however many they are.
    """
    if not viewers:
        return {}
    mine: dict[uuid.UUID, set[uuid.UUID]] = {}
    tokens: set[uuid.UUID] = set()
    asked = [viewer.token for viewer in viewers if viewer.token]
    people = {viewer.user for viewer in viewers}
    for one, project in _SPOKEN_FOR(people=list(people), tokens=asked):
        if project is None:
            tokens.add(one)
        else:
            mine.setdefault(one, set()).add(project)
    sessions = _signed_in({viewer.session_key for viewer in viewers if not viewer.token})
    found = {}
    for viewer in viewers:
        speaks = (
            viewer.token in tokens
            if viewer.token
            else (sessions.get(viewer.session_key) == viewer.user)
        )
        projects = mine.get(viewer.user, set()) if speaks else set()
        found[viewer] = frozenset(projects & {viewer.project} if viewer.project else projects)
    return found


def _signed_in(keys: set[str]) -> dict[str, uuid.UUID]:
    """Return whose each living session is, as `get_user` would: the password's hash must still fit."""
    if not keys:
        return {}
    store = import_module(settings.SESSION_ENGINE).SessionStore
    sessions = store.get_model_class().objects.filter(pk__in=keys, expire_date__gt=Now())
    told = {row.session_key: store().decode(row.session_data) for row in sessions}
    ids = {
        User._meta.pk.to_python(facts[SESSION_KEY])
        for facts in told.values()
        if SESSION_KEY in facts
    }
    people = {str(user.pk): user for user in User.objects.filter(pk__in=ids, is_active=True)}
    found = {}
    for key, facts in told.items():
        user = people.get(facts.get(SESSION_KEY, ""))
        if user is not None and _fits(user, facts):
            found[key] = user.pk
    return found


def _fits(user: User, facts: dict[str, Any]) -> bool:
    known = facts.get(BACKEND_SESSION_KEY) in settings.AUTHENTICATION_BACKENDS
    wanted = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return known and any(
        constant_time_compare(facts.get(HASH_SESSION_KEY, ""), each) for each in wanted
    )
