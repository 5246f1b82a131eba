"""Tasks in review with real commits, for the tests of the approvals floor."""

from __future__ import annotations

import subprocess
import uuid
from typing import TYPE_CHECKING

from django.db import connection
from django.db.models.functions import Now

from agents.lifecycle import AttemptState, StepKind, StepState, TaskState
from agents.models import (
    Agent,
    AgentVersion,
    Attempt,
    Claim,
    FileChange,
    Hunk,
    ModelProfile,
    Proposal,
    Step,
    Task,
)
from agents.workspace.files import Workspace
from agents.workspace.git import Store
from approvals import viewing
from approvals.deciding import decide
from approvals.models import Effect

if TYPE_CHECKING:
    from pathlib import Path

    from approvals.models import Approval
    from projects.models import Project, User

FILES = {
    "billing/invoice.py": "".join(f"line {number}\n" for number in range(1, 41)),
    "docs/rounding.md": "Tax is rounded half up.\n",
    "README.md": "A service.\n",
}
GREEN = {
    "command": "python -m unittest",
    "sandbox": "bubblewrap",
    "exit_code": 0,
    "passed": 4,
    "failed": 0,
    "output_tail": "OK",
    "seconds": 1.25,
    "ran": True,
    "why_not": "",
}


def git(folder: Path, *arguments: str) -> str:
    """Run the plain git of this machine, as a person would."""
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def make_repository(folder: Path, project: Project) -> Path:
    """Make a bare repository with one commit and point the project at it."""
    work, bare = folder / "work", folder / "origin.git"
    work.mkdir()
    git(work, "init", "-q", "-b", "main")
    for path, text in FILES.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_text(text)
    git(work, "add", "-A")
    git(work, "commit", "-qm", "Begin")
    git(folder, "clone", "-q", "--bare", str(work), str(bare))
    project.repository = str(bare)
    project.checks_command = "python -m unittest"
    project.save()
    return bare


def first_parents(bare: Path) -> list[str]:
    """Return main's commits along the first parents, newest first."""
    return git(bare, "log", "--first-parent", "--format=%H", "main").split()


def approve(approval: Approval, by: User) -> Effect:
    """Sign an approval as somebody who has looked at its files; return its one effect."""
    view_all(approval, by)
    decide(approval.pk, by=by, verdict="approve", digest=approval.digest, nonce=approval.nonce)
    return Effect.objects.get(approval=approval)


def view_all(approval: Approval, by: User) -> None:
    """Mark each of its files as viewed."""
    for file in approval.snapshot["files"]:
        viewing.mark(approval, file["path"], by=by)


def move_main(bare: Path, path: str = "README.md", text: str = "Another service.\n") -> str:
    """Let somebody else push to main; return the new head."""
    work = bare.parent / f"clone-{uuid.uuid4().hex[:8]}"
    git(bare.parent, "clone", "-q", str(bare), str(work))
    (work / path).parent.mkdir(parents=True, exist_ok=True)
    (work / path).write_text(text)
    git(work, "add", "-A")
    git(work, "commit", "-qm", "Move on")
    git(work, "push", "-q", "origin", "main")
    return git(work, "rev-parse", "HEAD")


def past_triggers(statement: str, *arguments: object) -> None:
    """Change rows as an attacker with SQL would, past the triggers."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(statement, arguments)
        cursor.execute("SET session_replication_role = DEFAULT")


def end_time(approval: Approval, *, in_seconds: float = 0) -> None:
    """Let the time to decide end now, or soon: nobody can wait for it, and the seal holds it."""
    for table, key in (("approvals_approval", "id"), ("approvals_listed", "approval_id")):
        past_triggers(
            f"UPDATE {table} SET expires_at = now() + %s * interval '1 second' WHERE {key} = %s",  # noqa: S608
            in_seconds,
            approval.pk,
        )


def make_agent(slug: str, name: str, role: str = "specialist") -> Agent:
    """Return an agent with one published version."""
    agent, created = Agent.objects.get_or_create(slug=slug, defaults={"name": name, "role": role})
    if created:
        profile, _ = ModelProfile.objects.get_or_create(slug="fast")
        AgentVersion.objects.create(
            agent=agent, number=1, instructions="Work.", model_profile=profile, published_at=Now()
        )
    return agent


def make_task(project: Project, requester: User, **facts: object) -> Task:
    """Return a task in review, as the pipeline leaves it."""
    return Task.objects.create(
        project=project,
        requester=requester,
        request="Fix the billing bug & update docs",
        title="Fix the billing bug",
        state=TaskState.REVIEW,
        model="rehearsal",
        request_digest="0" * 64,
        started_at=Now(),
        **facts,
    )


def make_step(task: Task, agent: Agent, key: str, kind: str = StepKind.WORK) -> Step:
    """Return a finished step with its attempt."""
    step = Step.objects.create(
        task=task,
        round=task.round,
        key=key,
        kind=kind,
        agent=agent,
        version=agent.published(),
        title=key,
        state=StepState.DONE,
        attempt=1,
        finished_at=Now(),
    )
    Attempt.objects.create(
        step=step, number=1, worker="test", state=AttemptState.FINISHED, finished_at=Now()
    )
    return step


def make_team(task: Task) -> dict[str, Step]:
    """Return the steps of a coder, a tech writer and an aggregator."""
    return {
        "coder": make_step(task, make_agent("coder", "Code agent"), "fix-rounding"),
        "tech-writer": make_step(task, make_agent("tech-writer", "Docs agent"), "describe"),
        "aggregator": make_step(
            task, make_agent("aggregator", "Aggregator", "aggregator"), "assemble", "assemble"
        ),
    }


def make_report(project: Project, requester: User) -> Proposal:
    """Return a proposal without file changes."""
    task = make_task(project, requester)
    make_team(task)
    return Proposal.objects.create(
        task=task,
        round=1,
        kind="report",
        title="Where rounding happens",
        summary="One place.",
        report="See `billing/invoice.py`.",
        model="rehearsal",
    )


def edits(**lines: str) -> dict[str, str]:
    """Return the files with these lines of the code instead, by number: `line_3="three"`."""
    text = FILES["billing/invoice.py"]
    for name, line in lines.items():
        text = text.replace(f"{name.replace('_', ' ')}\n", f"{line}\n")
    return {"billing/invoice.py": text}


EDITS = {
    **edits(line_3="line three", line_37="line 37b"),
    "docs/rounding.md": "Tax is rounded half even, once.\n",
}


def make_change(
    project: Project,
    requester: User,
    folder: Path,
    *,
    task: Task | None = None,
    texts: dict[str, str] = EDITS,
    **facts: object,
) -> Proposal:
    """Return a proposal of a real commit: two hunks by the coder, one by the tech writer."""
    store = Store.of(project)
    base = store.fetch()
    work = Workspace(store, folder / uuid.uuid4().hex)
    work.materialise(base)
    for path, text in texts.items():
        (work.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (work.folder / path).write_text(text)
    tree = work.snapshot()
    head = store.commit(tree, parents=[base], message="The agents' work")
    task = task or make_task(project, requester)
    steps = make_team(task)
    proposal = Proposal.objects.create(
        **{
            "task": task,
            "round": task.round,
            "kind": "change",
            "title": "Round once on the total",
            "summary": "Tax was rounded on each line.",
            "base_commit": base,
            "head_commit": head,
            "tree": tree,
            "added": 3,
            "removed": 3,
            "checks": GREEN,
            "model": "rehearsal",
            **facts,
        }
    )
    add_rows(proposal, store, steps)
    return proposal


def make_dangerous(project: Project, requester: User, folder: Path, **facts: object) -> Proposal:
    """Return such a proposal of high risk: its checks fail."""
    return make_change(project, requester, folder, checks={**GREEN, "exit_code": 1}, **facts)


def add_rows(proposal: Proposal, store: Store, steps: dict[str, Step]) -> None:
    """Write the file and hunk rows of a proposal's diff, and one claim."""
    for position, diff in enumerate(store.diff(proposal.base_commit, proposal.tree)):
        names = ("path", "old_path", "status", "old_mode", "new_mode", "old_blob", "new_blob")
        file = FileChange.objects.create(
            proposal=proposal,
            position=position,
            binary=diff.binary,
            added=diff.added,
            removed=diff.removed,
            **{name: getattr(diff, name) for name in names},
        )
        step = steps["tech-writer" if diff.path.startswith("docs/") else "coder"]
        for number, hunk in enumerate(diff.hunks):
            Hunk.objects.create(
                file=file,
                position=number,
                old_start=hunk.old_start,
                old_lines=hunk.old_lines,
                new_start=hunk.new_start,
                new_lines=hunk.new_lines,
                section=hunk.section,
                text=hunk.text,
                digest=hunk.digest,
                author_step=step,
                author_attempt=step.attempts.get(),
            )
    Claim.objects.create(
        proposal=proposal,
        position=0,
        step=steps["coder"],
        text="All tests pass",
        verdict="proven",
        evidence="4 pass, our run",
    )
