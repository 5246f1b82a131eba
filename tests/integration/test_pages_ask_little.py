"""How often each page of the console, and each list of the admin, asks the database."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.payloads.console import make_everything

pytestmark = pytest.mark.django_db
MOST = 12
_OURS = ("projects", "memory", "agents", "approvals", "notices")


def asked(client, path: str) -> list[str]:
    """Return the statements of a page that was opened before: the session is written once."""
    client.get(path)
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(path)
    assert answer.status_code in {200, 302, 400}, path
    return [each["sql"] for each in queries if not each["sql"].startswith(("SAVEPOINT", "RELEASE"))]


def test_no_page_that_a_lead_may_open_asks_more_than_twelve_times():
    world, pages = make_everything()
    counts = {path: len(asked(world.clients["lead"], path)) for path in pages}
    assert {path: count for path, count in counts.items() if count > MOST} == {}


def test_no_list_of_the_admin_asks_more_than_twelve_times():
    world, _ = make_everything()
    counts = {}
    for model in admin.site._registry:
        if model._meta.app_label in _OURS:
            path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
            counts[path] = len(asked(world.clients["admin"], path))
    assert {path: count for path, count in counts.items() if count > MOST} == {}
