"""A rehearsal asked for what it cannot play: a story that is merged already, and a question."""

from __future__ import annotations

import pytest

from agents.intake import submit
from agents.models import Proposal, Task
from agents.runtime.database import in_db
from agents.workspace.checks import CheckReport
from agents.workspace.claims import verify
from agents.workspace.demo import SCENARIO
from agents.workspace.files import Workspace
from agents.workspace.git import Store
from tests.integration.test_rehearsal import _play, demo, task
from tests.integration.test_rehearsal_story import billing, running, until
from tests.thinking_fixtures import make_step

__all__ = ["billing", "demo", "task"]

pytestmark = pytest.mark.django_db(transaction=True)


def merge(task, *edits) -> str:
    """Put edits of the story on main, as an approved proposal would."""
    workspace = Workspace.for_step(make_step(task, "coder", key="merged-before"))
    head = workspace.store.fetch()
    workspace.materialise(head)
    for edit in edits:
        text = (workspace.folder / edit.path).read_text()
        assert edit.old in text
        workspace.write(edit.path, text.replace(edit.old, edit.new).encode())
    made = workspace.store.commit(workspace.snapshot(), parents=[head], message="Land it")
    workspace.store.push_main(made, expected=head)
    task.steps.all().delete()
    return made


async def test_a_story_that_is_merged_ends_as_a_report(task) -> None:
    head = await in_db(merge, task, *SCENARIO.fix, *SCENARIO.cover, *SCENARIO.describe)
    plan, _, _ = await _play(task, "router", kind="route", key="route")
    assert (plan.outcome, len(plan.steps)) == ("report", 1)
    assert plan.title == f"Already merged: {SCENARIO.example}"
    step = plan.steps[0]
    result, made, _ = await _play(task, step.agent, key=step.id)
    assert result.status == "done", result.summary
    assert result.report.startswith("This story is already merged: ")
    for edit in (SCENARIO.fix[1], SCENARIO.cover[0], SCENARIO.describe[0]):
        assert f"`{edit.path}:" in result.report
    assert f"docs/rounding.md:{SCENARIO.hidden[1]}` still holds a hidden character" in result.report
    assert "manage.py reset_demo" in result.report
    store = Store.of(task.project)
    assert store.tree_of(made) == store.tree_of(head)
    for claim in result.claims:
        facts = {"store": store, "base": head, "head": head, "checks": CheckReport()}
        assert verify(claim, **facts)[0] == "proven"


async def test_only_what_is_not_merged_is_planned(task) -> None:
    await in_db(merge, task, *SCENARIO.fix)
    plan, _, _ = await _play(task, "router", kind="route", key="route")
    assert [(step.id, step.depends_on) for step in plan.steps] == [
        ("cover-rounding", []),
        ("describe-rounding", []),
    ]


async def test_the_report_of_a_merged_story_reaches_a_signature(billing, requester) -> None:
    def again() -> Task:
        first = submit(project=billing, requester=requester, request=SCENARIO.example).task
        merge(first, *SCENARIO.fix, *SCENARIO.cover, *SCENARIO.describe)
        first.delete()
        return submit(project=billing, requester=requester, request=SCENARIO.example).task

    asked = await in_db(again)
    async with running():
        await until(asked, "review")
    proposal = await in_db(lambda: Proposal.objects.get(task=asked))
    assert proposal.kind == "report"
    assert "This story is already merged" in proposal.report


async def test_a_question_is_answered_with_the_passages_it_is_about(task) -> None:
    task.request = "Where is tax rounded, and what do the docs say about it?"
    await in_db(task.save)
    plan, _, _ = await _play(task, "router", kind="route", key="route")
    assert plan.title == task.request
    result, _, _ = await _play(task, "coder", key=plan.steps[0].id)
    assert result.status == "blocked"
    assert {"docs/rounding.md", "billing/invoice.py"} <= {each.path for each in result.evidence}
    assert result.evidence[0].path == "docs/rounding.md"
    assert "docs/rounding.md:5: " in result.summary
    assert "No language model is configured" in result.summary
