"""What tests of a live page over the test's own rows begin with; each file binds what it uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import console_fixtures
from tests.acceptance.live_house import House, browser_beside_rows, signed_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browser_beside_rows() as browser:
        yield browser


@pytest.fixture
def house(tmp_path, settings) -> Iterator[House]:
    with House(tmp_path, settings) as house:
        yield house


@pytest.fixture
def made(house, project, requester, lead):
    return house.write(console_fixtures.running_task, project, requester)


@pytest.fixture
def context(house, browser, requester, made) -> Iterator[BrowserContext]:
    context = signed_in(house, browser, requester)
    yield context
    context.close()


def click_number(page: Page, cell: str) -> None:
    """Click on the number of a line, which the style draws."""
    page.locator(cell).first.click(position={"x": 10, "y": 10})
