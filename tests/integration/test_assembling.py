"""What a reviewer must see of a change is found in git objects, not taken from agents."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agents import assembling, cautions, materials
from agents.finishing import settle
from agents.messages import Check, ProposalDraft, RaisedRisk, StatedClaim, StepResult
from agents.models import Claim, Proposal, Step
from agents.runtime import preparing
from agents.runtime.claims import claim
from agents.runtime.contract import Finished, NeedsHuman
from agents.workspace.demo import create_demo_repository
from agents.workspace.files import Workspace
from agents.workspace.git import Store
from approvals import sealing
from projects.models import Project
from tests import runtime_fixtures
from tests.runtime_fixtures import claim_one, plan_step, planned, state_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.assembling import Assembly, Material

agents = runtime_fixtures.agents
task = runtime_fixtures.task
DRAFT = ProposalDraft(title="Land it", summary="It.")
CHANGED = StatedClaim(
    text="README is untouched.", check=Check(kind="file_unchanged", path="README.md")
)


@pytest.fixture
def store(project, tmp_path, settings) -> Store:
    settings.DATA_DIR = tmp_path / "data"
    create_demo_repository(tmp_path / "demo.git")
    Project.objects.update(repository=str(tmp_path / "demo.git"))
    project.refresh_from_db()
    made = Store.of(project)
    made.fetch()
    return made


def work(store: Store, step: Step, files: dict[str, bytes | None], *claims: StatedClaim) -> None:
    """Finish a claimed work step that leaves these files (None: deleted)."""
    base = store.main_now()
    workspace = Workspace(store, store.git_dir.parent / f"w-{step.pk}")
    workspace.materialise(base)
    for path, content in files.items():
        place = workspace.folder / path
        if content is None:
            place.unlink()
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
    commit = store.commit(workspace.snapshot(), parents=[base], message="x")
    Step.objects.filter(pk=step.pk).update(base_commit=base)
    said = StepResult(status="done", summary="Done.", claims=list(claims))
    settle(step.attempts.get(), Finished(said), result_commit=commit)


def assemble() -> tuple[Material, Assembly | NeedsHuman]:
    step = claim_one().step
    material = materials.gather(step)
    return material, assembling.prepare(material)


@pytest.mark.parametrize(
    ("files", "kinds"),
    [
        ({"a.txt": b"fine\n"}, set()),
        ({"a.txt": b"half\xe2\x80\x8b up\n"}, {"hidden_character"}),
        ({"a.py": b"key = 'AKIAIOSFODNN7EXAMPLQ'\n"}, {"secret"}),
        ({"a.bin": b"\0\1\2"}, {"binary"}),
        ({"tests/test_refunds.py": None}, {"deleted_test"}),
        ({"a.txt": b"<<<<<<< ours\na\n=======\nb\n>>>>>>> theirs\n"}, {"conflict_mark"}),
    ],
)
def test_change_carries_its_warnings(task, store, files, kinds):
    planned(task, plan_step("a"))
    work(store, claim_one().step, files)
    _, made = assemble()
    assert {warning["kind"] for warning in made.warnings} == kinds


def test_file_outside_the_plan_is_pointed_out(task, store):
    planned(task, plan_step("a").model_copy(update={"files": ["docs/**"]}))
    work(store, claim_one().step, {"docs/new.md": b"x\n", "billing/new.py": b"x = 1\n"})
    _, made = assemble()
    assert [(w["kind"], w["path"]) for w in made.warnings] == [("outside_plan", "billing/new.py")]


def test_file_moved_from_outside_the_plan_is_pointed_out(task, store):
    planned(task, plan_step("a").model_copy(update={"files": ["docs/**"]}))
    readme = store.blob(store.main_now(), "README.md")
    work(store, claim_one().step, {"README.md": None, "docs/README.md": readme})
    _, made = assemble()
    (found,) = made.warnings
    assert (found["kind"], found["path"]) == ("outside_plan", "docs/README.md")
    assert found["text"].startswith("The plan did not mention README.md, from which")


def test_a_step_without_files_lets_no_other_go_beyond_its_own(task, store):
    docs = plan_step("a").model_copy(update={"files": ["docs/**"]})
    planned(task, docs, plan_step("b"))
    for _ in range(2):
        step = claim_one().step
        work(store, step, {f"docs/{step.key}.md": b"x\n", f"core/{step.key}.py": b"x = 1\n"})
    _, made = assemble()
    assert [(w["kind"], w["path"]) for w in made.warnings] == [("outside_plan", "core/a.py")]


def test_a_step_that_does_what_was_planned_for_another_is_pointed_out(task, store):
    plan = [("a", "docs/**"), ("b", "core/**")]
    planned(task, *(plan_step(key).model_copy(update={"files": [glob]}) for key, glob in plan))
    for files in ({"docs/x.md": b"x\n", "core/x.py": b"x = 1\n"}, {"core/y.py": b"y = 1\n"}):
        step = claim_one().step
        assert step.key == ("a" if "docs/x.md" in files else "b")
        work(store, step, files)
    _, made = assemble()
    (found,) = made.warnings
    assert (found["kind"], found["path"]) == ("outside_plan", "core/x.py")
    assert "did not mention this file for “" in found["text"]


def test_a_person_s_commit_is_held_against_the_whole_plan(task, store):
    planned(task, plan_step("a").model_copy(update={"files": ["docs/**"]}))
    work(store, claim_one().step, {"docs/x.md": b"x\n", "core/x.py": b"x = 1\n"})
    material = materials.gather(claim_one().step)
    made = assembling.prepare(replace(material, contributions=[]))
    assert [(w["kind"], w["path"]) for w in made.warnings] == [("outside_plan", "core/x.py")]


def test_warnings_of_a_flood_are_cut_and_counted(task, store):
    planned(task, plan_step("a"))
    flood = {f"f{n}.txt": b"a\xe2\x80\x8b\n" * 30 for n in range(25)}
    work(store, claim_one().step, {**flood, "z.py": b"key = 'AKIAIOSFODNN7EXAMPLQ'\n"})
    _, made = assemble()
    kinds = Counter(warning["kind"] for warning in made.warnings)
    assert kinds == {"secret": 1, "hidden_character": cautions.MOST - 1, "more": 25}
    assert made.warnings[0]["kind"] == "secret"
    assert made.warnings[-1]["text"] == "29 more are not listed: 29 hidden characters."


def test_a_file_of_other_line_endings_is_told_and_none_is_low(task, store):
    planned(task, plan_step("a"))
    readme = store.blob(store.main_now(), "README.md")
    work(store, claim_one().step, {"README.md": readme.replace(b"\n", b"\r\n")})
    _, made = assemble()
    assert [warning["kind"] for warning in made.warnings] == ["line_endings"]


def test_claim_the_aggregator_left_out_is_checked_all_the_same(task, store):
    planned(task, plan_step("a"))
    work(store, claim_one().step, {"README.md": b"other\n"}, CHANGED)
    material, made = assemble()
    verified = assembling.verify(made, DRAFT)
    assert [(one.claim.text, one.verdict, one.step.key) for one in verified] == [
        ("README is untouched.", "contradicted", "a")
    ]
    in_draft = DRAFT.model_copy(update={"claims": [CHANGED]})
    assert len(assembling.verify(made, in_draft)) == 1
    assert material.latest[0].key == "a"


def test_words_that_the_check_does_not_fit_are_not_proven(task, store):
    planned(task, plan_step("a"))
    everything = Check(kind="only_files", paths=["**"])
    anything = Check(kind="text_present", text="e")
    said = (
        StatedClaim(text="All 212 tests pass, and nothing else changed.", check=everything),
        StatedClaim(text="No secret was added.", check=anything),
    )
    key = b"key = 'AKIAIOSFODNN7EXAMPLQ'\n"
    work(store, claim_one().step, {"README.md": key}, *said)
    _, made = assemble()
    told = {one.claim.text: (one.verdict, one.evidence) for one in assembling.verify(made, DRAFT)}
    assert told == {
        said[0].text: ("contradicted", f"Our checks did not run: {made.checks.why_not}"),
        said[1].text: ("contradicted", "README.md:1 may hold a secret"),
    }


def test_claim_keeps_the_words_and_the_check_of_the_agent(task, store):
    planned(task, plan_step("a"))
    work(store, claim_one().step, {"README.md": b"other\n"}, CHANGED)
    _, made = assemble()
    softer = CHANGED.model_copy(update={"text": "README is nearly untouched."})
    weaker = CHANGED.model_copy(update={"check": Check(kind="none")})
    draft = DRAFT.model_copy(update={"claims": [softer, weaker]})
    verified = assembling.verify(made, draft)
    assert [(one.claim, one.verdict) for one in verified] == [(CHANGED, "contradicted")]


@pytest.mark.parametrize(
    ("before", "now", "kept"),
    [
        ("high", None, ("high", "Before.")),
        ("high", "medium", ("high", "Before.")),
        ("medium", "high", ("high", "Now.")),
        ("high", "high", ("high", "Now.")),
    ],
)
def test_a_model_that_is_asked_again_lowers_no_risk_of_the_round(task, before, now, kept):
    said = {"task": task, "round": 1, "kind": "report", "title": "T", "summary": "S", "model": "m"}
    Proposal.objects.create(**said, raised_to=before, raised_why="Before.")
    Proposal.objects.create(**{**said, "round": 2}, raised_to="high", raised_why="Another round.")
    risk = RaisedRisk(to=now, why="Now.") if now else None
    draft = DRAFT.model_copy(update={"raised_risk": risk})
    task.round = 1
    raised = assembling._raised(task, draft, 2)
    assert (raised["raised_to"], raised["raised_why"]) == kept


def test_proposal_names_its_commits_and_its_versions(task, store):
    planned(task, plan_step("a"))
    work(store, claim_one().step, {"a.py": b"x = 1\n", "b.txt": b"x\n"}, CHANGED)
    (one,) = claim("worker-a", limit=1)
    made = assembling.prepare(materials.gather(one.step))
    verified = assembling.verify(made, DRAFT)
    raised = RaisedRisk(to="high", why="All invoices\0 of May are sent again.")
    draft = DRAFT.model_copy(update={"raised_risk": raised})
    assert settle(
        one.attempt,
        Finished(draft),
        publish=partial(assembling.publish, assembly=made, draft=draft, verified=verified),
    )
    proposal = Proposal.objects.get()
    assert (proposal.base_commit, proposal.kind) == (store.main_now(), "change")
    assert store.tree_of(proposal.head_commit) == proposal.tree
    assert store.is_ancestor(proposal.base_commit, proposal.head_commit)
    assert Claim.objects.get().verdict == "proven"
    assert proposal.raised_why == "All invoices\ufffd of May are sent again."
    assert sealing.seal(proposal).risk == "high"
    assert [file.hunks.get().colours for file in proposal.files.all()] == ["-4n1", ""]
    assert (state_of(task), proposal.model) == ("review", "rehearsal")
    # A second delivery of the same end writes nothing.
    assert not settle(one.attempt, Finished(DRAFT), publish=lambda *_: pytest.fail("twice"))


def test_main_that_moved_is_merged_in(task, store):
    planned(task, plan_step("a"))
    work(store, claim_one().step, {"a.txt": b"x\n"})
    base = store.main_now()
    tree = store.write_tree([e for e in store.paths(base) if e.path != "CHANGELOG.md"])
    moved = store.commit(tree, parents=[base], message="Drop the changelog")
    store.push_main(moved, expected=base)
    _, made = assemble()
    assert made.base == moved
    assert [file.path for file in made.diffs] == ["a.txt"]


def test_a_change_that_main_has_already_is_a_report_that_says_so(task, store):
    planned(task, plan_step("a"))
    work(store, claim_one().step, {"a.txt": b"x\n"})
    base = store.main_now()
    commit = Step.objects.get(key="a").result_commit
    moved = store.commit(store.tree_of(commit), parents=[base], message="The same, by another")
    store.push_main(moved, expected=base)
    _, made = assemble()
    assert made.diffs == []
    (warning,) = made.warnings
    assert warning["kind"] == "no_change"
    assert "Main has already what was changed" in warning["text"]


def test_main_that_moved_onto_the_same_lines_is_a_conflict(task, store):
    planned(task, plan_step("a"))
    work(store, claim_one().step, {"README.md": b"ours\n"})
    base = store.main_now()
    (blob,) = store.write_blobs([store.git_dir / "HEAD"])
    entries = [e for e in store.paths(base) if e.path != "README.md"]
    entries.append(type(entries[0])("README.md", "100644", blob))
    moved = store.commit(store.write_tree(entries), parents=[base], message="Rewrite")
    store.push_main(moved, expected=base)
    _, conflict = assemble()
    assert isinstance(conflict, NeedsHuman)
    assert (conflict.rule, conflict.evidence["files"]) == ("conflict", ["README.md"])
    assert "main, which has moved since" in conflict.detail


def test_checks_end_when_the_step_is_taken_away(task, store):
    Project.objects.update(checks_command="sleep 287.5", allow_rlimits_only=True)
    planned(task, plan_step("a"))
    work(store, claim_one().step, {"a.txt": b"fine\n"})
    material = materials.gather(claim_one().step)

    async def take_away() -> None:
        assembled = asyncio.create_task(preparing.assembled(material))
        await _until(lambda: _runs("287.5"))
        assembled.cancel()
        await _until(lambda: not _runs("287.5"))

    asyncio.run(take_away())


async def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.05)


def _runs(command: str) -> bool:
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if command in process.read_text(errors="replace"):
                return True
    return False
