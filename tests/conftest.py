"""The cast of every test: a requester, two leads, a stranger, an admin, and their project."""

from __future__ import annotations

import sys
from functools import cache
from inspect import iscoroutinefunction

import pytest
from django.contrib.auth.hashers import make_password
from django.db import connection

from projects.models import Membership, Project, Role, User


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """Let transactional tests empty the audit log between them."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE projects_auditentry DISABLE TRIGGER never_emptied")


@pytest.fixture(autouse=True)
def _no_runtime_connection_stays():
    yield
    if database := sys.modules.get("agents.runtime.database"):
        database.close()


@pytest.fixture(autouse=True)
def _anchors_of_its_own(tmp_path, settings):
    """Let no test find the audit log of the one before it anchored: it is emptied in between."""
    settings.AUDIT_ANCHORS = tmp_path / "audit-anchors.jsonl"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Only tests that have a loop can close what was opened in it."""
    for item in items:
        if isinstance(item, pytest.Function) and iscoroutinefunction(item.obj):
            item.fixturenames.append(_no_model_stays_connected.__name__)


@pytest.fixture
async def _no_model_stays_connected():
    yield
    if providers := sys.modules.get("agents.runtime.providers"):
        await providers.close()


def _person(username: str, **facts: object) -> User:
    first, last = facts.pop("name", username.title() + " Test").split()
    return User.objects.create(
        username=username, password=_hashed(), first_name=first, last_name=last, **facts
    )


@cache
def _hashed() -> str:
    """Hash the cast's password once: the real hasher takes half a second."""
    return make_password("correct horse")


@pytest.fixture
def project(db) -> Project:
    return Project.objects.create(
        slug="acme-billing", name="acme/billing", repository="/nowhere.git"
    )


@pytest.fixture
def requester(project) -> User:
    user = _person("mira", name="Mira Ode")
    Membership.objects.create(user=user, project=project, role=Role.REQUESTER)
    return user


@pytest.fixture
def lead(project) -> User:
    user = _person("dana", name="Dana Kim")
    Membership.objects.create(user=user, project=project, role=Role.LEAD)
    return user


@pytest.fixture
def second_lead(project) -> User:
    user = _person("ravi", name="Ravi Singh")
    Membership.objects.create(user=user, project=project, role=Role.LEAD)
    return user


@pytest.fixture
def stranger(db) -> User:
    return _person("sam", name="Sam Stranger")


@pytest.fixture
def admin(db) -> User:
    return _person("root", name="Ada Admin", is_staff=True, is_superuser=True)
