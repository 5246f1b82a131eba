"""axe-core finds nothing on the lists and pages of what an inbox leads to: all themes and sizes."""

from __future__ import annotations

import pytest

from projects.models import User
from tests.acceptance import page_fixtures
from tests.acceptance.axe import violations
from tests.acceptance.live_house import signed_in
from tests.acceptance.test_accessibility import SIZES
from tests.payloads.console import make_everything

browser = page_fixtures.browser
house = page_fixtures.house

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]

LOOKED_AT = ("/standing-grants", "/calls/", "/inbox?tab=", "/inbox/selected?")


def test_axe_finds_nothing_on_pages_an_inbox_leads_to(house, browser):
    _, pages = house.write(make_everything)
    paths = [path for path in pages if path.startswith(LOOKED_AT) and "/live" not in path]
    lead, found = User.objects.get(username="lead"), []
    for size, (width, height) in SIZES.items():
        context = signed_in(house, browser, lead, viewport={"width": width, "height": height})
        page = context.new_page()
        for path in dict.fromkeys(paths):
            page.goto(path)
            found += violations(page, f"{path}, {size}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        context.close()
    assert found == [], "\n".join(found)
