"""Texts that would be code: drawn as text in every place, by a real parser and a real browser."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin as django_admin
from django.urls import reverse

from projects.models import User
from tests.acceptance import page_fixtures
from tests.acceptance.live_house import signed_in
from tests.admin_fixtures import make_one_of_everything
from tests.payloads.console import make_everything
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
    context = signed_in(house, browser, person)
    context.add_init_script(WATCHED)
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    for address in pages:
        answer: Any = page.goto(address, wait_until="load")
        assert answer.status in {200, 400}, address
        assert page.evaluate("window.zz") is None, address
        assert page.evaluate("window.violated") == [], address
        assert page.url.startswith(house.url), address
    assert {url for url in asked if not url.startswith((house.url, "ws://127.0.0.1"))} == set()
    assert not any(AWAY in url.split("?")[0] for url in asked)
    context.close()
