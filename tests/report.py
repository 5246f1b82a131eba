"""Skips what this machine cannot run, and says at the end what that was and how to enable it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import cache

import pytest

from tests.rabbitmq import rabbitmq_binary

HOW = {
    "needs_chromium": (
        "a Chromium browser that starts headless",
        "install chromium (Debian: apt install chromium), or run make test as root on Debian",
    ),
    "needs_sandbox": (
        "a usable bubblewrap",
        "install bubblewrap and let it make user namespaces (see bwrap's own error message)",
    ),
    "needs_rabbitmq": (
        "RabbitMQ's own programs; its service need not run",
        "install rabbitmq-server (its service may stay off), or run make test as root on Debian",
    ),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--refuse-skips", action="store_true", help="Fail when any test was skipped.")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, works in WORKS.items():
        if item.get_closest_marker(marker) and not works():
            pytest.skip(f"{marker}: there is no {HOW[marker][0].removeprefix('a ')} here")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = bool(reporter and reporter.stats.get("skipped"))
    if skipped and session.config.getoption("refuse_skips") and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    if not skipped:
        return
    terminalreporter.section("not run here")
    told = [str(report.longrepr) for report in skipped]
    for marker, (what, how) in HOW.items():
        if count := sum(f"{marker}:" in text for text in told):
            terminalreporter.line(f"{count} tests need {what}. To run them: {how}.")
    other = sum(not any(f"{marker}:" in text for marker in HOW) for text in told)
    if other:
        terminalreporter.line(f"{other} tests were skipped for the reasons listed above.")
    if terminalreporter.config.getoption("refuse_skips"):
        terminalreporter.line("Nothing may be skipped here (--refuse-skips), so this run fails.")


def chromium_binary() -> str | None:
    """Return the system's Chromium, None when there is none."""
    return next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )


@cache
def chromium() -> bool:
    """Tell whether a Chromium starts here: a wrapper that only says "snap install" does not."""
    binary = chromium_binary()
    if binary is None:
        return False
    with tempfile.TemporaryDirectory() as profile:
        command = [binary, "--headless", "--disable-gpu", f"--user-data-dir={profile}"]
        if os.geteuid() == 0:
            command.append("--no-sandbox")
        try:
            done = subprocess.run(
                [*command, "--dump-dom", "data:text/html,<p>here</p>"],
                capture_output=True,
                timeout=60,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
    return b"here" in done.stdout


@cache
def sandbox() -> bool:
    """Tell whether bubblewrap isolates here."""
    from agents.workspace.sandbox import available

    return available() == "bubblewrap"


def rabbitmq() -> bool:
    """Tell whether a RabbitMQ node of our own can be started here."""
    return bool(rabbitmq_binary() and rabbitmq_binary("rabbitmqctl") and shutil.which("epmd"))


WORKS = {"needs_chromium": chromium, "needs_sandbox": sandbox, "needs_rabbitmq": rabbitmq}
