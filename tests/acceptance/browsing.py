"""A person at a real browser: signs in, reads, clicks, takes pictures."""

from __future__ import annotations

import re
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import Page, expect, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from tests.stack import Stack

PICTURES = Path(__file__).resolve().parents[1] / "artifacts"
SLOW = 90_000  # milliseconds: agents at work on a busy machine
LONGEST = 60  # seconds a page may take to say something; what is right is never waited for so long
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
expect.set_options(timeout=LONGEST * 1_000)


def listens(page: Page) -> None:
    """Wait until the scripts of a page that came by a link or a key hear keys: before, they go nowhere."""
    expect(page.locator("[data-connection=live]").first).to_be_attached()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the system's Chromium."""
    binary = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=FLAGS)
        yield browser
        browser.close()


def view_files(page: Page) -> None:
    """Mark each file of a review page as viewed, by its button."""
    left = page.locator("[data-viewed][aria-pressed=false]")
    while before := left.count():
        left.first.click()
        expect(left).to_have_count(before - 1)


def view_by_keys(page: Page) -> None:
    """Mark each file of a review page as viewed, by `v`, once its scripts hear keys."""
    listens(page)
    left = page.locator("[data-viewed][aria-pressed=false]")
    while before := left.count():
        page.keyboard.press("v")
        expect(left).to_have_count(before - 1)


class Person:
    """Somebody signed in at a browser of their own; notes what the console complains about."""

    def __init__(self, browser: Browser, stack: Stack, who: str) -> None:
        self.stack, self.account = stack, stack.accounts[who]
        self.complaints: list[str] = []
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        self.page: Page = context.new_page()
        self.page.set_default_timeout(LONGEST * 1_000)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._listen)
        self._sign_in()

    def open(self, path: str) -> Page:
        """Go to a page of the console."""
        self.page.goto(self.stack.url + path)
        return self.page

    def picture(self, name: str) -> None:
        """Take the page as it is, in light and dark, wide and on a phone."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)
            for size, width, height in (("wide", 1440, 900), ("phone", 390, 844)):
                self.page.set_viewport_size({"width": width, "height": height})
                target = PICTURES / f"{name}-{size}-{scheme}.png"
                self.page.screenshot(path=target)
        self.page.emulate_media(color_scheme="light")
        self.page.set_viewport_size({"width": 1440, "height": 900})
        # Panes scroll on their own; a page that also scrolls would show nothing below itself.
        if self.page.locator(".panes").count():
            height = self.page.evaluate("document.scrollingElement.scrollHeight")
            assert height <= 900, f"{name}: the document is {height} px high"

    def hand_over(self, request: str) -> int:
        """Submit a request on the New task page; return the task's number."""
        self.open("/new")
        self.page.get_by_label("What should change?").fill(request)
        self.page.get_by_label("Project", exact=True).select_option("billing-demo")
        self.page.keyboard.press("Control+Enter")
        expect(self.page).to_have_url(re.compile(r"/tasks/T-\d+"))
        return int(self.page.url.split("/T-")[1].split("?")[0])

    def _sign_in(self) -> None:
        self.open("/sign-in")
        self.picture("sign-in")
        self.page.get_by_label("User name").fill(self.account["username"])
        self.page.get_by_label("Password").fill(self.account["password"])
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page).not_to_have_url(re.compile("sign-in"))

    def _listen(self, message: object) -> None:
        if getattr(message, "type", "") == "error":
            self.complaints.append(getattr(message, "text", ""))
