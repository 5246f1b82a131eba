"""A finished story made by the services themselves, and others that wait: what invariants look at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from agents import assembling, escalations, materials
from agents.finishing import settle
from agents.intake import submit
from agents.lifecycle import StepState
from agents.messages import ProposalDraft
from agents.models import Step, Task
from agents.models.tasks import Rule
from agents.runtime.claims import Claimed, claim
from agents.runtime.contract import Finished, NeedsHuman
from agents.workspace.files import Workspace
from agents.workspace.git import Store
from approvals import effects, policies, sealing
from memory.recall import recall, record_uses
from tests.approval_fixtures import approve, make_repository
from tests.memory_fixtures import kept
from tests.runtime_fixtures import make_plan, plan_step, result

if TYPE_CHECKING:
    from pathlib import Path

    from projects.models import Project, User


@dataclass
class Stories:
    """One task that was merged, one that waits for a signature, one for an answer, one at work."""

    merged: Task
    review: Task
    asking: Task
    working: Task


def tell(project: Project, requester: User, lead: User, folder: Path) -> Stories:
    """Let four tasks happen, each as far as it says."""
    policies.change(project, by=lead, undo_seconds=0)
    bare = make_repository(folder, project)
    merged = _proposed(project, requester, lead, folder, "Round once")
    approve(sealing.seal(merged.proposals.get()), lead)
    assert effects.carry_out_due("test") == 1, bare
    policies.change(project, by=lead, undo_seconds=60)
    review = _proposed(project, requester, lead, folder, "Say how tax is rounded")
    sealing.seal(review.proposals.get())
    asking = submit(project=project, requester=requester, request="Ask somebody").task
    _settle(_one(), NeedsHuman(rule=Rule.MAX_TURNS, detail="All turns are used."))
    working = submit(project=project, requester=requester, request="Work on it").task
    _settle(_one(), Finished(make_plan(plan_step("mend"), plan_step("then", "coder", "mend"))))
    _one()
    return Stories(*(Task.objects.get(pk=task.pk) for task in (merged, review, asking, working)))


def _proposed(project: Project, requester: User, lead: User, folder: Path, request: str) -> Task:
    task = submit(project=project, requester=requester, request=request).task
    store = Store.of(project)
    Task.objects.filter(pk=task.pk).update(base_commit=store.fetch())
    _settle(_one(), Finished(make_plan(plan_step("mend"))))
    _remember(project, lead, task, work := _one())
    workspace = Workspace(store, folder / f"{work.step.pk}")
    workspace.materialise(store.fetch())
    (workspace.folder / "README.md").write_text(f"{request}.\n")
    Step.objects.filter(pk=work.step.pk).update(base_commit=store.fetch())
    commit = store.commit(workspace.snapshot(), parents=[store.fetch()], message="Mend")
    _settle(work, Finished(result()), result_commit=commit)
    last = _one()
    assembly = assembling.prepare(materials.gather(last.step))
    draft = ProposalDraft(title=request, summary="It is done.", claims=[])
    verified = assembling.verify(assembly, draft)
    write = partial(assembling.publish, assembly=assembly, draft=draft, verified=verified)
    _settle(last, Finished(draft), publish=write)
    return task


def _remember(project: Project, lead: User, task: Task, work: Claimed) -> None:
    kept(project, f"Lesson of {task.label}: round the total once.", by=lead)
    found = recall(project, query="round the total once", agent_slug="coder")
    facts = {"task": task.pk, "step": work.step.pk, "attempt": 1, "agent_slug": "coder"}
    record_uses(found, **facts)


def _one() -> Claimed:
    (claimed,) = claim("worker-a", limit=1)
    return claimed


def _settle(claimed: Claimed, outcome: object, **more: object) -> None:
    assert settle(claimed.attempt, outcome, **more)


def escalate(task: Task) -> None:
    """Ask a person about a step at work."""
    step = task.steps.filter(state=StepState.LEASED).get()
    escalations.raise_for(step, rule=Rule.NO_PROGRESS, detail="Nothing changes.")
