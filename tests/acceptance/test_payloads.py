"""Texts that would be code: drawn as text in every place, by a real parser and a real browser."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin as django_admin
from django.urls import reverse
from playwright.sync_api import expect

from projects.models import User
from tests.acceptance import page_fixtures
from tests.acceptance.live_house import signed_in
from tests.admin_fixtures import make_one_of_everything
from tests.approval_fixtures import make_repository
from tests.payloads.console import make_everything
from tests.payloads.files import change_of, edit_page
from tests.payloads.payloads import AWAY, PAYLOADS
from tests.payloads.places import fill
from tests.payloads.rows import write_everywhere

browser = page_fixtures.browser
house = page_fixtures.house

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]
LEAST = 60
WATCHED = """
window.violated = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violated.push(event.violatedDirective + " " + event.blockedURI);
});
"""


def test_there_are_as_many_payloads_as_were_promised():
    assert len(set(PAYLOADS)) >= LEAST


def test_every_page_opened_in_a_browser_runs_nothing_and_asks_nobody_else(
    house, browser, project, requester, lead
):
    opens_quietly(house, browser, lead, house.write(fill, project, requester, lead, PAYLOADS))


def test_every_page_of_the_console_with_texts_in_every_column_is_quiet_in_a_browser(house, browser):
    _, pages = house.write(make_everything)
    house.write(write_everywhere, PAYLOADS)
    live = {page for page in pages if "/live" in page or "/earlier" in page}
    lead = User.objects.get(username="lead")
    opens_quietly(house, browser, lead, [page for page in pages if page not in live])


def test_every_page_of_the_admin_with_texts_in_every_column_is_quiet_in_a_browser(
    house, browser, project, requester, lead, admin
):
    house.write(make_one_of_everything, project, requester, lead)
    house.write(write_everywhere, PAYLOADS)
    opens_quietly(house, browser, admin, house.write(admin_pages))


def test_a_file_and_its_name_are_quiet_in_the_page_that_edits_it(
    house, browser, project, requester, lead, tmp_path
):
    # In git, its names and lines are what an agent wrote.
    pages = house.write(files, project, requester, tmp_path)
    opens_quietly(house, browser, lead, pages)


def test_the_invariants_of_rows_with_texts_in_every_column_are_quiet_in_a_browser(
    house, browser, admin
):
    house.write(make_everything)
    house.write(write_everywhere, PAYLOADS)
    context, asked = listened(house, browser, admin)
    page = context.new_page()
    page.goto("/admin/invariants/")
    page.get_by_role("button", name="Verify now").click()
    expect(page.get_by_text("do not hold")).to_be_visible(timeout=60_000)
    is_quiet(house, page, asked)
    context.close()


def files(project, requester, folder) -> list[str]:
    """Return the pages of changes whose file is named like one payload each and holds them all."""
    make_repository(folder, project)
    pages = []
    for at in range(0, len(PAYLOADS), len(PAYLOADS) // 8):
        texts = [*PAYLOADS[at:], *PAYLOADS[:at]]
        approval, path = change_of(project, requester, folder, texts)
        pages += [edit_page(approval, path), f"/review/{approval.task.label}/r1"]
    return pages


def admin_pages() -> list[str]:
    """Return the list of each model, and its first row."""
    pages = ["/admin/"]
    for model in django_admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        pages.append(reverse(f"{name}_changelist"))
        pages.append(reverse(f"{name}_change", args=[model.objects.first().pk]))
    return pages


def opens_quietly(house, browser, person, pages) -> None:
    """Open pages one after another: nothing runs, nothing is asked of others, no rule is violated."""
    context, asked = listened(house, browser, person)
    page = context.new_page()
    for address in pages:
        answer: Any = page.goto(address, wait_until="load")
        assert answer.status in {200, 400}, address
        is_quiet(house, page, asked)
    context.close()


def listened(house, browser, person) -> tuple[Any, list[str]]:
    """Return a browser of somebody, and the list that what it asks for comes into."""
    context = signed_in(house, browser, person)
    context.add_init_script(WATCHED)
    context.on("dialog", lambda dialog: pytest.fail(dialog.message))
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    return context, asked


def is_quiet(house, page, asked) -> None:
    """Hold that the page ran nothing, broke no rule, and asked our own server alone."""
    assert page.evaluate("window.zz") is None, page.url
    assert page.evaluate("window.violated") == [], page.url
    assert page.url.startswith(house.url), page.url
    assert {url for url in asked if not url.startswith((house.url, "ws://127.0.0.1"))} == set()
    assert not any(AWAY in url.split("?")[0] for url in asked)
