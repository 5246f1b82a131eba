"""Every route there is, by everybody, with every method: as `tests/routes/table.py` declares."""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import contextmanager
from importlib import import_module

import pytest
from django.contrib import admin
from django.db import transaction
from django.http import HttpResponse
from django.urls import path

from projects.models import AuditEntry, Project, User
from tests.admin_fixtures import make_one_of_everything
from tests.routes import table
from tests.routes.asking import METHODS, SAFE, address_of, ask, routes
from tests.routes.world import EVERYBODY, PEOPLE, make_world

pytestmark = pytest.mark.django_db

ROUTES = list(routes())
PATTERNS = dict(ROUTES)  # of each name one: `sharing` finds the others
LINES = defaultdict(dict)
for _line in table.lines():
    LINES[_line.route][_line.method] = _line
DECLARED = sorted(set(LINES) & set(PATTERNS))
MODELS = {model._meta.model_name: model for model in admin.site._registry}
OF_MODELS = {row["model"]: row for row in table.rows(table.ADMIN)}
PAGES = table.rows(table.ADMIN_PAGES)
UNKNOWN = "api:unknown_address"


@pytest.fixture(scope="module")
def world(django_db_setup, django_db_blocker):
    """Made once: whatever an answer changes is taken back, and in the end so is the world."""
    with django_db_blocker.unblock(), transaction.atomic():
        made = make_world()
        people = [User.objects.get(username=name) for name in ("requester", "lead")]
        make_one_of_everything(Project.objects.get(slug="acme"), *people)
        made.names["version"] = MODELS["agentversion"].objects.first().pk
        made.audited = AuditEntry.objects.latest("pk").pk
        yield made
        transaction.set_rollback(True)


def test_no_route_is_missing_from_the_tables_and_none_is_there_that_is_not():
    of_admin = {name.removeprefix("admin:") for name in PATTERNS if name.startswith("admin:")}
    of_admin.add("invariants")
    of_models = {
        f"{model._meta.app_label}_{name}_{act}"
        for name, model in MODELS.items()
        for act in ("changelist", "add", "change", "delete", "history")
    }
    # Django's own, and the address of a row from before 1.9, which leads to its page.
    known = {row["route"] for row in PAGES} | of_models | {"login", "<path:object_id>/"}
    assert of_admin == known
    assert set(OF_MODELS) == set(MODELS)
    assert of_console_and_api(PATTERNS) == set(LINES)
    assert sharing(ROUTES) == []


def sharing(found):
    """Return the routes that share a name: of such a name one address alone would be asked.

    Django has one of each model without a name, which leads on to its page.
    """
    unnamed = "<path:object_id>/"
    known = {
        (f"admin:{unnamed}", f"/admin/{model._meta.app_label}/{name}/{unnamed}")
        for name, model in MODELS.items()
    }
    names = Counter(name for name, _ in found)
    return [each for each in found if names[each[0]] > 1 and each not in known]


def of_console_and_api(patterns):
    return {name for name in patterns if not name.startswith("admin:")} - {"invariants", UNKNOWN}


@contextmanager
def added(space, name):
    """Add a route that is not declared."""
    there = import_module(f"countersign.{space}.urls").urlpatterns
    new = path("quite-new", lambda _: HttpResponse(), name=name)
    there.append(new)
    try:
        yield list(routes())
    finally:
        there.remove(new)


@pytest.mark.parametrize("space", ["console", "api"])
def test_a_route_that_is_not_declared_is_found(space):
    with added(space, "quite_new") as found:
        names = of_console_and_api(dict(found)) - set(LINES)
    assert [name.endswith("quite_new") for name in names] == [True]


@pytest.mark.parametrize(("space", "name"), [("console", "decide"), ("api", "signatures")])
def test_a_second_route_by_a_declared_name_is_found(space, name):
    with added(space, name) as found:
        assert of_console_and_api(dict(found)) == set(LINES)
        shared = sharing(found)
    assert {each for each, _ in shared} == {f"{space}:{name}"}
    assert [pattern.endswith("/quite-new") for _, pattern in shared] == [False, True]


def expected(route, method, who):
    column = "nobody" if who in {"anonymous", "disabled"} else who
    if line := LINES[route].get(method):
        return line.answers[column]
    area = next(iter(LINES[route].values())).area
    if area == "api" and method == "OPTIONS":
        return table.DESCRIBED[column]
    return table.UNLISTED[area][column]


def of(route, method):
    """Return what the address names: for a method without a line, what the others name."""
    return (LINES[route].get(method) or next(iter(LINES[route].values()))).of


def space_of(route):
    return route if ":" in route else f"{route}:"


@pytest.mark.parametrize("route", DECLARED)
def test_every_answer_of_a_route_is_as_declared(world, route):
    found, declared = {}, {}
    for method in METHODS:
        address = address_of(PATTERNS[route], of(route, method), world)
        for who in EVERYBODY:
            asked = ask(world, who, method, address, table.FORMS.get(route))
            declared[method, who] = expected(route, method, who)
            either = declared[method, who] == "either" and asked in {"page", "503"}
            found[method, who] = "either" if either else asked
    assert found == declared


@pytest.mark.parametrize("route", DECLARED)
def test_nothing_is_changed_from_another_site(world, route):
    for method in set(METHODS) - set(SAFE):
        address = address_of(PATTERNS[route], of(route, method), world)
        for who in PEOPLE:
            asked = ask(world, who, method, address, table.FORMS.get(route), forged=True)
            assert asked in {"403", "405"}, (method, who)
            assert asked == "403" or LINES[route].get(method) is None, (method, who)


def test_an_unknown_address_of_the_api_is_404_for_everybody(world):
    asked = {ask(world, who, method, "/api/v1/no") for who in EVERYBODY for method in METHODS}
    assert asked == {"404"}


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_page_of_a_model_is_as_declared(world, name):
    model, row = MODELS[name], OF_MODELS.get(name)
    key = model.objects.values_list("pk", flat=True).first()
    at = f"/admin/{model._meta.app_label}/{name}/"
    wanted = {
        at: ("page", "page"),
        f"{at}add/": (row["add"], row["add"]),
        f"{at}{key}/history/": ("page", "page"),
        f"{at}{key}/change/": (row["change"], row["save"]),
        f"{at}{key}/delete/": (row["delete"], row["delete"]),
        f"{at}{key}/": ("on", "on"),
    }
    for address, (shown, sent) in wanted.items():
        of_admin = {method: ask(world, "admin", method, address) for method in METHODS}
        assert of_admin == dict.fromkeys(METHODS, shown) | {"POST": sent}, address
        assert answers_of_others(world, address) == {"sign-in"}, address


def answers_of_others(world, address):
    """Return what everybody else is answered: Django asks who it is before it looks at the method."""
    everybody = [(who, method) for who in EVERYBODY for method in ("GET", "POST")]
    asked = {*everybody, *(("lead", method) for method in METHODS)}
    return {ask(world, who, method, address) for who, method in asked if who != "admin"}


@pytest.mark.parametrize("row", PAGES, ids=[row["route"] for row in PAGES])
def test_every_other_page_of_the_admin_is_as_declared(world, row):
    address = row["address"].format(**world.names)
    for method in METHODS:
        asked = ask(world, "admin", method, address)
        if method in {"GET", "POST"}:
            assert asked == row[method]
        assert "done" not in asked or method == "POST", method
    elsewhere = {"logout": {"on"}, "invariants": {"sign-in", "405"}}
    assert answers_of_others(world, address) == elsewhere.get(row["route"], {"sign-in"})


def test_only_an_admin_gets_past_the_admins_own_sign_in(world):
    sent = {"username": "lead", "password": "wrong"}
    for who in EVERYBODY:
        assert ask(world, who, "POST", "/admin/login/", sent) == "page", who
        assert ask(world, who, "GET", "/admin/login/") == ("on" if who == "admin" else "page"), who
