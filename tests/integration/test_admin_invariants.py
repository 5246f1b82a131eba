"""The admin's page of the invariants: shown on a GET, checked on a POST, for staff alone."""

from __future__ import annotations

import pytest
from django.urls import reverse

from agents.models import ToolServer
from countersign import invariants

PAGE = "/admin/invariants/"


IN_THE_MENU = 1  # the admin's own page of holds


@pytest.fixture
def as_admin(client, admin, settings, tmp_path):
    settings.DATA_DIR = tmp_path
    client.force_login(admin)
    return client


def test_page_lists_what_must_be_true_and_checks_nothing_yet(as_admin):
    assert PAGE in as_admin.get(reverse("admin:index")).content.decode()
    page = as_admin.get(PAGE).content.decode()
    assert all(check.name in page for check in invariants.checks())
    assert "Verify now" in page
    assert page.count(">Holds<") == IN_THE_MENU


def test_button_checks_everything(as_admin):
    page = as_admin.post(PAGE).content.decode()
    count = len(invariants.checks())
    assert f"All {count} hold" in page
    assert page.count(">Holds<") == count + IN_THE_MENU


def test_rows_that_break_an_invariant_are_named_and_linked(as_admin):
    servers = [
        ToolServer(slug=f"evil-{n}", name="Evil", transport="stdio", target="<b>sh</b>")
        for n in range(25)
    ]
    ToolServer.objects.bulk_create(servers)
    page = as_admin.post(PAGE).content.decode()
    assert "1 of " in page
    assert "25 broken" in page
    assert "and 5 more" in page
    assert reverse("admin:agents_toolserver_change", args=[servers[0].pk]) in page
    assert "&lt;b&gt;sh&lt;/b&gt;" in page
    assert "<b>sh</b>" not in page


def test_others_are_sent_to_the_sign_in_and_nothing_is_checked(client, lead):
    for method in (client.get, client.post):
        assert method(PAGE)["Location"].startswith("/admin/login/")
    client.force_login(lead)
    assert client.post(PAGE)["Location"].startswith("/admin/login/")


def test_no_other_method_is_taken(as_admin):
    assert as_admin.put(PAGE).status_code == 405
