"""The runtime carries a whole round on real rows and a real repository; only the thinking is ours."""

from __future__ import annotations

import asyncio
import time

import pytest
from django.db.models.functions import Now

from agents import notes, rounds, stopping
from agents.messages import StepResult
from agents.models import Attempt, Claim, Escalation, FileChange, Hunk, Proposal, Step, Task
from agents.models.tasks import Rule
from agents.runtime import lease
from agents.runtime.contract import Finished, Interrupted, NeedsHuman, Outcome, TryAgain, Work
from agents.runtime.database import in_db
from projects.models import Project
from tests import loop_fixtures, runtime_fixtures
from tests.approval_fixtures import move_main
from tests.loop_fixtures import answer, is_in, running, until

agents = runtime_fixtures.agents
task = loop_fixtures.task
pytestmark = pytest.mark.django_db(transaction=True)


async def test_request_becomes_a_proposal_with_an_author_for_every_hunk(task):
    async with running(answer):
        await until(is_in(task, "review"))

    def check() -> None:
        proposal = Proposal.objects.get()
        assert (proposal.kind, proposal.round, proposal.version) == ("change", 1, 1)
        assert proposal.added == 6
        authors = {
            hunk.file.path: hunk.author_step.agent.slug
            for hunk in Hunk.objects.select_related("file", "author_step__agent")
        }
        assert authors == {
            "notes/fix.txt": "coder",
            "notes/cover.txt": "tester",
            "notes/describe.txt": "tech-writer",
        }
        claim = Claim.objects.get()
        assert (claim.verdict, claim.step.key) == ("proven", "fix")
        assert proposal.checks["ran"]
        assert {a.state for a in Attempt.objects.all()} == {"finished"}
        cover = Step.objects.get(key="cover")
        assert cover.base_commit == Step.objects.get(key="fix").result_commit

    await in_db(check)


async def test_next_round_touches_only_the_agent_that_was_asked(task, lead):
    async with running(answer):
        await until(is_in(task, "review"))

        def ask() -> None:
            now = Task.objects.get(pk=task.pk)
            hunk = Hunk.objects.get(file__path="notes/describe.txt")
            feedback = rounds.Feedback(
                agent_slug="tech-writer", note="Say more.", hunk=hunk, by="Dana Kim"
            )
            rounds.open_next(now, feedback=[feedback], by=lead)

        await in_db(ask)
        await until(lambda: Proposal.objects.filter(round=2).exists())

    def check() -> None:
        assert set(Step.objects.filter(round=2).values_list("key", "agent__slug", "state")) == {
            ("describe", "tech-writer", "done"),
            ("assemble", "aggregator", "done"),
        }
        paths = FileChange.objects.filter(proposal__round=2).values_list("path", flat=True)
        assert list(paths) == ["notes/cover.txt", "notes/describe.txt", "notes/fix.txt"]
        hunk = Hunk.objects.get(file__proposal__round=2, file__path="notes/describe.txt")
        assert "+Say more." in hunk.text
        assert hunk.author_step.round == 2

    await in_db(check)


async def test_moved_main_is_proposed_again_on_top_of_it(task, lead, tmp_path):
    async with running(answer):
        await until(is_in(task, "review"))

        def move_main_and_ask() -> str:
            from agents.workspace.git import Store

            now = Task.objects.get(pk=task.pk)
            store = Store.of(now.project)
            first = Proposal.objects.get()
            other = store.commit(first.tree, parents=[first.base_commit], message="Something else")
            store.push_main(other, expected=first.base_commit)
            rounds.propose_again(now, by=lead)
            return other

        main = await in_db(move_main_and_ask)
        await until(lambda: Proposal.objects.filter(version=2).exists())

    def check() -> None:
        again = Proposal.objects.get(version=2)
        assert again.base_commit == main
        assert Step.objects.get(key="assemble-2").state == "done"

    await in_db(check)


@pytest.mark.parametrize(
    ("path", "text", "asked"),
    [
        ("README.md", "Somebody else wrote this.\n", 1),
        ("notes/describe.txt", "describe in round 1\n\n", 2),  # main has a part of the work already
    ],
)
async def test_a_model_is_asked_again_only_if_the_change_is_another(
    task, lead, tmp_path, path, text, asked
):
    drafted = []

    async def counted(work: Work) -> Outcome:
        if work.step.kind == "assemble":
            drafted.append(work.step.key)
        return await answer(work)

    async with running(counted):
        await until(is_in(task, "review"))

        def move_main_and_ask() -> str:
            main = move_main(tmp_path / "demo.git", path, text)
            rounds.propose_again(Task.objects.get(pk=task.pk), by=lead)
            return main

        main = await in_db(move_main_and_ask)
        await until(lambda: Proposal.objects.filter(version=2).exists())

    def check() -> None:
        first, again = Proposal.objects.order_by("version")
        assert (again.base_commit, again.title) == (main, first.title)
        assert again.checks["ran"]
        assert [claim.verdict for claim in again.claims.all()] == ["proven"]
        digests = [
            {hunk.digest for hunk in Hunk.objects.filter(file__proposal=each)}
            for each in (first, again)
        ]
        assert (digests[0] == digests[1]) is (asked == 1)
        assert not Escalation.objects.exists()

    await in_db(check)
    assert len(drafted) == asked


async def test_no_changed_file_makes_a_report(task):
    async def only_words(work: Work) -> Outcome:
        if work.step.kind == "work":
            return Finished(
                StepResult(status="done", summary="Looked.", report="# Found\nNothing.")
            )
        return await answer(work)

    async with running(only_words):
        await until(is_in(task, "review"))

    def check() -> None:
        proposal = Proposal.objects.get()
        assert (proposal.kind, proposal.report) == ("report", "# Found\nNothing.")
        assert [warning["kind"] for warning in proposal.warnings] == ["no_change"]
        assert proposal.head_commit == ""

    await in_db(check)


async def test_stopped_task_cancels_its_running_attempt_within_two_seconds(task, requester):
    begun, ended = asyncio.Event(), asyncio.Event()

    async def wait(work: Work) -> Outcome:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return Interrupted()

    async with running(wait) as runtime:
        await asyncio.wait_for(begun.wait(), 20)
        await in_db(stopping.stop, await in_db(Task.objects.get), by=requester, reason="Enough")
        await asyncio.wait_for(ended.wait(), 2)
        await until(lambda: runtime.in_flight == 0)
    step = await in_db(Step.objects.get)
    attempt = await in_db(Attempt.objects.get)
    assert (step.state, attempt.state) == ("cancelled", "cancelled")
    assert await in_db(is_in(task, "cancelled"))


async def test_drain_gives_the_step_back_and_another_runtime_goes_on(task, settings):
    settings.DRAIN_SECONDS = 1
    begun = asyncio.Event()

    async def wait(work: Work) -> Outcome:
        begun.set()
        await asyncio.sleep(60)
        return Interrupted()

    async with running(wait):
        await asyncio.wait_for(begun.wait(), 20)
    step = await in_db(Step.objects.get)
    assert step.state == "ready"
    async with running(answer, owner="there"):
        await until(is_in(task, "review"))
    states = await in_db(lambda: list(Step.objects.get(key="route").attempts.values_list("state")))
    assert states == [("released",), ("finished",)]


async def test_lost_lease_cancels_the_local_attempt(task, settings):
    begun, ended = asyncio.Event(), asyncio.Event()

    async def wait(work: Work) -> Outcome:
        if work.attempt.number > 1:
            return NeedsHuman(rule=Rule.FAULT, detail="seen")
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return Interrupted()

    async with running(wait):
        await asyncio.wait_for(begun.wait(), 20)
        await in_db(lambda: (runtime_fixtures.expire_leases(), lease.sweep()))
        await asyncio.wait_for(ended.wait(), 5)
        await until(is_in(task, "needs_human"))
    states = await in_db(lambda: list(Attempt.objects.order_by("number").values_list("state")))
    assert states == [("lost",), ("escalated",)]


async def test_fault_in_an_attempt_is_tried_again_and_then_given_to_a_person(task):
    async def break_(work: Work) -> Outcome:
        raise ZeroDivisionError

    async def hasten() -> bool:
        await in_db(lambda: Step.objects.filter(state="ready").update(available_at=Now()))
        return await in_db(is_in(task, "needs_human"))

    async with running(break_) as runtime:
        deadline = time.monotonic() + 30
        while not await hasten():
            runtime.wake()
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
    raised = await in_db(Escalation.objects.get)
    assert raised.rule == "fault"
    assert "ZeroDivisionError" in raised.detail


async def test_unreachable_repository_is_tried_again_with_the_reason(task, project):
    await in_db(lambda: Project.objects.update(repository="/nowhere.git"))
    async with running(answer):
        await until(lambda: Attempt.objects.exclude(state="running").exists())
    step = await in_db(Step.objects.get)
    assert step.reason or await in_db(Escalation.objects.exists)


async def test_note_is_an_event_every_agent_can_read(task, requester):
    event = await in_db(notes.add_note, task, text="  Mind the refunds. ", by=requester)
    assert event.data == {"from": "person", "author": "Mira Ode", "text": "Mind the refunds."}


async def test_lost_bell_is_healed_by_the_poll(task):
    async def ask_later(work: Work) -> Outcome:
        return TryAgain(reason="503", after_seconds=0.5)

    async with running(ask_later):
        await until(lambda: Attempt.objects.count() >= 2, seconds=10)
