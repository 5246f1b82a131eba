"""Agents that ask each other, made as rows: the call is in the ledger, no model said it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from agents.finishing import settle
from agents.messages import Answer, ExtraStep, Question, StepResult
from agents.models import Delegation, Step, ToolCall
from agents.runtime.claims import claim
from agents.runtime.contract import Asked, Finished
from tests import console_fixtures

if TYPE_CHECKING:
    from agents.models import Attempt, Task
    from agents.runtime.claims import Claimed
    from projects.models import Project, User

GOAL = "Find out how refunds are rounded."


def started_call(attempt: Attempt, *, agent: str = "tester", goal: str = GOAL) -> ToolCall:
    """Write the ledger row of a call of ask_agent, as the guard does."""
    return ToolCall.objects.create(
        attempt=attempt,
        response=0,
        call_id=uuid.uuid4().hex,
        server="team",
        tool="ask_agent",
        arguments={"agent": agent, "goal": goal, "question": "How are refunds rounded?"},
        fingerprint="f" * 64,
    )


def put(attempt: Attempt, *, agent: str = "tester", goal: str = GOAL, **facts: Any) -> bool:
    """Let an attempt end with a question; False when it was stale."""
    question = Question(agent=agent, goal=goal, question="How are refunds rounded?")
    call = started_call(attempt, agent=agent, goal=goal)
    return settle(attempt, Asked(call=call.pk, question=question, **facts))


def claim_step(key: str) -> Claimed:
    """Claim everything that is ready; return the step of this key."""
    found = {one.step.key: one for one in claim("worker-a", limit=50)}
    return found[key]


def asked(attempt: Attempt, **facts: Any) -> Delegation:
    """Let an attempt ask and return the question's row, which must be there."""
    before = set(Delegation.objects.values_list("pk", flat=True))
    assert put(attempt, **facts)
    return Delegation.objects.exclude(pk__in=before).get()


def answered(delegation: Delegation, status: str = "answered", text: str = "Half up.") -> Attempt:
    """Answer an open question and return the asker's next attempt."""
    attempt = claim_step(delegation.answerer.key).attempt
    assert settle(attempt, Finished(Answer(status=status, answer=text)))
    return claim_step(delegation.asker.key).attempt


def asking_task(project: Project, requester: User) -> Task:
    """Return a task with an answered question, an open one and an extra step, as screens show it."""
    task = console_fixtures.make_task(project, requester, state="working")
    steps = console_fixtures.make_team(task, tester="leased", writer="leased", aggregator="waiting")
    Step.objects.filter(pk=steps["aggregator"].pk).update(waits=2)
    note = ExtraStep(
        id="note-change",
        agent="coder",
        title="Correct the help text of the command line",
        instructions="It still says that tax is rounded per line.",
    )
    done = StepResult(status="done", summary="The page says half even.", extra_steps=[note])
    assert settle(steps["writer"].attempts.get(), Finished(done), result_commit="c" * 40)
    question = asked(steps["tester"].attempts.get(), agent="coder", goal=GOAL)
    again = answered(question, text="Half up, per line: see billing/refunds.py.")
    asked(again, agent="tech-writer", goal="Know which rule the handbook promises for credit notes")
    claim("worker-a", limit=50)
    task.refresh_from_db()
    return task
