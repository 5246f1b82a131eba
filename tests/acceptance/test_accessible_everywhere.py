"""axe-core finds nothing on any page of the console that is declared, nor where something went wrong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from django.urls import reverse

from approvals.models import CallApproval
from projects.models import User
from tests.acceptance import declared_pages, page_fixtures
from tests.acceptance.axe import violations_of_sizes
from tests.acceptance.declared_pages import LEAD_ON, PIECES, TEXTS
from tests.acceptance.live_house import signed_in
from tests.call_fixtures import decided
from tests.reviewing import decide
from tests.routes import table
from tests.routes.asking import address_of, routes

if TYPE_CHECKING:
    from playwright.sync_api import Page

browser = page_fixtures.browser
house = page_fixtures.house

# Swagger UI writes links into buttons, leaves out a level of headings, and its title stands in no part.
OF_SWAGGER = {"nested-interactive", "heading-order", "region"}
MAKING = 180  # seconds: many rows
pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]

LATE = """(verdict) => {
  const form = document.querySelector("form[action$='/decide']");
  const given = Object.assign(document.createElement("input"), { name: "verdict", value: verdict });
  form.append(given);
  form.submit();
}"""
FORGED = """() => {
  const form = document.createElement("form");
  Object.assign(form, { method: "post", action: "/settings/theme" });
  document.body.append(form);
  form.submit();
}"""


class Looking:
    """Somebody at a browser, under whose eyes axe looks at each page they come to."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.seen: list[str] = []
        self.found: list[str] = []

    def at(self, path: str, status: int = 200) -> None:
        """Open a page."""
        self._look(self.page.goto(path), status)

    def after(self, act: str, *given: Any, status: int = 200) -> None:
        """Look at the page an act leads to."""
        with self.page.expect_navigation() as came:
            self.page.evaluate(act, *given)
        self._look(came.value, status)

    def _look(self, answer: Any, status: int) -> None:
        path = self.page.url.split("/", 3)[3]
        assert answer.status == status, path
        assert "<html" in answer.text(), path
        self.seen.append(f"/{path}")
        self.found += violations_of_sizes(self.page, f"/{path[:80]} ({status})")


def looking(house, browser, username) -> Looking:
    person = User.objects.get(username=username)
    return Looking(signed_in(house, browser, person).new_page())


def test_axe_finds_nothing_on_any_page_that_is_declared(house, browser, tmp_path):
    made = house.writing(declared_pages.make, tmp_path).result(MAKING)
    lead = looking(house, browser, "lead")
    for path in made.of_lead:
        lead.at(path, 400 if path.endswith("/edit") else 200)
    come_to_from_others(lead, made)
    of_the_api(lead)
    everybody = [lead, refused(house, browser, made), nobody(browser, house)]
    nothing_else_is_a_page(lead.page.request, made.world)
    assert declared_pages.not_looked_at(path for each in everybody for path in each.seen) == set()
    found = [line for each in everybody for line in each.found]
    assert found == [], "\n".join(found)


def nothing_else_is_a_page(asked, world) -> None:
    """Hold that what is looked at nowhere is a part of a page, leads to one, or is for machines."""
    patterns = dict(routes())
    for line in table.lines():
        if line.method == "GET" and line.route in PIECES | LEAD_ON | TEXTS:
            answer = asked.get(address_of(patterns[line.route], line.of, world), max_redirects=0)
            assert "<html" not in answer.text(), line.route


def come_to_from_others(lead: Looking, made) -> None:
    """Look at what has no address of its own to begin with."""
    lead.page.goto(f"/review/{made.change.task.label}/r1")
    lead.at(lead.page.locator("a[href*='/around?']").first.get_attribute("href"))
    lead.page.goto(f"/inbox/selected?pick={made.world.names['easy_id']}")
    lead.after("() => document.querySelector(\"form[action$='/approve']\").submit()")
    assert lead.seen[-1] == "/inbox/selected/done"


def of_the_api(person: Looking) -> None:
    """Look at the API's page when Swagger UI has drawn it: what it holds against that is out of our hands."""
    path = reverse("api:docs")
    person.page.goto(path)
    person.page.wait_for_selector(".opblock")
    person.seen.append(path)
    rules = {line.split(": ")[1] for line in violations_of_sizes(person.page, path)}
    assert rules == OF_SWAGGER


def refused(house, browser, made) -> Looking:
    """Look at what is said where something is not there, not allowed, too late or not understood."""
    names, person = made.world.names, looking(house, browser, "lead")
    second = User.objects.get(username="second")
    person.at("/tasks/T-99999", 404)
    person.page.goto("/settings")
    person.after(FORGED, status=403)
    person.page.goto(f"/calls/{names['call']}")
    house.write(decided, CallApproval.objects.get(pk=names["call"]), second)
    person.after(LATE, "allow", status=409)
    person.page.goto(f"/review/{made.change.task.label}/r1")
    seal = {"digest": made.change.digest, "nonce": made.change.nonce}
    house.write(decide, made.change.pk, by=second, verdict="reject", note="Not like this.", **seal)
    person.after(LATE, "approve", status=409)
    requester = looking(house, browser, "requester")
    requester.at("/operations", 403)
    person.found += requester.found
    return person


def nobody(browser, house) -> Looking:
    """Look at where somebody signs in, and is told that it was wrong."""
    person = Looking(browser.new_context(base_url=house.url).new_page())
    for path in ("/sign-in", "/admin/login/"):
        person.at(path)
        person.page.get_by_label(re.compile("user ?name", re.I)).fill("lead")
        person.page.get_by_label(re.compile("password", re.I)).fill("wrong")
        with person.page.expect_navigation():
            person.page.get_by_role("button", name="Sign in").click()
        person.found += violations_of_sizes(person.page, f"{path}, wrong")
    return person
