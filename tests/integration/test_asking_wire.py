"""Agents ask each other over the wire: the whole runtime, a real repository, scripted models."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from agents.intake import submit
from agents.models import Attempt, Delegation, Escalation, Event, Grant, Step, Task, ToolCall
from agents.runtime.contract import Asked, Interrupted, Outcome, Work
from agents.runtime.database import in_db
from agents.runtime.loop import Runtime
from agents.runtime.performing import perform as think
from agents.seeding import seed_agents
from agents.workspace.demo import create_demo_repository
from projects.models import Project
from tests.stub_model import Call, Reply, Request
from tests.thinking_fixtures import serve

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.django_db(transaction=True)

GOAL = "Know how refunds are rounded"
NEW = Call("write_file", {"path": "billing/rules.py", "content": "RULE = 'half up'\n"})
READ = Call("read_file", {"path": "billing/rules.py"})


def ask(agent: str, goal: str = GOAL) -> Call:
    return Call("ask_agent", {"agent": agent, "goal": goal, "question": f"{goal}, please?"})


def plan(*agents: str) -> Reply:
    steps = [
        {"id": f"do-{slug}", "agent": slug, "title": "Mend it", "instructions": f"For {slug}."}
        for slug in agents
    ]
    return Reply(
        calls=[Call("submit_plan", {"title": "Mend it", "outcome": "change", "steps": steps})]
    )


def report(**facts: Any) -> Reply:
    return Reply(calls=[Call("report_result", {"status": "done", "summary": "Mended.", **facts})])


def answer(text: str = "Half up.", status: str = "answered") -> Reply:
    return Reply(calls=[Call("give_answer", {"status": status, "answer": text})])


PROPOSAL = Reply(calls=[Call("submit_proposal", {"title": "Mend it", "summary": "Mended."})])


@pytest.fixture
def task(project, requester, tmp_path, settings) -> Task:
    settings.DATA_DIR = tmp_path / "data"
    settings.COUNTERSIGN_MODEL = "openai:stub"
    settings.OPENAI_API_KEY = "sk-test-0123456789"
    create_demo_repository(tmp_path / "demo.git")
    Project.objects.filter(pk=project.pk).update(repository=str(tmp_path / "demo.git"))
    project.refresh_from_db()
    seed_agents()
    return submit(project=project, requester=requester, request="Mend the rounding").task


@pytest.fixture
def served(settings):
    with serve(settings) as start:
        yield start


@contextlib.asynccontextmanager
async def running(perform: Callable[[Work], Awaitable[Outcome]] = think):
    runtime = Runtime(perform=perform, owner="here")
    task = asyncio.create_task(runtime.run())
    try:
        yield runtime
    finally:
        runtime.drain()
        await asyncio.wait_for(task, 60)


async def until_in(task: Task, *states: str) -> None:
    deadline = time.monotonic() + 120
    while await in_db(lambda: Task.objects.get(pk=task.pk).state) not in states:
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.05)


def told(request: Request) -> list[dict[str, Any]]:
    """Return the answers of other agents a conversation holds."""
    return [json.loads(result) for result in request.results if '"questions_left"' in result]


def script(work: Callable[[Request], Reply], respond: Callable[[Request], Reply], *agents: str):
    """Answer by the tool the answer is handed in with."""

    def answered(request: Request) -> Reply:
        if "submit_plan" in request.tools:
            return plan(*(agents or ("coder",)))
        if "submit_proposal" in request.tools:
            return PROPOSAL
        return respond(request) if "give_answer" in request.tools else work(request)

    return answered


def two_questions(request: Request) -> Reply:
    """Write, ask twice and read, all in one answer; then report what was told."""
    calls = [NEW, ask("tester"), ask("tech-writer", "Know what the handbook says"), READ]
    if request.turn == 0:
        return Reply(text="I ask two.", calls=calls)
    summary = " ".join(one["answer"] for one in told(request))
    return report(summary=summary)


def looks_first(request: Request) -> Reply:
    """Read the asker's new file, then answer."""
    if request.turn == 0:
        return Reply(calls=[READ])
    return answer(f"{len(request.results)} file: {request.results[0].splitlines()[-1]}")


async def test_two_questions_of_one_answer_are_asked_in_turn_and_each_turn_is_paid_once(
    task, served
):
    server = served(script(two_questions, looks_first))
    async with running():
        await until_in(task, "review", "needs_human")

    def check() -> None:
        assert not Escalation.objects.exists(), Escalation.objects.get().detail
        asked = Delegation.objects.order_by("id")
        assert [(one.to_agent.slug, one.state) for one in asked] == [
            ("tester", "answered"),
            ("tech-writer", "answered"),
        ]
        assert len({one.tree for one in asked}) == 1
        step = Step.objects.get(key="do-coder")
        assert "RULE = 'half up'" in step.result["summary"]
        states = step.attempts.order_by("number").values_list("state", flat=True)
        assert list(states) == ["asking", "asking", "finished"]
        calls = ToolCall.objects.filter(attempt__step=step).order_by("started_at")
        assert [(call.tool, call.state) for call in calls] == [
            ("write_file", "done"),
            ("ask_agent", "done"),
            ("ask_agent", "done"),
            ("read_file", "done"),
        ]
        kinds = Event.objects.filter(kind__startswith="delegation.").order_by("seq")
        assert (
            list(kinds.values_list("kind", flat=True))
            == [
                "delegation.asked",
                "delegation.answered",
            ]
            * 2
        )

    await in_db(check)
    # The router 1, the asker 2, each answer 2, the proposal 1: no turn was paid twice.
    assert len(server.requests) == 8
    answering = [one for one in server.requests if "give_answer" in one.tools]
    writing = {"write_file", "edit_file", "replace_lines", "delete_file"}
    assert not any(writing & set(one.tools) for one in answering)
    assert "ask_agent" in answering[0].tools
    assert "waits for your answer" in answering[0].prompt


async def test_crash_between_the_call_and_the_question_asks_once(task, served):
    """The attempt dies with the call in the ledger and nothing of the question written."""
    died: list[Asked] = []

    async def die_once(work: Work) -> Outcome:
        outcome = await think(work)
        if isinstance(outcome, Asked) and not died:
            died.append(outcome)
            return Interrupted()
        return outcome

    def work(request: Request) -> Reply:
        return report() if told(request) else Reply(calls=[ask("tester")])

    server = served(script(work, lambda _: answer()))
    async with running(die_once):
        await until_in(task, "review", "needs_human")

    def check() -> None:
        assert Delegation.objects.get().call_id != died[0].call
        step = Step.objects.get(key="do-coder")
        calls = ToolCall.objects.filter(attempt__step=step).order_by("started_at")
        assert list(calls.values_list("state", flat=True)) == ["unknown", "done"]

    await in_db(check)
    assert len(server.requests) == 5


async def test_two_agents_that_ask_each_other_for_ever_are_stopped(task, served):
    """Each throws the question back, in other words each time."""
    goals = iter(["Know the rounding of refunds", "Learn how refunds round", GOAL, GOAL])

    def back(request: Request) -> Reply:
        if "ask_agent" in request.tools:
            return Reply(calls=[ask("coder", next(goals))])
        return answer("Ask the other one.", status="cannot")

    def work(_: Request) -> Reply:
        return Reply(calls=[ask("tester")])

    server = served(script(work, back))
    async with running():
        await until_in(task, "needs_human")

    def check() -> None:
        raised = Escalation.objects.select_related("step").get()
        assert (raised.rule, raised.step.kind) == ("ping_pong", "answer")
        assert Delegation.objects.count() == 1
        assert [one["goal"] for one in raised.evidence["questions"]] == [GOAL]
        assert set(raised.evidence["last_results"]) == {"coder", "tester"}

    await in_db(check)
    assert len(server.requests) == 3


async def test_agent_with_ever_new_questions_is_stopped_at_the_ninth(task, served):
    def work(request: Request) -> Reply:
        subject = "abcdefghijklm"[request.turn] * 6
        return Reply(calls=[ask("tester", f"Know the {subject}")])

    served(script(work, lambda _: answer()))
    async with running():
        await until_in(task, "needs_human")

    def check() -> None:
        raised = Escalation.objects.get()
        assert (raised.rule, raised.options[0]) == ("delegation_limit", "raise_limit_once")
        assert Delegation.objects.filter(state="answered").count() == 8

    await in_db(check)


async def test_tool_is_gone_when_an_admin_takes_it_away(task, served):
    server = served(script(lambda _: report(), lambda _: answer()))
    await in_db(lambda: Grant.objects.filter(tool__name="ask_agent").delete())
    async with running():
        await until_in(task, "review", "needs_human")
    asked = [one for one in server.requests if "report_result" in one.tools]
    assert all("ask_agent" not in one.tools for one in asked)


async def test_refused_extra_step_is_repaired_and_then_done_before_the_proposal(task, served):
    step = {"id": "note", "agent": "nobody", "title": "Note it", "instructions": "Note it."}

    def work(request: Request) -> Reply:
        if "For coder" not in request.prompt:
            return report(summary="Noted.")
        wrong = not any("no agent 'nobody'" in one for one in [*request.results, request.prompt])
        return report(extra_steps=[{**step, "agent": "nobody" if wrong else "tech-writer"}])

    served(script(work, lambda _: answer()))
    async with running():
        await until_in(task, "review", "needs_human")

    def check() -> None:
        assert not Escalation.objects.exists()
        note = Step.objects.get(key="note")
        assert (note.state, note.agent.slug, note.asked_by.key) == (
            "done",
            "tech-writer",
            "do-coder",
        )
        before = Step.objects.get(key="do-coder")
        assert note.base_commit == before.result_commit
        proposed = Event.objects.get(kind="proposal.ready").seq
        assert Event.objects.filter(step=note, kind="step.finished").get().seq < proposed

    await in_db(check)


async def test_extra_step_that_stays_wrong_goes_to_a_person(task, served):
    step = {"id": "note", "agent": "nobody", "title": "Note it", "instructions": "Note it."}
    served(script(lambda _: report(extra_steps=[step]), lambda _: answer()))
    async with running():
        await until_in(task, "needs_human")
    raised = await in_db(Escalation.objects.get)
    assert raised.rule == "invalid_output"
    assert raised.evidence["answer"]["extra_steps"][0]["agent"] == "nobody"
    assert await in_db(Attempt.objects.filter(step__key="do-coder").count) == 1
