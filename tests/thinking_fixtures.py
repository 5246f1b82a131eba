"""Builds one attempt of one step as the runtime would, for tests of the thinking part."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import F
from django.utils import timezone

from agents.grants import granted
from agents.lifecycle import StepKind, StepState, TaskState
from agents.limits import Limits
from agents.messages import Plan, ProposalDraft, StepResult
from agents.models import Agent, AgentVersion, Attempt, Grant, Step, Task, ToolCall
from agents.runtime.contract import Work
from agents.runtime.ledger import known_tools
from agents.workspace.files import Workspace
from agents.workspace.scope import Scope
from tests.stub_model import Reply, StubModel, sequence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OUTPUTS = {"route": Plan, "work": StepResult, "assemble": ProposalDraft}
STATES = {"route": TaskState.PLANNING, "work": TaskState.WORKING, "assemble": TaskState.ASSEMBLING}

PLAN = {
    "title": "Mend the thing",
    "outcome": "change",
    "steps": [{"id": "mend", "agent": "coder", "title": "Mend it", "instructions": "Mend it."}],
}
DONE = {"status": "done", "summary": "Mended."}
BLOCKED = {"status": "blocked", "summary": "I need a person."}


def make_task(project, requester, *, model: str = "openai:stub", **facts: Any) -> Task:
    """Create a task that is being worked on."""
    facts = {"request": "Mend the thing", "state": TaskState.WORKING, **facts}
    return Task.objects.create(
        project=project,
        requester=requester,
        title="Mend the thing",
        limits=facts.pop("limits", Limits().as_json()),
        model=model,
        request_digest="0" * 64,
        started_at=timezone.now(),
        **facts,
    )


def limited(slug: str, **limits: Any) -> None:
    """Publish a version of an agent with other limits."""
    agent = Agent.objects.get(slug=slug)
    last = agent.published()
    AgentVersion.objects.create(
        agent=agent,
        number=last.number + 1,
        instructions=last.instructions,
        model_profile=last.model_profile,
        published_at=timezone.now(),
        **limits,
    )


def make_step(
    task: Task, slug: str, *, kind: str = "work", key: str = "mend", **facts: Any
) -> Step:
    """Create a leased step of an agent, at attempt 1."""
    agent = Agent.objects.get(slug=slug)
    step = Step.objects.create(
        task=task,
        key=key,
        kind=StepKind(kind),
        agent=agent,
        version=agent.published(),
        title="Mend it",
        instructions="Mend it.",
        state=StepState.LEASED,
        attempt=1,
        lease_owner="test",
        lease_until=timezone.now() + timedelta(minutes=5),
        **facts,
    )
    return Step.objects.select_related("task__project", "agent", "version__model_profile").get(
        pk=step.pk
    )


def next_attempt(step: Step, *, state: str = "released") -> Step:
    """End the running attempt and lease the step again, as the runtime does."""
    Attempt.objects.filter(step=step, finished_at=None).update(
        state=state, finished_at=timezone.now()
    )
    Step.objects.filter(pk=step.pk).update(attempt=F("attempt") + 1)
    return Step.objects.select_related("task__project", "agent", "version__model_profile").get(
        pk=step.pk
    )


def brief_of(step: Step, **facts: Any) -> dict[str, Any]:
    """Return a brief as the runtime builds it."""
    base = {"request": step.task.request, "project": step.task.project.slug, "bundled": False}
    if step.kind == StepKind.ROUTE:
        agents = [
            {"slug": a.slug, "name": a.name, "description": a.description, "tools": []}
            for a in Agent.objects.filter(role="specialist")
        ]
        more = {"context": {}, "agents": agents, "files": [], "files_total": 0}
        return {**base, **more, "checks_command": "", "max_steps": 8, **facts}
    if step.kind == StepKind.ASSEMBLE:
        more = {"outcome": "change", "round": 1, "steps": [], "feedback": [], "files": []}
        more["title"] = step.task.title
        return {**base, **more, "added": 0, "removed": 0, "checks": {}, "warnings": [], **facts}
    more = {"key": step.key, "title": step.title, "instructions": step.instructions}
    more |= {"acceptance": "", "files": [], "outcome": "change", "needs": [], "round": step.round}
    return {**base, **more, "feedback": [], "earlier": None, "checks_command": "", **facts}


def make_work(
    step: Step,
    *,
    workspace: Any = None,
    seconds: float = 60,
    brief: dict[str, Any] | None = None,
    **facts: Any,
) -> Work:
    """Open the attempt of a leased step, going on from the one before it if there is one."""
    before = step.attempts.order_by("-number").first()
    attempt = Attempt(step=step, number=step.attempt, worker="test")
    if before is not None:
        attempt.resumes = before
        attempt.checkpoint, attempt.turns = before.checkpoint, before.turns
        attempt.seen_seq = before.seen_seq
    attempt.save(force_insert=True)
    grants = Grant.objects.filter(agent=step.agent).select_related("tool")
    scope = Scope(
        tools=frozenset(grant.tool.name for grant in grants),
        writes={grant.tool.name: tuple(grant.paths) for grant in grants if grant.paths},
    )
    return Work(
        step=step,
        attempt=attempt,
        output=OUTPUTS[step.kind],
        brief=brief or brief_of(step),
        workspace=workspace,
        scope=scope,
        known=known_tools(scope, granted({step.agent_id}).get(step.agent_id, [])),
        deadline=time.monotonic() + seconds,
        remembers=step.kind in ("route", "work"),
        **facts,
    )


def on_files(step: Step, tree: str = "", **facts: Any) -> Work:
    """Open the attempt of a step on files made from a tree, or from main."""
    workspace = Workspace.for_step(step)
    workspace.materialise(tree or workspace.store.fetch())
    return make_work(step, workspace=workspace, **facts)


def going_on(step: Step, *, state: str = "released", **facts: Any) -> Work:
    """Open the next attempt as the runtime does, on the newest recorded tree."""
    trees = ToolCall.objects.filter(attempt__step=step).exclude(tree="").order_by("-finished_at")
    tree = trees.values_list("tree", flat=True).first() or ""
    return on_files(next_attempt(step, state=state), tree, **facts)


@contextmanager
def serve(settings) -> Iterator[Callable[..., StubModel]]:
    """Give a function that starts a stub server with replies or a script, and points settings at it."""
    servers: list[StubModel] = []

    def start(*replies: Any) -> StubModel:
        script = sequence(*replies) if isinstance(replies[0], Reply) else replies[0]
        server = StubModel(script).__enter__()
        servers.append(server)
        settings.OPENAI_BASE_URL = server.base_url
        return server

    try:
        yield start
    finally:
        for server in servers:
            server.__exit__()
