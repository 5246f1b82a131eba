"""The bundled story through the real MCP server, sandbox, git and ledger, one attempt at a time."""

from __future__ import annotations

import asyncio
import time

import pytest

from agents.models import Attempt, Event, ToolCall
from agents.runtime.contract import Finished
from agents.runtime.database import in_db
from agents.runtime.performing import perform
from agents.seeding import seed_agents
from agents.workspace import checks, sandbox
from agents.workspace.claims import verify
from agents.workspace.demo import CHECKS_COMMAND, SCENARIO, create_demo_repository
from agents.workspace.files import Workspace
from agents.workspace.git import Store
from projects.models import Project
from tests.thinking_fixtures import brief_of, make_step, make_task, make_work, on_files

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def demo(requester, settings, tmp_path) -> Project:
    settings.REHEARSAL_PACE_MS = 0
    settings.DATA_DIR = tmp_path / "data"
    seed_agents()
    return Project.objects.create(
        slug="billing-demo",
        name="Billing demo",
        repository=str(create_demo_repository(tmp_path / "demo.git")),
        checks_command=CHECKS_COMMAND,
        allow_rlimits_only=True,
        bundled=True,
    )


@pytest.fixture
def task(demo, requester):
    return make_task(demo, requester, model="rehearsal", request=SCENARIO.example)


async def _play(
    task, slug: str, *, commit: str = "", kind: str = "work", key: str = "mend", **brief
):
    """Perform one step on a workspace made from `commit` (main when empty)."""

    def prepare():
        step = make_step(task, slug, kind=kind, key=key)
        workspace = Workspace.for_step(step)
        head = commit or workspace.store.fetch()
        workspace.materialise(head)
        facts = {"bundled": task.project.bundled, **brief}
        if kind == "route":
            facts["files"] = [entry.path for entry in workspace.store.paths(head)]
            facts["checks_command"] = CHECKS_COMMAND
        return make_work(step, workspace=workspace, brief=brief_of(step, **facts)), head

    work, head = await in_db(prepare)
    outcome = await perform(work)
    assert isinstance(outcome, Finished), outcome
    tree = work.workspace.snapshot()
    made = work.workspace.store.commit(tree, parents=[head], message="Result")
    return outcome.output, made, work


async def test_the_router_plans_the_story(task) -> None:
    plan, _, work = await _play(task, "router", kind="route", key="route")
    assert [(step.id, step.agent, step.depends_on) for step in plan.steps] == [
        ("fix-rounding", "coder", []),
        ("cover-rounding", "tester", ["fix-rounding"]),
        ("describe-rounding", "tech-writer", []),
    ]
    attempt = await in_db(Attempt.objects.get, pk=work.attempt.pk)
    assert (attempt.model, attempt.turns) == ("rehearsal", 2)
    assert (attempt.input_tokens, attempt.output_tokens, attempt.usd) == (0, 0, 0)


async def test_the_coder_sees_the_failure_and_mends_it(task) -> None:
    result, made, work = await _play(task, "coder", key="fix-rounding")
    assert result.status == "done", result.summary
    assert "before: 12 passed, 1 failed; after: 13 passed, 0 failed" in result.summary
    store = Store.of(task.project)
    report = checks.run_checks(task.project, store, store.tree_of(made))
    verdicts = [
        verify(claim, store=store, base=store.fetch(), head=made, checks=report)[0]
        for claim in result.claims
    ]
    assert verdicts == ["proven", "proven"]
    rows = await in_db(lambda: list(ToolCall.objects.filter(attempt=work.attempt).order_by("id")))
    assert [row.tool for row in rows] == [
        "run_checks", "search_text", "read_file", "edit_file", "edit_file", "run_checks", "read_file",
    ]  # fmt: skip
    assert all(row.tree for row in rows if row.tool == "edit_file")
    assert rows[0].sandbox == sandbox.available()
    kinds = await in_db(lambda: [e.kind for e in Event.objects.filter(task=task).order_by("seq")])
    assert kinds.count("message") == 5
    assert kinds.count("tool.finished") == 7


async def test_the_tester_adds_a_case_on_the_mended_code(task) -> None:
    _, mended, _ = await _play(task, "coder", key="fix-rounding")
    result, _, _ = await _play(task, "tester", key="cover-rounding", commit=mended)
    assert result.status == "done", result.summary
    assert "15 passed" in result.summary or "14 passed" in result.summary


async def test_the_docs_claim_is_contradicted_then_proven_in_round_two(task) -> None:
    result, made, _ = await _play(task, "tech-writer", key="describe-rounding")
    assert result.status == "done", result.summary
    store = Store.of(task.project)
    base, unrun = store.fetch(), checks.CheckReport()
    verdict, found = verify(result.claims[0], store=store, base=base, head=made, checks=unrun)
    assert verdict == "contradicted"
    assert "docs/rounding.md:12" in found or "docs/rounding.md" in found

    await in_db(lambda: task.steps.update(round=0))
    feedback = [
        {"note": "Still half up in line 12.", "path": "docs/rounding.md", "hunk": "", "by": "Dana"}
    ]
    again, final, _ = await _play(
        task, "tech-writer", key="describe-rounding", commit=made, feedback=feedback
    )
    assert again.status == "done", again.summary
    verdict, _ = verify(again.claims[0], store=store, base=base, head=final, checks=unrun)
    assert verdict == "proven"


async def test_checks_end_with_the_attempt_they_run_for(task) -> None:
    task.project.checks_command = "sleep 100"

    def prepare():
        step = make_step(task, "coder", key="fix-rounding")
        step.task = task
        return on_files(step, brief=brief_of(step, bundled=True))

    acting = asyncio.create_task(perform(await in_db(prepare)))
    while not await in_db(ToolCall.objects.filter(tool="run_checks").exists):
        assert not acting.done(), acting.result()
        await asyncio.sleep(0.02)
    acting.cancel()
    began = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await acting
    assert time.monotonic() - began < 10
