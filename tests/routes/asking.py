"""Asks one route as one person and names the answer by its class."""

from __future__ import annotations

import json
import re
from copy import copy
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.test.client import ClientHandler
from django.urls import get_resolver

from projects.models import AuditEntry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpResponse

    from tests.routes.world import World

SAFE = ("GET", "HEAD", "OPTIONS")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_WRITTEN = """
SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_xact_user_tables WHERE relname <> ALL(%s)
"""
# What is said once on the next page is kept there.
_NOT_COUNTED = ["django_session"]
# One for all: each looks for the static files anew.
_HANDLER = ClientHandler(enforce_csrf_checks=False)
_FORGING = ClientHandler(enforce_csrf_checks=True)
_HOLE = re.compile(r"<(?:\w+:)?(\w+)>")


def routes(patterns: Any = None, space: str = "", path: str = "/") -> Iterator[tuple[str, str]]:
    """Walk the resolver; yield the name and the pattern of every route."""
    for each in get_resolver().url_patterns if patterns is None else patterns:
        pattern = path + str(each.pattern)
        if hasattr(each, "url_patterns"):
            inner = f"{space}{each.namespace}:" if each.namespace else space
            yield from routes(each.url_patterns, inner, pattern)
        else:
            yield f"{space}{each.name or each.pattern}", pattern


def address_of(pattern: str, of: str, world: World) -> str:
    """Return an address: what `of` names fills the holes of the pattern in turn."""
    fillings = iter(of.split(","))
    return _HOLE.sub(lambda _: str(_meant(next(fillings), world)), pattern)


def _meant(name: str, world: World) -> Any:
    return world.names.get(name, name)


def ask(
    world: World,
    who: str,
    method: str,
    address: str,
    form: dict[str, Any] | None = None,
    *,
    forged: bool = False,
) -> str:
    """Return the class of the answer; whatever it changed is taken back.

    What is forged comes from another site: with the session, without the page's token.
    """
    body = _filled(form or {}, world)
    client = copy(world.clients[who])
    client.handler = _FORGING if forged else _HANDLER
    client.cookies = SimpleCookie(client.cookies.output(header="", sep=";"))
    with transaction.atomic():
        before = _written()
        if address.startswith("/api/"):
            answer = client.generic(method, address, json.dumps(body), "application/json")
        elif method == "POST":
            answer = client.post(address, body)
        else:
            answer = client.generic(method, address)
        said = _class_of(answer, changed=_written() != before)
        if said == "done":
            said += _unsaid(world)
        transaction.set_rollback(True)
    return said


def _filled(value: Any, world: World) -> Any:
    if isinstance(value, dict):
        return {key: _filled(each, world) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, world) for each in value]
    return value.format(**world.names) if isinstance(value, str) else value


def _written() -> int:
    """Return how many rows of all tables this transaction has written so far."""
    with connection.cursor() as cursor:
        cursor.execute(_WRITTEN, [_NOT_COUNTED])
        return int(cursor.fetchone()[0] or 0)


def _unsaid(world: World) -> str:
    """Return what the audit log does not say of what was done: who did it, or from which address."""
    acts = AuditEntry.objects.filter(pk__gt=world.audited, actor__isnull=False)
    addresses = list(acts.values_list("address", flat=True))
    if not addresses:
        return ", and the audit log does not say so"
    return "" if all(addresses) else ", and the audit log does not say from which address"


def _class_of(answer: HttpResponse, *, changed: bool) -> str:
    if changed:
        return "done" if answer.status_code < 400 else f"{answer.status_code} and changed"
    if answer.status_code in {301, 302}:
        to = answer.headers["Location"]
        return "sign-in" if "/sign-in" in to or "/admin/login/" in to else "on"
    if answer.status_code in {200, 204}:
        return "page"
    return str(answer.status_code)
