"""Work that conflicts, with other agents' or with a main that has moved, is brought together."""

from __future__ import annotations

import pytest
from django.db import transaction

from agents import escalations, rounds
from agents.messages import StepResult
from agents.models import Escalation, Hunk, Proposal, Step, Task
from agents.runtime.contract import Finished, Outcome, Work
from agents.runtime.database import in_db
from tests import loop_fixtures, runtime_fixtures
from tests.approval_fixtures import move_main
from tests.loop_fixtures import DRAFT, answer, is_in, running, until

agents = runtime_fixtures.agents
task = loop_fixtures.task
pytestmark = pytest.mark.django_db(transaction=True)


async def clash(work: Work) -> Outcome:
    """Think as agents that rewrite the same file, and bring together what they are given in marks."""
    if work.step.kind != "work":
        return await answer(work) if work.step.kind == "route" else DRAFT
    readme = work.workspace.resolve("README.md")
    if work.step.key.startswith("reconcile"):
        assert "<<<<<<<" in readme.read_text()
        assert work.brief["files"] == ["README.md"]
        readme.write_text("both\n")
    elif work.step.key != "cover":
        readme.write_text(f"{work.step.key}\n")
    return Finished(StepResult(status="done", summary="Rewrote it."))


@pytest.fixture
def thought(task) -> Task:
    """Let a model do the thinking: the script of a rehearsal knows no conflict."""
    Task.objects.update(model="openai:any")
    return task


async def test_conflicting_work_is_brought_together_by_an_agent_unasked(thought):
    async with running(clash):
        await until(is_in(thought, "review"))

    def check() -> None:
        keys = dict(Step.objects.values_list("key", "state"))
        assert keys["assemble"] == "cancelled"
        assert keys["reconcile"] == keys["assemble-2"] == "done"
        hunk = Hunk.objects.select_related("author_step").get(file__path="README.md")
        assert "+both" in hunk.text
        assert not Proposal.objects.get().warnings
        assert not Escalation.objects.exists()

    await in_db(check)


async def test_conflict_that_comes_back_is_a_persons_question_and_goes_on_as_they_say(
    thought, lead, tmp_path
):
    async def moving(work: Work) -> Outcome:
        done = await clash(work)
        if work.step.key == "reconcile":  # main moves while it is at work
            move_main(tmp_path / "demo.git", "README.md", "of somebody else\n")
        return done

    async with running(moving):
        await until(is_in(thought, "needs_human"))
        raised = await in_db(lambda: Escalation.objects.select_related("step").get())
        assert (raised.rule, raised.step.key) == ("conflict", "assemble-2")
        assert raised.evidence["files"] == ["README.md"]

        def go_on() -> None:
            escalations.resolve(raised, choice="retry_with_note", by=lead)

        await in_db(go_on)
        await until(is_in(thought, "review"))
    keys = await in_db(lambda: dict(Step.objects.values_list("key", "state")))
    assert keys["reconcile-2"] == keys["assemble-3"] == "done"


async def test_change_that_conflicts_with_main_when_it_moves_is_brought_together_unasked(
    thought, lead, tmp_path
):
    async with running(clash):
        await until(is_in(thought, "review"))
        move_main(tmp_path / "demo.git", "README.md", "of somebody else\n")

        def again() -> None:
            with transaction.atomic():
                rounds.propose_again(Task.objects.get(), by=None)

        await in_db(again)
        await until(Proposal.objects.filter(version=2).exists)

    def check() -> None:
        hunk = Hunk.objects.select_related("author_step").get(
            file__path="README.md", file__proposal__version=2
        )
        assert "-of somebody else\n+both" in hunk.text
        assert hunk.author_step.key == "reconcile-2"
        assert not Escalation.objects.exists()

    await in_db(check)


async def test_rehearsed_conflict_goes_to_a_person_at_once(task):
    async with running(clash):
        await until(is_in(task, "needs_human"))
    raised = await in_db(lambda: Escalation.objects.select_related("step").get())
    assert (raised.rule, raised.step.key) == ("conflict", "assemble")
