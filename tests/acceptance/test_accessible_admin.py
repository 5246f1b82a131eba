"""axe-core finds nothing on the admin's pages: each list, row, form, refused form and confirmation,
in light and dark, and on a phone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.contrib import admin as django_admin
from django.urls import reverse

from agents.models import AgentVersion
from projects.models import Project
from tests.acceptance import page_fixtures
from tests.acceptance.axe import SIZES, THEMES, violations
from tests.acceptance.live_house import signed_in
from tests.admin_fixtures import make_one_of_everything
from tests.payloads.rows import log_of
from tests.routes import table

if TYPE_CHECKING:
    from playwright.sync_api import Page

browser = page_fixtures.browser
house = page_fixtures.house

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]
SCRIPTS = {"jsi18n"}
MODELS = {model._meta.model_name: model for model in django_admin.site._registry}
CONFIRMED = (("memory/memory", "forget"), ("notices/webhook", "delete_selected"))


def test_axe_finds_nothing_on_any_page_of_the_admin(
    house, browser, project, requester, lead, admin
):
    pages = house.write(make_pages, project, requester, lead, admin)
    context = signed_in(house, browser, admin)
    page = context.new_page()
    found: list[str] = []
    for path in pages:
        answer: Any = page.goto(path)
        assert answer.status == 200, path
        found += looked_at(page, path)
        if path.endswith("/add/"):
            pressed(page, "_save")
            assert page.url.endswith(path)
            found += looked_at(page, f"{path}, refused")
    for path, action in CONFIRMED:
        page.goto(f"/admin/{path}/")
        page.locator("input.action-select").first.check()
        page.locator("select[name=action]").select_option(action)
        pressed(page, "index")
        found += looked_at(page, f"{path}, {action}")
    context.close()
    assert found == [], "\n".join(found)


def looked_at(page: Page, name: str) -> list[str]:
    """Return what axe holds against a page that is open; on a phone its colours are the same."""
    found: list[str] = []
    for size, themes in (("phone", ["light"]), ("wide", THEMES)):  # it goes on wide
        width, height = SIZES[size]
        page.set_viewport_size({"width": width, "height": height})
        found += violations(page, f"{name}, {size}", themes)
    return found


def pressed(page: Page, name: str) -> None:
    """Press the button of this name and wait for the page it leads to."""
    with page.expect_navigation():
        page.locator(f"[type=submit][name={name}]").click()


def make_pages(project, requester, lead, admin) -> list[str]:
    """Write one of everything and return the pages that are declared, each row's the first."""
    make_one_of_everything(project, requester, lead)
    log_of(admin, "Looked at.", [Project.objects.first()])
    version = AgentVersion.objects.first()
    pages = [
        row["address"].format(person=requester.pk, version=version.pk)
        for row in table.rows(table.ADMIN_PAGES)
        if row["GET"] == "page" and row["route"] not in SCRIPTS
    ]
    for row in table.rows(table.ADMIN):
        pages += pages_of(row)
    return [*pages, address_of(Project, "history")]


def pages_of(row: dict[str, str]) -> list[str]:
    """Return the pages of one model: their history is a table like that of a project."""
    model = MODELS[row["model"]]
    shown = [kind for kind in ("add", "change", "delete") if row[kind] == "page"]
    return [address_of(model, "changelist"), *(address_of(model, kind) for kind in shown)]


def address_of(model: Any, kind: str) -> str:
    """Return the page of this kind of the model, or of its first row."""
    of_row = [] if kind in {"changelist", "add"} else [model.objects.first().pk]
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{kind}", args=of_row)
