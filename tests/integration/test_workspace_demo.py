"""The bundled repository tells the story the rehearsal plays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agents.messages import Check, StatedClaim
from agents.workspace.checks import run_checks
from agents.workspace.claims import verify
from agents.workspace.demo import CHECKS_COMMAND, SCENARIO, create_demo_repository
from agents.workspace.files import Workspace
from agents.workspace.git import Store
from projects import characters
from tests.workspace_fixtures import git

if TYPE_CHECKING:
    from pathlib import Path


class Project:
    checks_command = CHECKS_COMMAND
    allow_rlimits_only = True


@pytest.fixture
def store(tmp_path: Path) -> Store:
    repository = create_demo_repository(tmp_path / "demo" / "billing.git")
    return Store(tmp_path / "store.git", repository=str(repository), main="main")


def _apply(workspace: Workspace, *edits) -> str:
    for edit in edits:
        text = (workspace.folder / edit.path).read_text()
        assert text.count(edit.old) == 1, edit
        workspace.write(edit.path, text.replace(edit.old, edit.new).encode())
    return workspace.snapshot()


def test_the_repository_is_the_same_every_time(tmp_path, store):
    again = create_demo_repository(tmp_path / "again.git")
    assert git(again, "rev-parse", "main") == store.fetch()
    assert git(again, "fsck", "--strict", "--full") == ""
    assert git(again, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert create_demo_repository(again) == again
    assert sorted(each.name for each in tmp_path.iterdir()) == ["again.git", "demo", "store.git"]
    assert git(again, "log", "--format=%an %s") == "Billing team Bill orders and refund them"


def test_one_test_fails_until_the_bug_is_fixed(tmp_path, store):
    head = store.fetch()
    report = run_checks(Project(), store, head)
    assert (report.passed, report.failed) == (12, 1)
    assert "FAIL: test_tax_is_rounded_once_on_the_total" in report.output_tail
    workspace = Workspace(store, tmp_path / "ws" / "step")
    workspace.materialise(head)
    fixed = run_checks(Project(), store, _apply(workspace, *SCENARIO.fix))
    assert (fixed.passed, fixed.failed) == (13, 0)
    covered = run_checks(Project(), store, _apply(workspace, *SCENARIO.cover))
    assert (covered.passed, covered.failed, covered.green) == (14, 0, True)


def test_the_added_test_fails_without_the_fix(tmp_path, store):
    workspace = Workspace(store, tmp_path / "ws" / "step")
    workspace.materialise(store.fetch())
    report = run_checks(Project(), store, _apply(workspace, *SCENARIO.cover))
    assert report.failed == 2


def test_one_place_of_the_docs_hides_from_a_plain_search(tmp_path, store):
    head = store.fetch()
    path, line = SCENARIO.hidden
    text = (store.blob(head, path) or b"").decode()
    assert [(each.line, each.codepoint) for each in characters.scan(text)] == [(line, "U+200B")]
    assert SCENARIO.search in text.splitlines()[4]
    assert SCENARIO.search not in text.splitlines()[line - 1]
    everything = [entry.path for entry in store.paths(head)]
    others = [
        each
        for each in everything
        if each != path and characters.scan((store.blob(head, each) or b"").decode())
    ]
    assert others == []


def test_the_claim_of_round_one_is_contradicted_and_that_of_round_two_proven(tmp_path, store):
    head = store.fetch()
    workspace = Workspace(store, tmp_path / "ws" / "step")
    workspace.materialise(head)
    check = Check(kind="text_absent", text=SCENARIO.search, paths=["docs/**"])
    claim = StatedClaim(text="The old rule is gone from the docs.", check=check)
    checks = run_checks(Project(), store, head)
    first = _apply(workspace, *SCENARIO.describe)
    path, line = SCENARIO.hidden
    assert SCENARIO.search not in (workspace.folder / path).read_text()
    assert verify(claim, store=store, base=head, head=first, checks=checks) == (
        "contradicted",
        f"{path}:{line} has “half⟨U+200B⟩ up”",
    )
    rows = (workspace.folder / path).read_text().splitlines()
    rows[line - 1] = SCENARIO.reworded
    workspace.write(path, ("\n".join(rows) + "\n").encode())
    second = workspace.snapshot()
    verdict, evidence = verify(claim, store=store, base=head, head=second, checks=checks)
    assert (verdict, evidence) == ("proven", "No “half up” in 2 files matching docs/**")
    unchanged = Check(kind="file_unchanged", path=SCENARIO.unchanged)
    kept = StatedClaim(text="Refunds are as they were.", check=unchanged)
    assert verify(kept, store=store, base=head, head=second, checks=checks)[0] == "proven"


@pytest.mark.parametrize(
    "request_text",
    [
        SCENARIO.example,
        "fix the billing bug and update the docs.",
        "Please correct the tax rounding, then update documentation",
        "Fix rounding (tax) and the docs!",
    ],
)
def test_a_request_for_the_story_is_recognised(request_text):
    assert SCENARIO.fits(request_text)


@pytest.mark.parametrize(
    "request_text",
    [
        "Add a login page",
        "Fix the billing bug",
        "Update the docs",
        "What does the billing service do?",
        "",
        "prefix billingbug docs",
    ],
)
def test_other_requests_are_not(request_text):
    assert not SCENARIO.fits(request_text)
