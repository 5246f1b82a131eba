"""Texts that would be code: drawn as text in every place, by a real parser and a real browser."""

from __future__ import annotations

from typing import Any

import pytest

from tests.acceptance import page_fixtures
from tests.acceptance.live_house import signed_in
from tests.payloads.payloads import AWAY, PAYLOADS
from tests.payloads.places import fill

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
    pages = house.write(fill, project, requester, lead, PAYLOADS)
    context = signed_in(house, browser, lead)
    context.add_init_script(WATCHED)
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    for address in pages:
        answer: Any = page.goto(address, wait_until="load")
        assert answer.status == 200, address
        assert page.evaluate("window.zz") is None, address
        assert page.evaluate("window.violated") == [], address
        assert page.url.startswith(house.url), address
    assert {url for url in asked if not url.startswith((house.url, "ws://127.0.0.1"))} == set()
    assert not any(AWAY in url.split("?")[0] for url in asked)
    context.close()
