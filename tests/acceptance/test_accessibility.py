"""axe-core finds nothing on the pages of a task in any state, light or dark, wide or phone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agents import holds
from agents.lifecycle import TaskState
from notices import reading
from tests import console_fixtures as fixtures
from tests.acceptance import page_fixtures
from tests.acceptance.axe import violations_of_sizes
from tests.acceptance.live_house import signed_in
from tests.delegation_fixtures import asking_task
from tests.notice_fixtures import read_all
from tests.reviewing import decide

if TYPE_CHECKING:
    from projects.models import Project, User

browser = page_fixtures.browser
house = page_fixtures.house

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]

PLAIN = ("tasks", "inbox", "notifications", "notifications?tab=unread")


def stages(project: Project, requester: User, lead: User) -> dict[str, Any]:
    """Return a task in every state its page can show."""

    def decided(verdict: str) -> Any:
        made = fixtures.reviewed_task(project, requester)
        one = made.approval
        facts = {"digest": one.digest, "nonce": one.nonce, "note": "Refunds must stay as they are."}
        decide(one.pk, by=lead, verdict=verdict, **facts)
        return made.task

    def over(state: str) -> Any:
        task = fixtures.running_task(project, requester).task
        task.move(state, reason="The provider did not answer.", kind="task.finished")
        return task

    reading.begin()
    paused = fixtures.running_task(project, requester).task
    holds.place(by=lead, task=paused, reason="The price list changes today.")
    fixtures.make_lesson(project, lead)
    found = {
        "queued": fixtures.make_task(project, requester, state=TaskState.QUEUED),
        "running": fixtures.running_task(project, requester).task,
        "asking": asking_task(project, requester),
        "paused": paused,
        "stopped": fixtures.stopped_task(project, requester).task,
        "review": fixtures.reviewed_task(project, requester).task,
        "report": fixtures.reported_task(project, requester, report="# Found\n\nTwice.").task,
        "approved": decided("approve"),
        "rejected": decided("reject"),
        "failed": over(TaskState.FAILED),
        "cancelled": over(TaskState.CANCELLED),
    }
    read_all()  # what the bell tells
    return found


def test_axe_finds_nothing_in_any_state(house, browser, project, requester, lead):
    tasks = house.write(stages, project, requester, lead)
    paths = {name: f"/{name}" for name in PLAIN}
    for name, task in tasks.items():
        paths[f"task {name}"] = f"/tasks/T-{task.number}"
        paths[f"task {name}, all events"] = f"/tasks/T-{task.number}?tab=events&view=list"
    for name in ("review", "report", "approved", "rejected"):
        paths[f"review {name}"] = f"/review/T-{tasks[name].number}/r1"
    context = signed_in(house, browser, lead)
    page, found = context.new_page(), []
    for name, path in paths.items():
        page.goto(path)
        found += violations_of_sizes(page, name)
    context.close()
    assert found == [], "\n".join(found)
