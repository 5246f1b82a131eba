"""The bundled story through a real worker process: nothing between request and proposal is faked."""

from __future__ import annotations

import pytest

from agents import rounds
from agents.intake import submit
from agents.models import Attempt, Hunk, Proposal, Step, Task
from agents.seeding import seed_agents
from agents.workspace.demo import CHECKS_COMMAND, SCENARIO, create_demo_repository
from tests.worker_fixtures import Workers, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def task(project, requester, tmp_path) -> Task:
    seed_agents()
    create_demo_repository(tmp_path / "demo.git")
    project.repository = str(tmp_path / "demo.git")
    project.checks_command, project.allow_rlimits_only = CHECKS_COMMAND, True
    project.bundled = True
    project.save()
    return submit(project=project, requester=requester, request=SCENARIO.example).task


def verdicts(number: int) -> dict[str, str]:
    claims = Proposal.objects.get(round=number).claims.all()
    return {claim.check_spec["kind"]: claim.verdict for claim in claims}


def test_story_contradicts_a_claim_and_proves_it_in_the_second_round(task, lead, tmp_path):
    with Workers(tmp_path, COUNTERSIGN_MODEL="rehearsal") as workers:
        workers.start("rehearsing")
        until(lambda: Task.objects.get().state == "review", 90)
        first = Proposal.objects.get()
        assert (first.checks["ran"], first.checks["failed"]) == (True, 0)
        assert verdicts(1)["text_absent"] == "contradicted"
        assert verdicts(1)["checks_pass"] == verdicts(1)["file_unchanged"] == "proven"
        path, line = SCENARIO.hidden
        hidden = [w for w in first.warnings if w["kind"] == "hidden_character"]
        assert [(w["path"], w["line"]) for w in hidden] == [(path, line)]
        assert {hunk.author_step.agent.slug for hunk in Hunk.objects.all()} == {
            "coder",
            "tester",
            "tech-writer",
        }
        hunk = Hunk.objects.filter(file__path=path).first()
        asked = rounds.Feedback(
            agent_slug="tech-writer", note="Line 12 still says half up.", hunk=hunk, by="Dana Kim"
        )
        rounds.open_next(Task.objects.get(), feedback=[asked], by=lead)
        until(lambda: Proposal.objects.filter(round=2).exists(), 90)
    assert verdicts(2)["text_absent"] == "proven"
    assert not [w for w in Proposal.objects.get(round=2).warnings if w["kind"] != "outside_plan"]
    assert set(Step.objects.filter(round=2).values_list("key", flat=True)) == {
        Step.objects.get(round=1, agent__slug="tech-writer").key,
        "assemble",
    }
    assert {attempt.state for attempt in Attempt.objects.all()} == {"finished"}
    assert Task.objects.get().input_tokens == 0
