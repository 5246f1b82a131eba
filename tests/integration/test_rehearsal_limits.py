"""Where a rehearsal stops: other requests, other files, feedback it cannot read."""

from __future__ import annotations

import pytest

from agents.models import Event
from agents.runtime.database import in_db
from agents.workspace.demo import SCENARIO
from tests.integration.test_rehearsal import _play, demo, task

__all__ = ["demo", "task"]  # the fixtures of the story

pytestmark = pytest.mark.django_db(transaction=True)


def feedback(note: str, path: str) -> list[dict]:
    return [{"note": note, "path": path, "hunk": "", "by": "Dana Kim", "round": 1}]


async def _second_round(task, slug: str, key: str, note: str, path: str):
    _, made, _ = await _play(task, slug, key=key)
    await in_db(lambda: task.steps.update(round=0))
    return await _play(task, slug, key=key, commit=made, feedback=feedback(note, path))


async def test_the_coder_explains_when_asked_to(task) -> None:
    note = "Please add a comment that says why."
    result, _, work = await _second_round(task, "coder", "fix-rounding", note, "billing/invoice.py")
    assert result.status == "done", result.summary
    text = (work.workspace.folder / "billing/invoice.py").read_text()
    assert "# Each line keeps its exact tax" in text
    assert "13 passed, 0 failed" in result.summary


async def test_feedback_without_a_known_word_is_not_interpreted(task) -> None:
    note = "I would rather see a decorator."
    result, _, _work = await _second_round(
        task, "coder", "fix-rounding", note, "billing/invoice.py"
    )
    assert result.status == "blocked"
    assert result.summary.startswith("A rehearsal cannot interpret free feedback")
    assert "COUNTERSIGN_MODEL" in result.summary


async def test_the_tester_adds_a_negative_case_when_asked_to(task) -> None:
    _, mended, _ = await _play(task, "coder", key="fix-rounding")
    _, covered, _ = await _play(task, "tester", key="cover-rounding", commit=mended)
    await in_db(lambda: task.steps.update(round=0))
    asked = feedback("Please add a negative amount.", "tests/test_invoice.py")
    result, _, _ = await _play(task, "tester", key="cover-rounding", commit=covered, feedback=asked)
    assert result.status == "done", result.summary
    assert "test_a_negative_tie_goes_to_the_even_cent" in result.summary


@pytest.mark.parametrize(
    ("slug", "key", "path"),
    [
        ("coder", "fix-rounding", "billing/invoice.py"),
        ("tester", "cover-rounding", "tests/test_invoice.py"),
        ("tech-writer", "describe-rounding", "docs/rounding.md"),
    ],
)
async def test_files_that_look_different_are_left_alone(task, slug, key, path) -> None:
    def spoil():
        from agents.workspace.files import Workspace
        from agents.workspace.git import Store
        from tests.thinking_fixtures import make_step

        store = Store.of(task.project)
        workspace = Workspace.for_step(make_step(task, slug, key="spoil"))
        workspace.materialise(store.fetch())
        workspace.write(path, b"def broken(:\n")
        return store.commit(workspace.snapshot(), parents=[store.fetch()], message="Spoil")

    spoiled = await in_db(spoil)
    result, _, work = await _play(task, slug, key=key, commit=spoiled)
    assert result.status == "blocked", result.summary
    assert (work.workspace.folder / path).read_bytes() == b"def broken(:\n"


async def test_a_mended_repository_has_nothing_left_to_mend(task) -> None:
    _, mended, _ = await _play(task, "coder", key="fix-rounding")
    await in_db(lambda: task.steps.update(round=0))
    result, _, _ = await _play(task, "coder", key="fix-rounding", commit=mended)
    assert result.status == "blocked"
    assert "pass already (13 passed, 0 failed)" in result.summary


@pytest.mark.parametrize(
    ("request_", "bundled"),
    [("Why are partial refunds rounded down?", True), (SCENARIO.example, False)],
)
async def test_any_other_request_is_searched_and_quoted(task, request_, bundled) -> None:
    task.request = request_
    task.project.bundled = bundled
    await in_db(task.save)
    await in_db(task.project.save)
    plan, _, _ = await _play(task, "router", kind="route", key="route")
    assert [(step.id, step.agent) for step in plan.steps] == [("find-passages", "coder")]
    assert plan.outcome == "report"
    result, made, work = await _play(task, "coder", key="find-passages")
    assert result.status == "blocked"
    assert result.summary.startswith("No language model is configured.")
    assert "Nothing was changed" in result.summary
    assert result.evidence
    for item in result.evidence:
        lines = (work.workspace.folder / item.path).read_text().splitlines()
        assert lines[item.line - 1].strip() in item.quote
    assert work.workspace.store.tree_of(made) == work.workspace.store.tree_of(
        work.workspace.store.fetch()
    )


async def test_a_request_about_nothing_here_says_so(task) -> None:
    task.request = "Zyxwvut qwertz asdfgh"
    await in_db(task.save)
    result, _, _ = await _play(task, "coder", key="find-passages")
    assert result.status == "blocked"
    assert "No file holds these words." in result.summary
    assert result.evidence == []


async def test_a_note_is_not_pretended_to_be_understood(task) -> None:
    said = {"from": "person", "author": "Mira Ode", "text": "Be quick."}
    await in_db(lambda: task.record("message", said))
    result, _, _ = await _play(task, "tech-writer", key="describe-rounding")
    assert "a rehearsal cannot interpret notes" in result.summary


async def test_the_aggregator_says_only_what_it_was_given(task) -> None:
    coder, _, _ = await _play(task, "coder", key="fix-rounding")
    step = {"key": "fix-rounding", "agent": "coder", "title": "Mend the code", "round": 1}
    draft, _, _ = await _play(
        task,
        "aggregator",
        kind="assemble",
        key="assemble",
        title="Round tax once",
        steps=[{**step, "result": coder.model_dump(mode="json")}],
        files=[{"path": "billing/invoice.py", "status": "modified", "added": 2, "removed": 2}],
        added=2,
        removed=2,
        checks={"ran": True, "passed": 13, "failed": 0},
        warnings=[{"kind": "hidden", "path": "docs/rounding.md", "line": 12, "text": "U+200B"}],
    )
    assert draft.title == "Round tax once"
    assert coder.summary in draft.summary
    assert "13 passed, 0 failed" in draft.summary
    assert "docs/rounding.md:12: U+200B" in draft.summary
    assert list(draft.claims) == list(coder.claims)
    assert await in_db(Event.objects.filter(task=task, kind="message").exists)
