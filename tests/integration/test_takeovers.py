"""A person hands in a step's files: checked in git, merged, and shown as that person's work."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from agents import assembling, escalations, materials, reopening
from agents.finishing import settle
from agents.messages import ProposalDraft, StepResult
from agents.models import Escalation, Hunk, Proposal, Step
from agents.models.tasks import Rule
from agents.runtime.claims import claim
from agents.runtime.contract import Finished, NeedsHuman
from agents.workspace.git import Store
from approvals import rights, sealing, snapshots
from approvals.selectors import needs_you
from projects.exceptions import InvalidInput
from projects.models import Membership, Project, User
from tests import runtime_fixtures
from tests.runtime_fixtures import claim_one, plan_step, planned
from tests.workspace_fixtures import git, grow, make_repository

if TYPE_CHECKING:
    from pathlib import Path

agents = runtime_fixtures.agents
task = runtime_fixtures.task
DRAFT = ProposalDraft(title="Land it", summary="It.")
FILES = {"a.txt": "one\ntwo\n" + "between\n" * 20 + "nine\nten\n", "b.txt": "b\n"}


@pytest.fixture
def work(project, tmp_path, settings) -> Path:
    """A person's clone of the project's repository."""
    settings.DATA_DIR = tmp_path / "data"
    make_repository(tmp_path / "origin.git", FILES)
    Project.objects.update(repository=str(tmp_path / "origin.git"))
    project.refresh_from_db()
    git(tmp_path, "clone", "-q", str(tmp_path / "origin.git"), "clone")
    return tmp_path / "clone"


@pytest.fixture
def store(work, project) -> Store:
    made = Store.of(project)
    made.fetch()
    return made


def push(work: Path, branch: str, **files: str) -> str:
    """Commit files on a new branch of main and push it, as a person would."""
    git(work, "checkout", "-q", "-B", branch, "origin/main")
    for name, text in files.items():
        (work / f"{name}.txt").write_text(text)
    git(work, "add", "-A")
    git(work, "commit", "-q", "-m", "By hand")
    git(work, "push", "-q", "-f", "origin", branch)
    return git(work, "rev-parse", "HEAD")


def asked_about(key: str, store: Store, *, base: str = "") -> Escalation:
    """Let the claimed step of this key go to a person after it began with this base."""
    step = Step.objects.get(key=key)
    Step.objects.filter(pk=step.pk).update(base_commit=base or store.fetch())
    settle(step.attempts.get(state="running"), NeedsHuman(rule=Rule.FAULT, detail="It tripped."))
    return Escalation.objects.select_related("step__task__project").get(step__key=key, state="open")


def finish(key: str, store: Store, **files: str) -> str:
    """Finish a claimed step that changed these files."""
    step, base = Step.objects.get(key=key), store.fetch()
    named = {f"{name}.txt": text for name, text in files.items()}
    commit = grow(store, base, named, at=step.created_at)
    Step.objects.filter(pk=step.pk).update(base_commit=base)
    done = Finished(StepResult(status="done", summary="Done."))
    assert settle(step.attempts.get(state="running"), done, result_commit=commit)
    return commit


def propose() -> Proposal:
    """Assemble and publish what is finished."""
    one = claim_one()
    assembly = assembling.prepare(materials.gather(one.step))
    assert not isinstance(assembly, NeedsHuman)
    verified = assembling.verify(assembly, DRAFT)
    write = partial(assembling.publish, assembly=assembly, draft=DRAFT, verified=verified)
    assert settle(one.attempt, Finished(DRAFT), publish=write)
    return Proposal.objects.latest("created_at")


CHANGED = FILES["a.txt"].replace("two", "TWO")
LATER = FILES["a.txt"].replace("nine", "NINE")


@pytest.mark.parametrize("name", ["branch", "refs/heads/branch", "commit"])
def test_hunks_of_what_a_person_handed_in_are_theirs(task, lead, store, work, name):
    planned(task, plan_step("a"), plan_step("b", "tester"))
    claim("worker-a", limit=9)
    finish("b", store, a=LATER)
    commit = push(work, "branch", a=CHANGED)
    named = commit if name == "commit" else name
    asked = asked_about("a", store)
    escalations.resolve(asked, choice="take_over", note="By hand.", commit=named, by=lead)
    step = Step.objects.get(key="a")
    assert step.result_commit not in {"", commit}
    assert store.is_ancestor(commit, step.result_commit)
    said = git(store.git_dir, "log", "-1", "--format=%an%n%B", step.result_commit)
    assert said.startswith("Dana Kim\n")
    assert "Taken over by Dana Kim." in said

    proposal = propose()
    theirs, agents_own = Hunk.objects.order_by("position")
    assert (theirs.author_step, theirs.author_attempt.worker) == (step, "person")
    assert agents_own.author_step.key == "b"
    (file,) = snapshots.files_of(proposal)
    authors = [hunk["author"] for hunk in file["hunks"]]
    assert [author.get("person") for author in authors] == ["Dana Kim", None]
    assert [author["agent"] for author in authors] == ["coder", "tester"]


def test_who_did_a_part_does_not_sign_it(task, lead, project, store, work):
    second = User.objects.create_user("ravi")
    Membership.objects.create(user=second, project=project, role="lead")
    planned(task, plan_step("a"))
    claim_one()
    push(work, "branch", a=CHANGED)
    asked = asked_about("a", store)
    escalations.resolve(asked, choice="take_over", note="x", commit="branch", by=lead)
    approval = sealing.seal(propose())
    assert "somebody else signs it" in rights.why_not(approval, lead)
    assert rights.why_not(approval, second) == ""
    assert (needs_you(lead).pending, len(needs_you(second).pending)) == ([], 1)


def test_work_on_an_older_main_is_merged_onto_the_base(task, requester, store, work):
    planned(task, plan_step("a"))
    claim_one()
    base = grow(store, store.fetch(), {"a.txt": LATER}, at=task.created_at)
    commit = push(work, "branch", a=CHANGED)
    asked = asked_about("a", store, base=base)
    escalations.resolve(asked, choice="take_over", note="x", commit="branch", by=requester)
    step = Step.objects.get(key="a")
    both = FILES["a.txt"].replace("two", "TWO").replace("nine", "NINE")
    assert store.blob(step.result_commit, "a.txt") == both.encode()
    assert store.is_ancestor(base, step.result_commit)
    assert store.is_ancestor(commit, step.result_commit)
    assert step.base_commit == base


def test_step_that_never_began_gets_the_base_it_would_have_had(task, requester, store, work):
    planned(task, plan_step("a"), plan_step("b", "tester", "a"))
    claim_one()
    before = finish("a", store, b="bee\n")
    claim_one()
    push(work, "branch", a=CHANGED)
    asked = asked_about("b", store)
    Step.objects.filter(key="b").update(base_commit="")
    asked.step.refresh_from_db()
    escalations.resolve(asked, choice="take_over", note="x", commit="branch", by=requester)
    step = Step.objects.get(key="b")
    assert step.base_commit == before
    assert store.is_ancestor(before, step.result_commit)
    proposal = propose()
    assert {file.path for file in proposal.files.all()} == {"a.txt", "b.txt"}


def test_words_alone_keep_what_was_done_before_in_the_proposal(task, requester, store):
    planned(task, plan_step("a"), plan_step("b", "tester", "a"))
    claim_one()
    finish("a", store, b="bee\n")
    claim_one()
    asked = asked_about("b", store)
    Step.objects.filter(key="b").update(base_commit="")
    escalations.resolve(asked, choice="take_over", note="Nothing to do.", by=requester)
    assert [file.path for file in propose().files.all()] == ["b.txt"]


def test_left_out_step_keeps_what_was_before_it_and_is_named(task, requester, store):
    planned(task, plan_step("a"), plan_step("b", "tester", "a"))
    claim_one()
    finish("a", store, b="bee\n")
    claim_one()
    asked = asked_about("b", store)
    escalations.resolve(asked, choice="go_on_without", note="No time.", by=requester)
    proposal = propose()
    assert [file.path for file in proposal.files.all()] == ["b.txt"]
    missing = "“Do b” (Tester agent) is missing. Left out by Mira Ode: No time."
    (warning,) = [one for one in proposal.warnings if one["kind"] == "step_left_out"]
    assert warning["text"] == missing
    assert proposal.summary == f"It.\n\nNot done: {missing}"
    approval = sealing.seal(proposal)
    assert any("step left out" in reason for reason in approval.snapshot["risk"]["reasons"])


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere", "no branch or commit"),
        ("0" * 40, "no branch or commit"),
        ("main", "holds nothing"),
        ("clash", "both change a.txt"),
        ("foreign", "no history in common"),
        ("--upload-pack=x", "no branch or commit"),
        ("a b", "no branch or commit"),
        ("\u202emain", "no branch or commit"),
        ("abc1234", "no branch or commit"),
    ],
)
def test_commit_that_cannot_be_taken_changes_nothing(task, requester, store, work, name, says):
    planned(task, plan_step("a"))
    claim_one()
    base = grow(store, store.fetch(), {"a.txt": LATER}, at=task.created_at)
    if name == "clash":
        push(work, "clash", a=FILES["a.txt"].replace("nine", "neuf"))
    if name == "foreign":
        git(work, "checkout", "-q", "--orphan", "foreign")
        git(work, "commit", "-q", "-m", "Another beginning")
        git(work, "push", "-q", "origin", "foreign")
    asked = asked_about("a", store, base=base)
    with pytest.raises(InvalidInput, match=says) as refusal:
        escalations.resolve(asked, choice="take_over", note="x", commit=name, by=requester)
    assert refusal.value.field == "commit"
    assert Escalation.objects.get().state == "open"
    assert Step.objects.get(key="a").state == "waiting_human"


def test_step_sent_again_goes_on_from_its_own_work(task, requester, store):
    planned(task, plan_step("a"), plan_step("b", "tester"))
    claim("worker-a", limit=9)
    first = finish("a", store, a=CHANGED)
    again = reopening.reopen(Step.objects.get(key="a"), note="And nine.", by=requester)
    assert list(again.needs.values_list("result_commit", flat=True)) == [first]
    finish("b", store, b="bee\n")
    claimed = claim_one()
    both = FILES["a.txt"].replace("two", "TWO").replace("nine", "NINE")
    commit = grow(store, first, {"a.txt": both}, at=task.created_at)
    Step.objects.filter(pk=again.pk).update(base_commit=first)
    settle(claimed.attempt, Finished(StepResult(status="done", summary="x")), result_commit=commit)
    propose()
    hunks = Hunk.objects.filter(file__path="a.txt").order_by("position")
    assert [hunk.author_step.key for hunk in hunks] == ["a", "a~2"]
