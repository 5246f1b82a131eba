"""Takes a picture of each page with made-up rows: `python -m tests.acceptance.pages_shots`.

Needs Chromium. Writes to tests/artifacts/pages; names on the command line choose pages.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tests.services  # noqa: F401  starts PostgreSQL and Redis before Django reads its settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FOLDER = Path(__file__).resolve().parents[1] / "artifacts" / "pages"
SIZES = {"wide": (1440, 900), "phone": (390, 844)}
PASSWORD = "correct horse"


def prepare() -> dict[str, str]:
    """Migrate, make the people and the rows; return the pages by name."""
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from projects.models import Project
    from tests import console_fixtures as fixtures
    from tests.delegation_fixtures import asking_task

    project = Project.objects.create(slug="acme", name="acme/billing", repository="/nowhere.git")
    people = _people(project)
    mira, dana = people["mira"], people["dana"]
    lesson = fixtures.make_lesson(project, dana)
    fixtures.make_lesson(
        project, dana, state="proposed", content="Do not touch refunds.", agent_slug="coder"
    )
    running = fixtures.running_task(project, mira)
    fixtures.use_lesson(lesson, running)
    review = fixtures.reviewed_task(project, mira)
    report = fixtures.reported_task(project, mira, report="# Found\n\nTax is rounded **twice**.")
    sent_back = fixtures.reviewed_task(project, mira, title="Cache the price list per region")
    round_2 = _send_back(sent_back, dana)
    rejected = _rejected(project, mira, dana)
    priced = _priced(project, mira)
    asking = asking_task(project, mira)
    return {
        "new": "/new",
        "tasks": "/tasks",
        "task": f"/tasks/T-{running.task.number}",
        "task-list": f"/tasks/T-{running.task.number}?view=list&tab=events",
        "task-paused": f"/tasks/T-{_paused(project, mira, dana).number}",
        "operations": "/operations",
        "task-asking": f"/tasks/T-{asking.number}",
        **_waiting(project, mira),
        "inbox": "/inbox",
        "review": f"/review/T-{review.task.number}/r1",
        "report": f"/review/T-{report.task.number}/r1",
        "rejected": f"/tasks/T-{rejected.task.number}",
        "review-rejected": f"/review/T-{rejected.task.number}/r1",
        "review-priced": f"/review/T-{priced.task.number}/r1",
        "task-priced": f"/tasks/T-{priced.task.number}",
        "round-2": f"/review/T-{round_2.task.number}/r2",
        "memory": "/memory",
        "settings": "/settings",
        **_traces(project, mira),
        "missing": "/tasks/T-999",
    }


def _traces(project: Any, requester: Any) -> dict[str, str]:
    from agents.models import ModelCall
    from countersign.console.trace.spans import MODEL, key_of
    from tests.console_fixtures import make_task
    from tests.trace_fixtures import large_task, traced_task

    traced, empty = traced_task(project, requester), make_task(project, requester)
    large = large_task(project, requester, steps=6)
    call = ModelCall.objects.filter(attempt__step__task=traced, repairs=1).get()
    page = f"/tasks/T-{traced.number}/trace"
    return {
        "trace": page,
        "trace-span": f"{page}?span={key_of(MODEL, call.pk)}",
        "trace-errors": f"{page}?errors=1",
        "trace-slowest": f"{page}?sort=slowest",
        "trace-large": f"/tasks/T-{large.number}/trace",
        "trace-large-open": f"/tasks/T-{large.number}/trace?open=all",
        "trace-empty": f"/tasks/T-{empty.number}/trace",
    }


def _noted(project: Any, requester: Any) -> Any:
    """Return a task with a note that was read and one that was not."""
    from agents import notes
    from agents.models import Attempt
    from tests import console_fixtures as fixtures

    made = fixtures.running_task(project, requester)
    first = notes.add_note(made.task, text="Keep refunds as they are.", by=requester)
    Attempt.objects.filter(step__task=made.task, state="running").update(seen_seq=first.seq)
    notes.add_note(made.task, text="And name the rule in the changelog.", by=requester)
    return made.task


def _paused(project: Any, requester: Any, lead: Any) -> Any:
    from agents import holds
    from tests import console_fixtures as fixtures

    task = fixtures.running_task(project, requester, title="Paginate the invoice export").task
    holds.place(by=lead, task=task, reason="The price list changes today; wait for Ravi.")
    return task


def _people(project: Any) -> dict[str, Any]:
    from projects.models import Membership, Role, User

    people = {}
    for username, first, last, role in (
        ("mira", "Mira", "Ode", Role.REQUESTER),
        ("dana", "Dana", "Kim", Role.LEAD),
        ("ravi", "Ravi", "Singh", Role.LEAD),
    ):
        user = User.objects.create_user(
            username, password=PASSWORD, first_name=first, last_name=last
        )
        Membership.objects.create(user=user, project=project, role=role)
        people[username] = user
    return people


def _blocked(project: Any, requester: Any) -> Any:
    from tests import console_fixtures as fixtures

    made = fixtures.stopped_task(project, requester, rule="blocked")
    made.task.escalations.update(
        detail="No language model is configured.\n\nNothing was changed. Passages found for round:\n"
        "billing/invoice.py:82: def tax(self) -> Decimal:\n        return sum(line.tax)\n"
        "docs/rounding.md:3: Tax is rounded half up."
    )
    return made


def _waiting(project: Any, requester: Any) -> dict[str, str]:
    """Return the pages of tasks that wait: for their turn, for a reader, for an answer."""
    from tests import console_fixtures as fixtures

    made = {
        "task-stopped": fixtures.stopped_task(project, requester),
        "task-blocked": _blocked(project, requester),
        "task-looped": _looped(project, requester),
    }
    first, second = (fixtures.queued_task(project, requester) for _ in range(2))
    tasks = {name: one.task for name, one in made.items()}
    tasks |= {"task-next": first, "task-queued": second, "task-noted": _noted(project, requester)}
    return {name: f"/tasks/T-{task.number}" for name, task in tasks.items()}


def _looped(project: Any, requester: Any) -> Any:
    """Return a task with a loop, a conflict, and every way on."""
    from agents.models import Escalation, ToolCall
    from tests import console_fixtures as fixtures

    made = fixtures.stopped_task(project, requester, rule="repeated_call")
    coder, tester = made.steps["coder"], made.steps["tester"]
    for _ in range(3):
        fixtures.use_tool(coder, "read_file", "48 lines", path="billing/invoice.py")
    ToolCall.objects.filter(attempt__step=coder).update(
        result="80: def tax(self) -> Decimal:\n81:     return sum(line.tax for line in self.lines)"
    )
    ways = ["retry_with_note", "reassign", "take_over", "go_on_without", "stop"]
    usage = {"turns": 4, "max_turns": 12, "tokens": 61_200, "tool_calls": 9, "usd": 0.41}
    made.task.escalations.update(
        detail="Code agent called read_file with the same arguments three times and got the same "
        "result. Everything up to here is kept.",
        evidence={"threshold": 3, "observed": 3, "usage": usage},
        options=ways,
    )
    tester.state = "waiting_human"
    tester.save(update_fields=["state"])
    Escalation.objects.create(
        task=made.task,
        step=tester,
        rule="conflict",
        detail="The steps that “Add a half-even case” builds on change the same lines in "
        "tests/test_invoice.py. Nothing was thrown away.",
        evidence={"files": ["tests/test_invoice.py", "billing/rounding.py"], "ours": "ab" * 20},
        options=ways,
    )
    return made


def _priced(project: Any, requester: Any) -> Any:
    """Return a task whose model has no known price."""
    from tests import console_fixtures as fixtures

    made = fixtures.reviewed_task(project, requester, model="openai:some-model")
    facts = {"rule": "price", "attempt": 1, "detail": "The price is not known."}
    made.task.record("limit.warned", facts, step=made.steps["coder"])
    return made


def _rejected(project: Any, requester: Any, lead: Any) -> Any:
    from tests import console_fixtures as fixtures
    from tests.reviewing import decide

    made = fixtures.reviewed_task(project, requester)
    approval = made.approval
    decide(
        approval.pk,
        by=lead,
        verdict="reject",
        digest=approval.digest,
        nonce=approval.nonce,
        note="Refunds must stay as they are.",
    )
    return made


def _send_back(made: Any, lead: Any) -> Any:
    from django.utils import timezone

    from approvals.models import Comment
    from tests import console_fixtures as fixtures

    hunk = made.proposal.files.get(path="docs/rounding.md").hunks.get()
    made.approval.move(
        "changes_requested", decided_at=timezone.now(), decided_by=lead, reason="See the docs hunk."
    )
    Comment.objects.create(
        approval=made.approval,
        hunk=hunk,
        author=lead,
        verdict="refuse",
        note="There is a hidden character in this line.",
        goes_to=made.steps["writer"].agent,
    )
    return fixtures.next_round(made)


def serve() -> str:
    """Start the ASGI application in a thread; return its address."""
    import uvicorn

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = uvicorn.Config("countersign.asgi:application", port=port, log_level="warning")
    server = uvicorn.Server(config)
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.05)
    return f"http://127.0.0.1:{port}"


def shoot(browser: Browser, address: str, pages: dict[str, str]) -> None:
    """Write one picture per page, theme and size."""
    for theme in ("light", "dark"):
        for size, (width, height) in SIZES.items():
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=theme
            )
            tab = context.new_page()
            tab.on(
                "console", lambda said: said.type == "error" and sys.stderr.write(f"{said.text}\n")
            )
            tab.goto(f"{address}/sign-in")
            tab.screenshot(path=FOLDER / f"sign-in-{theme}-{size}.png")
            tab.fill("#username", "dana")
            tab.fill("#password", PASSWORD)
            tab.click("button")
            for name, path in pages.items():
                tab.goto(address + path)
                tab.wait_for_timeout(350)
                tab.screenshot(path=FOLDER / f"{name}-{theme}-{size}.png")
            context.close()


def main() -> None:
    """Prepare, serve, shoot."""
    from playwright.sync_api import sync_playwright

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "countersign.settings")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    FOLDER.mkdir(parents=True, exist_ok=True)
    pages = prepare()
    wanted = sys.argv[1:]
    address = serve()
    chosen = {name: path for name, path in pages.items() if not wanted or name in wanted}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        shoot(browser, address, chosen)
        browser.close()


if __name__ == "__main__":
    main()
