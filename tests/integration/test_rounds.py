"""Request changes opens work only for those who are asked; a moved main opens none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agents import rounds
from agents.events import Kind
from agents.finishing import settle
from agents.intake import submit
from agents.lifecycle import StepState, TaskState
from agents.messages import ProposalDraft
from agents.models import Event, FileChange, Hunk, Proposal, Step, Task
from agents.runtime.claims import claim
from agents.runtime.contract import Finished
from projects.exceptions import InvalidInput, TransitionRefused
from tests import runtime_fixtures
from tests.runtime_fixtures import plan_step, planned, result, state_of

if TYPE_CHECKING:
    from agents.writing import Writes

agents = runtime_fixtures.agents
DRAFT = Finished(ProposalDraft(title="Land it", summary="It."))


def publish(writes: Writes, step: Step, version: int) -> None:
    """Put up a proposal as the assembly would, without a repository."""
    task = step.task
    facts = {"kind": "report", "title": "x", "summary": "x", "model": "x"}
    writes.add([Proposal(task=task, round=task.round, version=version, **facts)])
    writes.move_step(step, StepState.DONE)
    writes.move_task(task, TaskState.REVIEW, kind=Kind.TASK_STATE, data={})


def finish_all(*, by: str = "worker-a") -> None:
    """Carry every step that becomes ready to a result."""
    while ready := claim(by, limit=9):
        for one in ready:
            if one.step.kind == "assemble":
                settle(one.attempt, DRAFT, publish=publish)
            else:
                settle(one.attempt, Finished(result()))


@pytest.fixture
def task(agents, project, requester) -> Task:
    task = submit(project=project, requester=requester, request="Fix it").task
    planned(
        task,
        plan_step("fix"),
        plan_step("cover", "tester", "fix"),
        plan_step("docs", "tech-writer"),
    )
    finish_all()
    task.refresh_from_db()
    assert task.state == "review"
    return task


def ask(*slugs: str, note: str = "Again.") -> list[rounds.Feedback]:
    return [rounds.Feedback(agent_slug=slug, note=note, by="Dana Kim") for slug in slugs]


def made_in(number: int) -> dict[str, tuple[str, int]]:
    steps = Step.objects.filter(round=number)
    return {step.key: (step.state, step.waits) for step in steps}


def test_only_the_agent_that_was_asked_works_again(task, lead):
    rounds.open_next(task, feedback=ask("tech-writer"), by=lead)
    assert (task.state, task.round) == ("working", 2)
    assert made_in(2) == {"docs": ("ready", 0), "assemble": ("waiting", 1)}
    step = Step.objects.get(round=2, key="docs")
    assert step.feedback == [
        {"note": "Again.", "path": "", "hunk": "", "by": "Dana Kim", "round": 1}
    ]
    assert step.version == Step.objects.get(round=1, key="docs").version
    event = Event.objects.get(kind="round.started")
    assert (event.data["round"], event.data["steps"]) == (2, ["docs"])
    finish_all()
    assert state_of(task) == "review"


def test_those_asked_keep_the_order_of_the_plan(task, lead):
    rounds.open_next(task, feedback=ask("tester", "coder"), by=lead)
    assert made_in(2) == {"fix": ("ready", 0), "cover": ("waiting", 1), "assemble": ("waiting", 2)}
    finish_all()
    task.refresh_from_db()
    # In round 3 the newest work of each is opened, whichever round it is from.
    rounds.open_next(task, feedback=ask("coder"), by=lead)
    finish_all()
    task.refresh_from_db()
    assert made_in(3) == {"fix": ("done", 0), "assemble": ("done", 0)}


def test_order_holds_when_the_dependency_is_from_an_older_round(task, lead):
    task.limits["rounds"] = 5
    task.save(update_fields=["limits"])
    rounds.open_next(task, feedback=ask("tester"), by=lead)
    finish_all()
    task.refresh_from_db()
    rounds.open_next(task, feedback=ask("tester", "coder"), by=lead)
    assert made_in(3)["cover"] == ("waiting", 1)


def test_hunk_goes_to_the_step_that_wrote_it(task, lead):
    proposal = Proposal.objects.get()
    file = FileChange.objects.create(proposal=proposal, position=0, path="a.py", status="modified")
    hunk = Hunk.objects.create(
        file=file,
        position=0,
        old_start=1,
        old_lines=1,
        new_start=1,
        new_lines=1,
        text="-a\n+b\n",
        digest="0" * 64,
        author_step=Step.objects.get(key="fix"),
    )
    asked = rounds.Feedback(agent_slug="coder", note="No.", hunk=hunk, by="Dana Kim")
    rounds.open_next(task, feedback=[asked, *ask("coder", note="And more.")], by=lead)
    feedback = Step.objects.get(round=2, key="fix").feedback
    assert [(item["note"], item["path"], item["hunk"]) for item in feedback] == [
        ("No.", "a.py", "-a\n+b\n"),
        ("And more.", "", ""),
    ]


def test_word_to_everybody_reaches_all_who_worked(task, lead):
    rounds.open_next(task, feedback=ask(""), by=lead)
    assert set(made_in(2)) == {"fix", "cover", "docs", "assemble"}


def test_word_to_the_aggregator_opens_no_work(task, lead):
    rounds.open_next(task, feedback=ask("aggregator"), by=lead)
    assert made_in(2) == {"assemble": ("ready", 0)}
    assert Step.objects.get(round=2).feedback[0]["note"] == "Again."


@pytest.mark.parametrize("slugs", [["nobody"], ["router"], []])
def test_feedback_that_reaches_nobody_is_refused(task, lead, slugs):
    with pytest.raises(InvalidInput):
        rounds.open_next(task, feedback=ask(*slugs), by=lead)
    assert state_of(task) == "review"


@pytest.mark.parametrize(("used", "left"), [(1, True), (2, True), (3, False), (4, False)])
def test_rounds_run_out_at_the_limit(task, lead, used, left):
    Task.objects.update(round=used)
    task.refresh_from_db()
    assert rounds.may_open_next(task) is left
    if not left:
        with pytest.raises(rounds.RoundsExhausted):
            rounds.open_next(task, feedback=ask("coder"), by=lead)


def test_round_opens_once(task, lead):
    stale = Task.objects.get()
    rounds.open_next(task, feedback=ask("coder"), by=lead)
    with pytest.raises(TransitionRefused):
        rounds.open_next(stale, feedback=ask("tester"), by=lead)
    assert set(made_in(2)) == {"fix", "assemble"}


def test_proposing_again_assembles_the_same_round_anew(task, lead):
    rounds.propose_again(task, by=lead)
    assert made_in(1)["assemble-2"] == ("ready", 0)
    finish_all()
    task.refresh_from_db()
    assert (task.state, task.round) == ("review", 1)
    assert list(Proposal.objects.values_list("round", "version")) == [(1, 1), (1, 2)]
    rounds.propose_again(task, by=None)
    assert made_in(1)["assemble-3"] == ("ready", 0)


def test_proposing_again_is_refused_outside_review(task, lead):
    Task.objects.update(state="executing")
    task.refresh_from_db()
    with pytest.raises(TransitionRefused):
        rounds.propose_again(task, by=lead)
