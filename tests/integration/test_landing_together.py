"""Several changes approved in one act land one after the other, each on the main the last one made."""

from __future__ import annotations

import pytest

from agents.intake import submit
from agents.messages import ProposalDraft, StepResult
from agents.models import Task
from agents.runtime.contract import Finished, Outcome, Work
from agents.runtime.database import in_db
from approvals import bulk, effects, following, policies, sealing
from approvals.bulk import Seen
from approvals.models import Approval, Effect, Signature
from countersign import invariants
from projects.models import AuditEntry, Project
from tests import loop_fixtures, runtime_fixtures
from tests.approval_fixtures import git
from tests.loop_fixtures import running, until
from tests.runtime_fixtures import make_plan, plan_step

agents = runtime_fixtures.agents
task = loop_fixtures.task
pytestmark = pytest.mark.django_db(transaction=True)
SEVERAL = 5


@pytest.fixture
def tasks(task, project, requester, lead, monkeypatch) -> list[Task]:
    """Return five that write notes of their own, of which the fourth and a sixth write in README."""
    monkeypatch.setattr(following, "FIRST_WAIT", 0.0)
    policies.change(project, by=lead, undo_seconds=0, money_paths=[])
    Project.objects.update(checks_command="python -m compileall -q billing")
    asked = [f"Write note {number}" for number in range(1, SEVERAL + 1)]
    made = [submit(project=project, requester=requester, request=text).task for text in asked]
    Task.objects.update(model="openai:any")
    Task.objects.filter(pk=task.pk).update(request="Write at the end")
    return [*made, task]


async def write(work: Work) -> Outcome:
    """Think as a model that writes what it was asked for."""
    request = work.step.task.request
    if work.step.kind == "route":
        return Finished(make_plan(plan_step("fix")))
    if work.step.kind != "work":
        return Finished(ProposalDraft(title=request, summary=f"{request}."))
    readme = work.workspace.resolve("README.md")
    if request == "Write at the end":
        readme.write_text(f"{readme.read_text()}\nThe end.\n")
    elif request == "Write note 4":
        readme.write_text(f"Note 4.\n\n{readme.read_text()}")
    else:
        note = work.workspace.resolve(f"{request[-1]}.txt")
        note.write_text(f"{request}.\n")
    return Finished(StepResult(status="done", summary="Wrote it."))


def all_in(state: str, count: int):
    return lambda: Task.objects.filter(state=state).count() == count


def pending() -> list[Approval]:
    return list(Approval.objects.filter(state="pending").order_by("task__number"))


def turn() -> int:
    """Do what an effects worker does in a turn; return how many tasks are done."""
    effects.carry_out_due("worker")
    following.follow({})
    sealing.seal_ready()
    return Task.objects.filter(state="done").count()


async def test_all_of_one_act_land_and_what_shares_a_file_is_asked_anew(tasks, lead, tmp_path):
    sixth = tasks[-1]
    bare = tmp_path / "demo.git"
    async with running(write):
        await until(all_in("review", SEVERAL + 1), 90)

        def approve() -> None:
            assert sealing.seal_ready() == SEVERAL + 1
            seen = [Seen(id=e.pk, digest=e.digest, nonce=e.nonce) for e in pending()]
            results = bulk.approve(seen, by=lead)
            assert {each.outcome for each in results} == {"approved"}

        await in_db(approve)
        await until(lambda: turn() >= SEVERAL and pending(), 120)

    def check() -> None:
        assert set(Task.objects.filter(state="done")) | {asked_anew()} == set(tasks)
        assert asked_anew() in {sixth, tasks[3]}  # whichever came second
        assert Signature.objects.filter(carried_from=None).count() == SEVERAL + 1
        assert Effect.objects.filter(state="done").count() == SEVERAL
        (again,) = pending()
        assert not again.signatures.exists()
        assert again.snapshot["asked_again"]["path"] == "README.md"
        files = git(bare, "ls-tree", "--name-only", "main").split()
        assert {"1.txt", "2.txt", "3.txt", "5.txt"} <= set(files)
        merges = git(bare, "log", "--first-parent", "--format=%an", "main").split("\n")
        assert merges.count("Countersign") == SEVERAL
        assert AuditEntry.objects.filter(action="approval.signatures_held").count() >= SEVERAL - 1
        assert not AuditEntry.objects.filter(action="approval.approve", actor=None).exists()
        broken = [each.check.name for each in invariants.verify() if not each.holds]
        assert broken in ([], ["audit-anchors"])

    def asked_anew() -> Task:
        return pending()[0].task

    await in_db(check)
