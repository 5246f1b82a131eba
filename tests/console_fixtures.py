"""A project with tasks in every state a page can show, made through the models."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from agents.events import Kind
from agents.lifecycle import AttemptState, EscalationState, StepKind, StepState, TaskState
from agents.limits import Limits
from agents.models import (
    Agent,
    Attempt,
    Claim,
    Escalation,
    FileChange,
    Hunk,
    Proposal,
    Step,
    StepDependency,
    Task,
    ToolCall,
)
from agents.seeding import seed_agents
from approvals import sealing
from memory.models import Memory, MemoryUse
from tests.console_texts import (
    BASE,
    CHECKS,
    DOCS,
    HEAD,
    INVOICE,
    TESTS,
    TREE,
    WARNING,
)

if TYPE_CHECKING:
    from approvals.models import Approval
    from projects.models import Project, User


@dataclass
class Made:
    """A task and what belongs to it."""

    task: Task
    steps: dict[str, Step]
    proposal: Proposal | None = None
    approval: Approval | None = None


def make_task(project: Project, requester: User, **facts: Any) -> Task:
    """Return a task with its first event."""
    seed_agents()
    now = timezone.now()
    facts = {
        "request": "Invoices with 3+ lines are off by 1 cent against the ledger. Fix it, keep "
        "refunds as they are, and update the rounding page in the docs.",
        "title": "Fix the billing rounding bug and update the docs",
        "model": "rehearsal",
        "started_at": now - timedelta(seconds=109),
        "limits": Limits().as_json(),
        "request_digest": "0" * 64,
        **facts,
    }
    task = Task.objects.create(project=project, requester=requester, **facts)
    Task.objects.filter(pk=task.pk).update(created_at=now - timedelta(seconds=112))
    task.refresh_from_db()
    task.record(Kind.TASK_SUBMITTED, {"title": task.title, "requester": requester.display_name})
    return task


def make_step(
    task: Task, key: str, slug: str, title: str, *, state: str = StepState.DONE, **facts: Any
) -> Step:
    """Return a step in a state, with its attempt once it has begun."""
    agent = Agent.objects.get(slug=slug)
    begun = state not in {StepState.WAITING, StepState.READY}
    now = timezone.now()
    facts = {
        "kind": StepKind.WORK,
        "round": task.round,
        "attempt": int(begun),
        "started_at": now - timedelta(seconds=80) if begun else None,
        "finished_at": now - timedelta(seconds=40) if state == StepState.DONE else None,
        "lease_until": now + timedelta(seconds=30) if state == StepState.LEASED else None,
        **facts,
    }
    step = Step.objects.create(
        task=task,
        key=key,
        agent=agent,
        version=agent.published(),
        title=title,
        state=state,
        **facts,
    )
    if begun:
        over = state != StepState.LEASED
        Attempt.objects.create(
            step=step,
            number=1,
            worker="w",
            turns=2,
            state=AttemptState.FINISHED if over else AttemptState.RUNNING,
            started_at=step.started_at,
            finished_at=(step.finished_at or now) if over else None,
        )
    return step


def make_team(task: Task, **states: str) -> dict[str, Step]:
    """Return router, coder, tester, tech writer and aggregator steps, joined as a plan joins them."""
    now = timezone.now()
    route = make_step(
        task,
        "route",
        "router",
        "Plan the work",
        kind=StepKind.ROUTE,
        round=1,
        started_at=now - timedelta(seconds=109),
        finished_at=now - timedelta(seconds=103),
    )
    done = StepState.DONE
    team = {
        "route": route,
        "coder": make_step(
            task, "fix-rounding", "coder", "Round tax once", state=states.get("coder", done)
        ),
        "tester": make_step(
            task, "cover", "tester", "Add a half-even case", state=states.get("tester", done)
        ),
        "writer": make_step(
            task, "docs", "tech-writer", "Describe rounding", state=states.get("writer", done)
        ),
        "aggregator": make_step(
            task,
            "assemble",
            "aggregator",
            "Make one proposal",
            kind=StepKind.ASSEMBLE,
            state=states.get("aggregator", done),
        ),
    }
    StepDependency.objects.create(step=team["tester"], needs=team["coder"])
    for name in ("coder", "tester", "writer"):
        StepDependency.objects.create(step=team["aggregator"], needs=team[name])
    return team


def queued_task(project: Project, requester: User, **facts: Any) -> Task:
    """Return a task that waits for its router."""
    task = make_task(project, requester, state=TaskState.QUEUED, started_at=None, **facts)
    ready = {"kind": StepKind.ROUTE, "state": StepState.READY, "priority": task.priority}
    make_step(task, "route", "router", "Plan the work", **ready)
    return task


def say(step: Step, text: str, **more: Any) -> None:
    """Record a finished message of an agent."""
    step.task.record(
        Kind.MESSAGE,
        {"from": "agent", "agent": step.agent.slug, "turn": 1, "text": text, **more},
        step=step,
    )


def use_tool(
    step: Step, tool: str, summary: str = "", *, state: str = "done", **arguments: Any
) -> None:
    """Record a tool call in ledger and events."""
    attempt = step.attempts.get()
    count = attempt.tool_calls.count()
    call = ToolCall.objects.create(
        attempt=attempt,
        response=count,
        call_id=f"call-{count}",
        server="workspace",
        tool=tool,
        arguments=arguments,
        fingerprint="0" * 64,
        state=state,
        summary=summary,
        finished_at=timezone.now(),
    )
    facts = {"call": str(call.pk), "tool": tool, "server": "workspace", "arguments": arguments}
    step.task.record(Kind.TOOL_STARTED, facts, step=step)
    facts |= {"state": state, "summary": summary, "seconds": 0.2, "sandbox": ""}
    step.task.record(Kind.TOOL_FINISHED, facts, step=step)


def running_task(project: Project, requester: User, **facts: Any) -> Made:
    """Return a task with two agents at work."""
    task = make_task(project, requester, state=TaskState.WORKING, tool_calls=5, **facts)
    steps = make_team(
        task,
        coder=StepState.LEASED,
        tester=StepState.WAITING,
        writer=StepState.LEASED,
        aggregator=StepState.WAITING,
    )
    use_tool(steps["coder"], "read_file", "48 lines", path="billing/invoice.py")
    say(
        steps["coder"],
        "The half-even cases fail because tax is rounded per line and then summed. Round once, on "
        "the invoice total.",
    )
    use_tool(steps["coder"], "edit_file", "1 replacement", path="billing/invoice.py")
    use_tool(steps["coder"], "run_checks", "2 of 14 failed", state="failed", command="unittest")
    use_tool(steps["writer"], "search_text", "3 hits in 2 files", pattern="half up")
    return Made(task=task, steps=steps)


def stopped_task(project: Project, requester: User, *, rule: str = "max_turns") -> Made:
    """Return a task that waits for an answer."""
    task = make_task(project, requester, state=TaskState.NEEDS_HUMAN, state_before_human="working")
    steps = make_team(
        task,
        coder=StepState.WAITING_HUMAN,
        tester=StepState.WAITING,
        aggregator=StepState.WAITING,
    )
    Escalation.objects.create(
        task=task,
        step=steps["coder"],
        rule=rule,
        detail="All 12 turns are used. The edits so far are kept in the workspace.",
        evidence={"turns": 12},
        options=["raise_limit_once", "retry_with_note", "stop"],
        state=EscalationState.OPEN,
    )
    return Made(task=task, steps=steps)


def make_file(
    proposal: Proposal, position: int, path: str, text: str, author: Step, *, start: int = 1
) -> Hunk:
    """Return the one hunk of a changed file."""
    lines = text.removesuffix("\n").split("\n")
    removed = sum(line.startswith("-") for line in lines)
    added = sum(line.startswith("+") for line in lines)
    file = FileChange.objects.create(
        proposal=proposal,
        position=position,
        path=path,
        old_path=path,
        status="modified",
        old_mode="100644",
        new_mode="100644",
        added=added,
        removed=removed,
    )
    changed = "".join(line for line in lines if line[:1] in "+-")
    return Hunk.objects.create(
        file=file,
        position=0,
        old_start=start,
        old_lines=len(lines) - added,
        new_start=start,
        new_lines=len(lines) - removed,
        section="class Invoice" if path.endswith("invoice.py") else "",
        text=text,
        digest=hashlib.sha256(f"{path}\0{changed}".encode()).hexdigest(),
        author_step=author,
        author_attempt=author.attempts.get(),
    )


def make_proposal(task: Task, steps: dict[str, Step], **facts: Any) -> Proposal:
    """Return a change over three files with four claims."""
    facts = {
        "round": task.round,
        "kind": "change",
        "title": task.title,
        "summary": "Tax is rounded once, on the invoice total, half to even. `Invoice.tax` stays "
        "exact. The rounding page now says so.\n\nNot done: the PDF renderer was not looked at.",
        "base_commit": BASE,
        "head_commit": HEAD,
        "tree": TREE,
        "added": 9,
        "removed": 5,
        "checks": CHECKS,
        "warnings": [WARNING],
        "model": task.model,
        **facts,
    }
    return Proposal.objects.create(task=task, **facts)


def make_claims(proposal: Proposal, steps: dict[str, Step]) -> None:
    """Give a proposal proven, contradicted and uncheckable claims."""
    rows = (
        ("coder", "All tests pass", "proven", "14 pass, our run"),
        ("coder", "Refunds are untouched", "proven", "billing/refunds.py is byte-identical"),
        ("writer", "No page says half up", "contradicted", "docs/rounding.md:3 still says it"),
        ("coder", "No other caller is affected", "not_checkable", "not checkable"),
    )
    for position, (name, text, verdict, evidence) in enumerate(rows):
        Claim.objects.create(
            proposal=proposal,
            position=position,
            step=steps[name],
            text=text,
            verdict=verdict,
            evidence=evidence,
        )


def reviewed_task(project: Project, requester: User, **facts: Any) -> Made:
    """Return a task whose proposal is sealed and waits for a signature."""
    proposal_facts = {key: facts.pop(key) for key in ("warnings", "checks") if key in facts}
    task = make_task(project, requester, state=TaskState.REVIEW, **facts)
    steps = make_team(task)
    proposal = make_proposal(task, steps, **proposal_facts)
    make_file(proposal, 0, "tests/test_invoice.py", TESTS, steps["tester"], start=12)
    make_file(proposal, 1, "billing/invoice.py", INVOICE, steps["coder"], start=80)
    make_file(proposal, 2, "docs/rounding.md", DOCS, steps["writer"])
    make_claims(proposal, steps)
    return Made(task=task, steps=steps, proposal=proposal, approval=sealing.seal(proposal))


def reported_task(project: Project, requester: User, *, report: str) -> Made:
    """Return a task whose proposal is a report."""
    task = make_task(project, requester, state=TaskState.REVIEW)
    steps = make_team(task)
    proposal = make_proposal(
        task,
        steps,
        kind="report",
        report=report,
        base_commit="",
        head_commit="",
        tree="",
        added=0,
        removed=0,
        checks={},
        warnings=[],
    )
    return Made(task=task, steps=steps, proposal=proposal, approval=sealing.seal(proposal))


def next_round(made: Made) -> Made:
    """Return round 2 of a task that was sent back: only the docs hunk is new."""
    task = made.task
    Task.objects.filter(pk=task.pk).update(round=2, state=TaskState.REVIEW)
    task.refresh_from_db()
    steps = {**made.steps}
    steps["writer"] = make_step(task, "docs", "tech-writer", "Describe rounding")
    proposal = make_proposal(task, steps, warnings=[])
    make_file(proposal, 0, "tests/test_invoice.py", TESTS, steps["tester"], start=12)
    make_file(proposal, 1, "billing/invoice.py", INVOICE, steps["coder"], start=80)
    docs = DOCS.replace("\u200b", "")
    make_file(proposal, 2, "docs/rounding.md", docs, steps["writer"])
    return Made(task=task, steps=steps, proposal=proposal, approval=sealing.seal(proposal))


def make_lesson(project: Project, lead: User, *, state: str = "active", **facts: Any) -> Memory:
    """Return a lesson."""
    person = {"approved_by": lead, "approved_at": timezone.now()} if state == "active" else {}
    facts = {
        "content": "Round tax once, on the invoice total, half to even.",
        "source": "review_changes",
        "source_label": "your request for changes on T-12",
        **person,
        **facts,
    }
    return Memory.objects.create(project=project, state=state, **facts)


def use_lesson(memory: Memory, made: Made) -> None:
    """Record that a lesson was put before the coder."""
    MemoryUse.objects.create(
        memory=memory,
        task=made.task.pk,
        step=made.steps["coder"].pk,
        attempt=1,
        agent_slug="coder",
        rank=1,
        score=0.9,
        shown_tokens=20,
    )
