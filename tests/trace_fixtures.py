"""Tasks with every kind of span a trace can show, made through the models."""

from __future__ import annotations

import uuid
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db.models import Count, Sum
from django.utils import timezone

from agents.lifecycle import AttemptState, StepKind, StepState, TaskState, ToolCallState
from agents.models import Agent, Attempt, Delegation, ModelCall, Step, Task, ToolCall
from tests.console_fixtures import make_task

if TYPE_CHECKING:
    from datetime import datetime

    from projects.models import Project, User

MODEL = "openai:gpt-5"
HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)>'


class Recorder:
    """Writes the rows of one task second by second; `at` is the time that has passed."""

    def __init__(self, task: Task, began: datetime) -> None:
        self.task, self.began = task, began

    def at(self, seconds: float) -> datetime:
        return self.began + timedelta(seconds=seconds)

    def step(self, key: str, slug: str, title: str, **facts: Any) -> Step:
        agent = Agent.objects.get(slug=slug)
        facts = {"kind": StepKind.WORK, "state": StepState.DONE, "round": 1, **facts}
        if facts["state"] == StepState.LEASED:
            facts["lease_until"] = timezone.now() + timedelta(minutes=5)
        return Step.objects.create(
            task=self.task, key=key, agent=agent, version=agent.published(), title=title, **facts
        )

    def attempt(
        self, step: Step, start: float, end: float | None, *, state: str = "finished", **facts: Any
    ) -> Attempt:
        Step.objects.filter(pk=step.pk).update(
            attempt=step.attempts.count() + 1, started_at=self.at(start)
        )
        return Attempt.objects.create(
            step=step,
            number=step.attempts.count() + 1,
            worker="w",
            model=MODEL,
            state=AttemptState.RUNNING if end is None else state,
            started_at=self.at(start),
            finished_at=None if end is None else self.at(end),
            **facts,
        )

    def model(
        self, attempt: Attempt, start: float, end: float, *, usd: str | None = "0.01", **facts: Any
    ) -> ModelCall:
        facts = {"input_tokens": 1_200, "output_tokens": 80, **facts}
        price = None if usd is None else Decimal(usd)
        facts.setdefault("response", attempt.turns)
        call = ModelCall.objects.create(
            attempt=attempt,
            model=MODEL,
            usd=price,
            started_at=self.at(start),
            finished_at=self.at(end),
            **facts,
        )
        attempt.turns = call.response + 1
        attempt.input_tokens += call.input_tokens
        attempt.output_tokens += call.output_tokens
        attempt.usd += price or 0
        attempt.save()
        return call

    def tool(
        self, attempt: Attempt, tool: str, start: float, end: float | None, **facts: Any
    ) -> ToolCall:
        facts = {"state": ToolCallState.DONE if end else ToolCallState.STARTED, **facts}
        facts.setdefault("response", attempt.turns - 1)
        facts.setdefault("call_id", uuid.uuid4().hex)
        return ToolCall.objects.create(
            attempt=attempt,
            server="workspace",
            tool=tool,
            fingerprint="0" * 64,
            started_at=self.at(start),
            finished_at=None if end is None else self.at(end),
            **facts,
        )


def conversation(*turns: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> dict[str, Any]:
    """Return a checkpoint: of each turn what was sent and what was answered."""
    messages = []
    for sent, answered in turns:
        messages.append({"kind": "request", "parts": sent})
        if answered:
            messages.append({"kind": "response", "parts": answered})
    return {"messages": messages}


def prompt(text: str) -> dict[str, Any]:
    return {"part_kind": "user-prompt", "content": text}


def said(text: str) -> dict[str, Any]:
    return {"part_kind": "text", "content": text}


def called(tool: str, **arguments: Any) -> dict[str, Any]:
    return {"part_kind": "tool-call", "tool_name": tool, "args": arguments}


def gave(tool: str, text: str) -> dict[str, Any]:
    return {"part_kind": "tool-return", "tool_name": tool, "content": text}


def traced_task(project: Project, requester: User, **facts: Any) -> Task:
    """Return a task with retries, errors, a question between agents, and two agents at work."""
    facts = {"state": TaskState.WORKING, "model": MODEL, **facts}
    task = make_task(project, requester, **facts)
    run = Recorder(task, timezone.now() - timedelta(seconds=100))
    _routed(run)
    coder = run.step("fix-rounding", "coder", "Round tax once, on the total", state="leased")
    _lost(run, coder)
    _going_on(run, coder)
    tester = run.step("cover", "tester", "Add the half-even cases", state="leased")
    attempt = run.attempt(tester, 12, None)
    run.model(attempt, 12, 15.5)
    run.tool(attempt, "run_checks", 16, None, arguments={"command": "python -m unittest"})
    _asked(run)
    run.step("assemble", "aggregator", "Make one proposal", kind="assemble", state="waiting")
    _sum_up(task)
    return task


def _routed(run: Recorder) -> None:
    step = run.step("route", "router", "Plan the work", kind=StepKind.ROUTE)
    attempt = run.attempt(step, 0, 6)
    attempt.checkpoint = conversation(([prompt("Plan it.")], [called("submit_plan", title="Fix")]))
    run.model(attempt, 0.2, 5.8, usd="0.0312", input_tokens=8_421, output_tokens=512)


def _lost(run: Recorder, step: Step) -> None:
    attempt = run.attempt(
        step, 8, 30, state="lost", error="The worker died or lost its lease.", called_at=run.at(20)
    )
    run.model(attempt, 8.1, 12, input_tokens=3_000)
    run.tool(
        attempt,
        "read_file",
        12.1,
        12.3,
        call_id="one",
        summary="48 lines",
        arguments={"path": "billing/invoice.py"},
    )
    run.tool(
        attempt,
        "read_file",
        12.4,
        12.5,
        state=ToolCallState.FAILED,
        error="FileNotFoundError",
        summary="no such file",
        arguments={"path": "billing/nowhere.py"},
        result="There is no file billing/nowhere.py.",
    )


def _going_on(run: Recorder, step: Step) -> None:
    before = step.attempts.get(number=1)
    attempt = run.attempt(step, 41, None, resumes=before, turns=1, called_at=run.at(64))
    run.tool(attempt, "read_file", 41.2, 41.3, call_id="one", response=0, summary="48 lines")
    attempt.checkpoint = conversation(
        ([prompt("Round tax once.")], [said("I look first."), called("read_file", path="a.py")]),
        ([gave("read_file", "48 lines")], [called("edit_file", path="billing/invoice.py")]),
    )
    run.model(attempt, 41.5, 58, usd="0.1204", input_tokens=14_000, output_tokens=2_900, repairs=1)
    run.tool(
        attempt,
        "edit_file",
        58.2,
        59,
        summary="1 replacement",
        arguments={"path": "billing/invoice.py", "new_text": HOSTILE},
        result=HOSTILE,
    )
    run.tool(
        attempt,
        "delete_branch",
        59.1,
        59.1,
        state=ToolCallState.REFUSED,
        summary="not granted",
    )


def _asked(run: Recorder) -> None:
    """Let the tech writer ask the coder a question that is answered."""
    writer = run.step("docs", "tech-writer", "Describe the rounding")
    first = run.attempt(writer, 12, 22, state="asking")
    run.model(first, 12.2, 21)
    call = run.tool(first, "ask_agent", 21.2, 52, arguments={"question": "Is it half-even?"})
    answering = run.step(
        "ask-1", "coder", "Is it half-even?", kind=StepKind.ANSWER, depth=1, asked_by=writer
    )
    attempt = run.attempt(answering, 31, 50)
    run.model(attempt, 31.5, 49.5, usd=None)
    Delegation.objects.create(
        task=run.task,
        asker=writer,
        call=call,
        answerer=answering,
        from_agent=writer.agent,
        to_agent=answering.agent,
        depth=1,
        goal="Describe it truly.",
        question="Is it half-even?",
        goal_fingerprint="0" * 64,
        state="answered",
        answered_at=run.at(51),
    )
    second = run.attempt(writer, 53, 70, resumes=first, turns=1)
    run.model(second, 53.1, 69)


def _sum_up(task: Task) -> None:
    """Give the task the figures of its calls, as the runtime does."""
    calls = ModelCall.objects.filter(attempt__step__task=task)
    sums = calls.aggregate(
        asked=Sum("input_tokens"), answered=Sum("output_tokens"), usd=Sum("usd"), count=Count("pk")
    )
    Task.objects.filter(pk=task.pk).update(
        input_tokens=sums["asked"] or 0,
        output_tokens=sums["answered"] or 0,
        usd=sums["usd"] or 0,
        model_calls=sums["count"],
        tool_calls=ToolCall.objects.filter(attempt__step__task=task).count(),
    )
    task.refresh_from_db()


def large_task(project: Project, requester: User, *, steps: int = 20, turns: int = 25) -> Task:
    """Return a task of 1 + turns * 10 spans for each step: 8 tool calls and a model call a turn."""
    task = make_task(project, requester, state=TaskState.WORKING, model=MODEL)
    run = Recorder(task, timezone.now() - timedelta(seconds=steps * 60 + 60))
    models, tools = [], []
    for number in range(steps):
        slug = ("coder", "tester", "tech-writer")[number % 3]
        step = run.step(f"step-{number}", slug, f"Do part {number} of the work")
        begun = number * 45.0
        attempt = run.attempt(step, begun, begun + turns * 2.0, turns=turns)
        for turn in range(turns):
            start = begun + turn * 2.0
            models.append(_large_model(run, attempt, turn, start))
            tools += [_large_tool(run, attempt, turn, each, start + 1.2) for each in range(8)]
        Attempt.objects.filter(pk=attempt.pk).update(
            input_tokens=turns * 900, output_tokens=turns * 40, usd=Decimal("0.002") * turns
        )
    ModelCall.objects.bulk_create(models)
    ToolCall.objects.bulk_create(tools)
    _sum_up(task)
    return task


def _large_model(run: Recorder, attempt: Attempt, turn: int, start: float) -> ModelCall:
    return ModelCall(
        attempt=attempt,
        response=turn,
        model=MODEL,
        input_tokens=900,
        output_tokens=40,
        usd=Decimal("0.002"),
        started_at=run.at(start),
        finished_at=run.at(start + 1.1),
    )


def _large_tool(run: Recorder, attempt: Attempt, turn: int, each: int, start: float) -> ToolCall:
    failed = each == 7 and turn % 10 == 9
    return ToolCall(
        attempt=attempt,
        response=turn,
        call_id=f"{turn}-{each}",
        server="workspace",
        tool=("read_file", "search_text", "edit_file", "run_checks")[each % 4],
        arguments={"path": f"billing/part_{turn}_{each}.py", "old_text": "x" * 400},
        fingerprint="0" * 64,
        state=ToolCallState.FAILED if failed else ToolCallState.DONE,
        summary="2 of 14 failed" if failed else "48 lines",
        result="line\n" * 80,
        started_at=run.at(start + each * 0.08),
        finished_at=run.at(start + each * 0.08 + 0.07),
    )
