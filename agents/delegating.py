"""Questions of one agent to another: a step asks, another step answers, the ledger row is the answer.

Everything here runs in the transaction of its caller, with the steps and then the task locked.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models.functions import Now
from pydantic import ValidationError

from agents import attempts, delegation_limits, dispatch, fan_in, parking, planning, storable
from agents.breakers import fingerprints
from agents.events import Kind
from agents.lifecycle import (
    DELEGATION_MOVES,
    AttemptState,
    DelegationState,
    EscalationState,
    StepKind,
    StepState,
    ToolCallState,
)
from agents.messages import Answer, Question
from agents.models import Delegation, Escalation, Step, StepDependency, Task, ToolCall
from agents.models.delegations import MAX_DEPTH
from agents.models.tasks import Choice, Rule
from agents.runtime.contract import Asked, Interrupted, NeedsHuman
from projects import transitions
from projects.failpoints import failpoint

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from agents.delegation_limits import Ask
    from agents.grants import Granted

SERVER = "team"  # the bundled tool server
ASK = "ask_agent"
_ASKERS = frozenset({StepKind.WORK, StepKind.ANSWER})


def usable(step: Step, grants: Iterable[Granted], *, asked: int) -> list[Granted]:
    """Keep what a step may use: an answer changes nothing, and not every step may ask.

    `asked` is how many questions agents have put in its task.
    """
    asks = may_ask(step, asked=asked)
    changes = step.kind != StepKind.ANSWER
    return [
        each for each in grants if (changes or each.read_only) and (asks or each.server != SERVER)
    ]


def may_ask(step: Step, *, asked: int) -> bool:
    """Tell whether the depth and the number of questions leave this step one.

    A step that has asked keeps the tool: its conversation holds the call.
    """
    if step.kind not in _ASKERS or step.depth >= MAX_DEPTH:
        return False
    if asked < delegation_limits.MAX_QUESTIONS:  # nearly always: no query
        return True
    return questions_left(step.task) > 0 or step.questions.exists()


def questions_left(task: Task) -> int:
    """Return how many questions agents may still ask; a raised limit brings as many again."""
    left = delegation_limits.MAX_QUESTIONS - task.delegations.count()
    if left > 0:  # nearly always: no second query
        return left
    raised = task.escalations.filter(
        rule=Rule.DELEGATION_LIMIT, choice=Choice.RAISE_LIMIT_ONCE, state=EscalationState.RESOLVED
    )
    return left + delegation_limits.MAX_QUESTIONS * raised.count()


def read(step: Step, arguments: dict[str, Any]) -> Question | str:
    """Return the question a tool call asks, or what is wrong with it as its author can act on it."""
    try:
        question = Question.model_validate(arguments)
    except ValidationError as error:
        return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
    known = sorted(planning.specialists(step.task).keys() - {step.agent.slug})
    if question.agent not in known:
        return (
            f"You cannot ask {question.agent!r} in this task; ask {', '.join(known) or 'nobody'}."
        )
    return question


def ask(step: Step, asked: Asked) -> NeedsHuman | Interrupted | None:
    """Let a step wait for another agent's answer; or return how its attempt ends instead."""
    call = ToolCall.objects.get(pk=asked.call)
    version = planning.specialists(step.task).get(asked.question.agent)
    if version is None:  # switched off since it was asked: the next attempt is told so
        return Interrupted()
    if trip := _trip(step, asked):
        _close_call(step, call, ToolCallState.REFUSED, _NOT_ASKED, trip.detail)
        return trip
    question, number = asked.question, step.task.delegations.count() + 1
    answerer = Step.objects.create(
        task=step.task,
        project_id=step.project_id,
        asked_by=step,
        depth=step.depth + 1,
        round=step.round,
        key=f"{planning.ASKED}{number}",
        kind=StepKind.ANSWER,
        agent=version.agent,
        version=version,
        title=storable.text(question.goal)[:200],
        instructions=storable.text(question.question),
        state=StepState.READY,
        priority=step.priority,
        available_at=Now(),
        base_commit=asked.commit,
    )
    StepDependency.objects.create(step=step, needs=answerer)
    made = Delegation.objects.create(
        task=step.task,
        asker=step,
        call=call,
        answerer=answerer,
        from_agent=step.agent,
        to_agent=version.agent,
        depth=answerer.depth,
        goal=storable.text(question.goal),
        question=storable.text(question.question),
        goal_fingerprint=delegation_limits.fingerprint(question.goal),
        tree=asked.tree,
    )
    attempts.close(step, AttemptState.ASKING)
    _wait(step, made)
    failpoint("question.asked")
    transaction.on_commit(dispatch.ring, robust=True)
    return None


def _wait(step: Step, made: Delegation) -> None:
    """Let the asker wait for the answer; with calls of tools outside beside it, for those as well."""
    to, reason = StepState.WAITING, step.reason
    if parking.open_calls(step).exists():
        to, reason = StepState.WAITING_HUMAN, parking.WAITS
        transaction.on_commit(dispatch.ring_effects, robust=True)
    step.move(to, kind=Kind.DELEGATION_ASKED, data=_facts(made), waits=1, reason=reason)


def answer(step: Step, message: Answer, dependents: Iterable[Step]) -> None:
    """Finish an answering step; its asker goes on with the answer as the result of its call."""
    said = {"status": message.status, "summary": storable.text(message.answer)}
    step.move(StepState.DONE, kind=Kind.STEP_FINISHED, data=said, result=storable.dumped(message))
    refused = message.status == "cannot"
    _close(step, DelegationState.REFUSED if refused else DelegationState.ANSWERED, message)
    failpoint("question.answered")
    fan_in.count_down(dependents)


def go_on_without(step: Step, dependents: Iterable[Step]) -> None:
    """Tell the asker of a step that a person left out that there is no answer, and let it go on."""
    _close(step, DelegationState.REFUSED, Answer(status="cannot", answer=_LEFT_OUT))
    fan_in.count_down(dependents)


def cancel(task: Task, *, askers: Collection[Step] | None = None) -> None:
    """Close the open questions of steps that were stopped; without `askers` the whole task's."""
    asked = task.delegations.filter(state=DelegationState.ASKED)
    if askers is not None:
        asked = asked.filter(asker__in=askers)
    for delegation in asked.select_related("call"):
        _move(delegation, DelegationState.CANCELLED)
        ToolCall.objects.filter(pk=delegation.call_id, state=ToolCallState.STARTED).update(
            state=ToolCallState.REFUSED, result=_STOPPED, finished_at=Now()
        )


def deadlock(task: Task) -> list[Step]:
    """Return steps of a task that wait for each other in a circle, in its order, or none.

    No plan, question or extra step can make one: an answer waits for nothing, and an extra step
    only for others of its kind, which are in order, and for its asker, which is done.
    """
    steps = {step.pk: step for step in task.steps.all()}
    waits_for: dict[Any, set[Any]] = {}
    for edge in fan_in.open_edges(task, steps.values()):
        waits_for.setdefault(edge.step_id, set()).add(edge.needs_id)
    return [steps[pk] for pk in delegation_limits.cycle(waits_for)]


_NOT_ASKED = "This question was not passed on: a limit of questions between agents was reached."
_LEFT_OUT = "A person decided to go on without this answer."
_STOPPED = "The task was stopped before there was an answer."


def _trip(step: Step, asked: Asked) -> NeedsHuman | None:
    name, other = step.agent.name, asked.question.agent
    if step.depth >= MAX_DEPTH:
        detail = f"{name} wants to ask {other} to answer a question of a question of a question."
        return _tripped(Rule.DELEGATION_LIMIT, detail, step, asked, may_raise=False)
    if questions_left(step.task) <= 0:
        count = step.task.delegations.count()
        detail = f"{name} wants to ask {other}, but all {count} questions of this task are used."
        return _tripped(Rule.DELEGATION_LIMIT, detail, step, asked, may_raise=True)
    new = delegation_limits.Ask(
        asker=step.agent.slug, asked=other, goal=asked.question.goal, tree=asked.tree
    )
    if old := delegation_limits.ping_pong(new, _asks(step.task)):
        detail = f"{name} wants to ask {other} again what {old.asker} has asked {old.asked}."
        return _tripped(Rule.PING_PONG, detail, step, asked, may_raise=False)
    return None


def _asks(task: Task) -> list[Ask]:
    """Return the questions of this round since a person last decided how to go on."""
    rows = task.delegations.filter(asker__round=task.round)
    if (since := _last_decision(task)) is not None:
        rows = rows.filter(asked_at__gt=since)
    names = rows.order_by("id").values_list(
        "from_agent__slug", "to_agent__slug", "goal", "tree", named=False
    )
    return [delegation_limits.Ask(asker=a, asked=b, goal=goal, tree=t) for a, b, goal, t in names]


def _last_decision(task: Task) -> datetime | None:
    decided = Escalation.objects.filter(task=task, state=EscalationState.RESOLVED)
    return decided.order_by("-resolved_at").values_list("resolved_at", flat=True).first()


def _tripped(rule: Rule, detail: str, step: Step, asked: Asked, *, may_raise: bool) -> NeedsHuman:
    question = storable.dumped(asked.question)
    evidence = {"asker": step.agent.slug, "question": question, "questions": _history(step.task)}
    slugs = (step.agent.slug, asked.question.agent)
    evidence["last_results"] = {slug: _last_result(step.task, slug) for slug in slugs}
    detail = f"{detail} It was not passed on; everything up to here is kept."
    raisable = (Choice.RAISE_LIMIT_ONCE,) if may_raise else ()
    options = (*raisable, Choice.RETRY_WITH_NOTE, Choice.STOP)
    return NeedsHuman(rule=rule, detail=detail, evidence=evidence, options=options)


def _history(task: Task) -> list[dict[str, Any]]:
    rows = task.delegations.select_related("from_agent", "to_agent").order_by("id")
    return [
        {"from": row.from_agent.slug, "to": row.to_agent.slug, "goal": row.goal, "state": row.state}
        for row in rows
    ]


def _last_result(task: Task, slug: str) -> dict[str, Any]:
    """Return what an agent handed in last or, as long as that is nothing, what it said last."""
    steps = task.steps.filter(agent__slug=slug, result__isnull=False)
    if result := steps.order_by("-finished_at").values_list("result", flat=True).first():
        return dict(result)
    said = task.events.filter(kind=Kind.MESSAGE, step__agent__slug=slug).order_by("-seq")
    said = said.exclude(data__text="")  # a thought alone
    return {"said": said.values_list("data__text", flat=True).first() or ""}


def _close(answerer: Step, to: DelegationState, message: Answer) -> None:
    delegation = Delegation.objects.select_related("asker", "call").get(answerer=answerer)
    delegation.asker.task = answerer.task
    kept = storable.dumped(message)
    _move(delegation, to, answer=kept)
    facts = {**_facts(delegation), "status": message.status, "answer": kept["answer"]}
    answerer.task.record(Kind.DELEGATION_ANSWERED, facts, step=delegation.asker)
    told = {"agent": answerer.agent.slug, **kept}
    told["questions_left"] = max(0, questions_left(answerer.task))
    text = json.dumps(told, ensure_ascii=False, indent=1)
    name = answerer.agent.name
    summary = f"{name}: {message.answer}" if message.status == "answered" else f"{name} cannot say."
    _close_call(delegation.asker, delegation.call, ToolCallState.DONE, text, summary)


def _close_call(step: Step, call: ToolCall, state: ToolCallState, text: str, summary: str) -> None:
    """Write the result of the call that asked, as the guard would have."""
    facts: dict[str, Any] = {"call": str(call.pk), "tool": call.tool, "server": call.server}
    facts |= {"summary": storable.text(summary)[:300], "state": state.value, "sandbox": ""}
    found = ToolCall.objects.filter(pk=call.pk, state=ToolCallState.STARTED)
    found.update(
        state=state,
        result=text,
        result_fingerprint=fingerprints.of_result(text),
        summary=facts["summary"],
        finished_at=Now(),
    )
    call.refresh_from_db(fields=["started_at", "finished_at"])
    took = (call.finished_at - call.started_at).total_seconds() if call.finished_at else 0.0
    facts |= {"arguments": call.arguments, "seconds": round(took, 2)}
    step.task.record(Kind.TOOL_FINISHED, facts, step=step)


def _move(delegation: Delegation, to: DelegationState, **facts: Any) -> None:
    transitions.move(delegation, to, moves=DELEGATION_MOVES, answered_at=Now(), **facts)


def _facts(delegation: Delegation) -> dict[str, Any]:
    facts = {"delegation": str(delegation.pk), "depth": delegation.depth}
    facts |= {"asker": delegation.from_agent.slug, "agent": delegation.to_agent.slug}
    facts |= {"name": delegation.to_agent.name, "answerer": str(delegation.answerer_id)}
    return facts | {"goal": delegation.goal, "question": delegation.question}
