"""One row of everything the admin shows."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.utils import timezone

from agents import holds
from agents.lifecycle import AttemptState, TaskState, Verdict
from agents.models import (
    Agent,
    AgentVersion,
    Attempt,
    Claim,
    Escalation,
    FileChange,
    Grant,
    Hunk,
    ModelCall,
    ModelProfile,
    Proposal,
    Step,
    Task,
    Tool,
    ToolCall,
    ToolServer,
)
from approvals.models import (
    Approval,
    CallApproval,
    Effect,
    Policy,
    Signature,
    StandingGrant,
)
from memory.recall import recall, record_uses
from notices import requests
from projects import audit
from projects.models import Membership, Project, Role, User
from projects.tokens import issue
from tests import call_fixtures
from tests.memory_fixtures import kept
from tests.notice_fixtures import make_webhook


def make_agent(slug: str = "house-coder", **facts: Any) -> Agent:
    """An agent with one published version."""
    agent = Agent.objects.create(slug=slug, name=slug.title(), description="Edits code.", **facts)
    profile, _ = ModelProfile.objects.get_or_create(slug="house-model")
    AgentVersion.objects.create(
        agent=agent,
        number=1,
        instructions="Edit code with care.",
        model_profile=profile,
        published_at=timezone.now(),
    )
    return agent


def make_tools(agent: Agent, slug: str = "house-tools") -> ToolServer:
    """A bundled server with a reading and a writing tool, both granted."""
    server = ToolServer.objects.create(slug=slug, name="House tools", transport="bundled")
    for name, read_only in (("look_at", True), ("change_it", False)):
        tool = Tool.objects.create(
            server=server, name=name, read_only=read_only, definition_digest="ab" * 32
        )
        Grant.objects.create(agent=agent, tool=tool)
    return server


def make_task(project: Project, requester: User, agent: Agent, **facts: Any) -> Task:
    """A task with a step, an attempt, a tool call and events."""
    facts = {"title": "Fix rounding", "state": TaskState.REVIEW, **facts}
    task = Task.objects.create(
        project=project,
        requester=requester,
        request="Fix rounding <b>now</b>",
        request_digest="ab" * 32,
        model="rehearsal",
        **facts,
    )
    step = Step.objects.create(
        task=task, key="fix", agent=agent, version=agent.published(), title="Fix it"
    )
    attempt = Attempt.objects.create(
        step=step,
        number=1,
        worker="worker-1",
        state=AttemptState.FINISHED,
        finished_at=timezone.now(),
        checkpoint={"messages": []},
    )
    ModelCall.objects.create(
        attempt=attempt,
        response=0,
        model="openai:large",
        started_at=attempt.started_at,
        finished_at=timezone.now(),
    )
    ToolCall.objects.create(
        attempt=attempt, response=0, call_id="1", server="house", tool="look", fingerprint="ab" * 32
    )
    task.record("task.submitted", {"by": "mira"})
    task.record("step.started", {}, step=step)
    return task


def make_escalation(task: Task) -> Escalation:
    """An open escalation of the task's step."""
    return Escalation.objects.create(
        task=task, step=task.steps.first(), rule="max_turns", detail="5 of 5", options=["stop"]
    )


def make_proposal(task: Task) -> Proposal:
    """A proposal with a file, a hunk and a claim."""
    proposal = Proposal.objects.create(
        task=task,
        round=1,
        kind="change",
        title="Round once",
        summary="Rounds once.",
        base_commit="a" * 40,
        head_commit="b" * 40,
        tree="c" * 40,
        model="rehearsal",
    )
    change = FileChange.objects.create(
        proposal=proposal, position=0, path="billing/invoice.py", status="modified"
    )
    Hunk.objects.create(
        file=change,
        position=0,
        old_start=1,
        old_lines=1,
        new_start=1,
        new_lines=1,
        text="-a\n+b\n",
        digest="ab" * 32,
        author_step=task.steps.first(),
    )
    Claim.objects.create(
        proposal=proposal,
        position=0,
        text="Checks pass.",
        verdict=Verdict.PROVEN,
        evidence="12 ran",
    )
    return proposal


def make_approval(proposal: Proposal, signer: User) -> Approval:
    """A signed approval with its effect."""
    task = proposal.task
    policy = Policy.objects.filter(project=task.project, active=True).first()
    policy = policy or Policy.objects.create(project=task.project)
    approval = Approval.objects.create(
        project=task.project,
        task=task,
        proposal=proposal,
        policy=policy,
        requester=task.requester,
        risk="low",
        snapshot={"version": 1, "nonce": "secret-nonce"},
        digest="ab" * 32,
        nonce=uuid.uuid4().hex,
        expires_at=timezone.now() + timedelta(hours=1),
        state="approved",
        decided_at=timezone.now(),
        decided_by=signer,
    )
    Signature.objects.create(
        approval=approval,
        signer=signer,
        requester=task.requester,
        verdict="approve",
        digest=approval.digest,
        nonce=approval.nonce,
    )
    Effect.objects.create(
        approval=approval,
        position=0,
        kind="git.merge",
        arguments={"base": "a"},
        not_before=timezone.now(),
    )
    return approval


def make_standing_grant(call: CallApproval, lead: User) -> StandingGrant:
    """A standing grant, made with the decision on a call."""
    now = timezone.now()
    return StandingGrant.objects.create(
        project=call.project,
        agent=call.step.agent,
        server="pay",
        tool="pay",
        pin=call.snapshot["call"],
        patterns="{}",
        origin=call,
        granted_by=lead,
        at=now,
        expires_at=now + timedelta(hours=1),
        max_hits=3,
    )


def make_one_of_everything(project: Project, requester: User, lead: User, name: str = "") -> None:
    """Rows in every table the admin registers; another set for another name."""
    agent = make_agent(f"house-coder{name}")
    make_tools(agent, f"house-tools{name}")
    task = make_task(project, requester, agent)
    make_escalation(task)
    make_approval(make_proposal(task), lead)
    memory = kept(project, f"Round tax once on the invoice total{name}.", by=lead)
    recalled = recall(project, query="Round tax on the invoice total", agent_slug="coder")
    record_uses(recalled, task=task.pk, step=uuid.uuid4(), attempt=1, agent_slug="coder")
    issue(requester, name="ci")
    holds.place(by=lead, task=task, reason="Look first.")
    hook = make_webhook(project, "https://hooks.example.org/x", name=f"ops{name}")
    requests.send_test(hook, by=lead)
    audit.record("memory.looked_at", subject=memory, actor=lead, project=project)
    if not Tool.objects.filter(server__slug="pay").exists():
        call_fixtures.make_tool()
    call = call_fixtures.decided(call_fixtures.waiting_call(project, requester), lead)
    make_standing_grant(call, lead)


def make_another_project(name: str) -> tuple[Project, User, User]:
    """A project of other people, so that nothing a list names is loaded by chance."""
    project = Project.objects.create(slug=f"other{name}", name="Other", repository="/other.git")
    requester = User.objects.create(username=f"asker{name}")
    lead = User.objects.create(username=f"lead{name}")
    for person, role in ((requester, Role.REQUESTER), (lead, Role.LEAD)):
        Membership.objects.create(user=person, project=project, role=role)
    ModelProfile.objects.create(slug=f"other-model{name}")
    return project, requester, lead
