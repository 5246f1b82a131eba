"""A stub model that goes in circles over the wire: each circle ends with a person and the evidence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents import escalations
from agents.models import Escalation, Task, ToolCall
from agents.runtime.claims import claim
from agents.runtime.contract import Finished, NeedsHuman, TryAgain
from agents.runtime.database import in_db
from agents.runtime.performing import perform
from agents.workspace import sandbox
from tests.breaker_fixtures import (
    LIST,
    READ,
    REPORT,
    calls,
    carried,
    demo_task,
    opened,
    rows,
    warnings,
    write,
)
from tests.stub_model import Call, Reply
from tests.thinking_fixtures import going_on, limited, make_step, make_work, serve

pytestmark = pytest.mark.django_db(transaction=True)
CHECKS = Call("run_checks", {})
MISSING = Call("read_file", {"path": "nowhere.py"})
needs_sandbox = pytest.mark.skipif(
    sandbox.available() is None, reason="no sandbox and no resource limits here"
)


@pytest.fixture
def task(project, requester, settings, tmp_path) -> Task:
    settings.DATA_DIR = tmp_path / "data"
    return demo_task(project, requester, tmp_path)


@pytest.fixture
def served(settings):
    settings.OPENAI_API_KEY = "sk-test-0123456789"
    with serve(settings) as start:
        yield start


async def tripped(task: Task, served, *turns: Reply, rule: str, which: str) -> Escalation:
    """Let the model take these turns; assert that it is stopped before it may report."""
    server = served(*turns, REPORT)
    outcome, escalation = await carried(await in_db(opened, task))
    assert isinstance(outcome, NeedsHuman), outcome
    assert len(server.requests) <= len(turns)
    assert escalation is not None
    assert (escalation.rule, escalation.evidence["which"]) == (rule, which)
    evidence = escalation.evidence
    made = {str(row.pk) for row in await in_db(rows, task)}
    assert made >= set(evidence["calls"]) != set()
    assert evidence["observed"] >= evidence["threshold"]
    assert evidence["last_result"]
    assert evidence["usage"]["turns"] == len(server.requests)
    assert {"retry_with_note", "stop"} <= set(escalation.options)
    assert (await in_db(Task.objects.get, pk=task.pk)).state == "needs_human"
    return escalation


async def test_the_same_call_over_and_over(task, served) -> None:
    server = served(*[calls(READ)] * 9)
    outcome, escalation = await carried(await in_db(opened, task))
    assert isinstance(outcome, NeedsHuman)
    assert (escalation.rule, escalation.evidence["observed"]) == ("repeated_call", 3)
    assert len(server.requests) == 3
    first, second = server.requests[2].results
    assert "Countersign:" not in first
    assert "[Countersign: You made this call 2 times" in second
    warned = await in_db(warnings, task, "repeated_call")
    assert [each["attempt"] for each in warned] == [1]
    assert len(await in_db(rows, task)) == 3


async def test_the_same_call_twice_is_only_warned_of(task, served) -> None:
    served(calls(READ), calls(READ), REPORT)
    outcome, escalation = await carried(await in_db(opened, task))
    assert isinstance(outcome, Finished)
    assert escalation is None


async def test_calls_of_one_answer_count_once(task, served) -> None:
    served(calls(READ, READ, READ, READ), REPORT)
    assert isinstance((await carried(await in_db(opened, task)))[0], Finished)


async def test_a_call_that_fails_again(task, served) -> None:
    found = await tripped(
        task, served, *[calls(MISSING)] * 3, rule="repeated_error", which="same_call"
    )
    assert found.evidence["observed"] == 2


async def test_one_kind_of_error_after_another(task, served) -> None:
    guesses = [calls(Call("read_file", {"path": f"guess{n}.py"})) for n in range(4)]
    await tripped(task, served, *guesses, rule="repeated_error", which="same_class")


async def test_a_tool_that_is_not_granted_asked_for_again(task, served) -> None:
    evil = Call("push_to_main", {"force": True})
    await tripped(task, served, *[calls(evil)] * 3, rule="repeated_error", which="same_call")
    kept = await in_db(rows, task)
    assert [(row.tool, row.state, row.error) for row in kept] == [
        ("push_to_main", "refused", "not granted")
    ] * 2
    assert kept[0].arguments == {"force": True}


async def test_two_calls_in_turn(task, served) -> None:
    """A line is added and looked for elsewhere, again and again: the files are new each time."""
    add = Call("replace_lines", {"path": "billing/money.py", "first": 1, "last": 0, "text": "#"})
    look = Call("search_text", {"text": "Invoice", "path": "docs"})
    turns = [calls(add), calls(look)] * 4
    found = await tripped(task, served, *turns, rule="oscillation", which="alternation")
    assert found.evidence["observed"] == 6


async def test_an_edit_and_its_undoing(task, served) -> None:
    there = Call("edit_file", {"path": "billing/money.py", "old": '"EUR"', "new": '"USD"'})
    back = Call("edit_file", {"path": "billing/money.py", "old": '"USD"', "new": '"EUR"'})
    turns = [calls(there), calls(back)] * 4
    found = await tripped(task, served, *turns, rule="oscillation", which="edit_revert")
    assert len(await in_db(rows, task)) == 4
    assert "as they were 2 times before" in found.detail


async def test_one_undoing_is_honest(task, served) -> None:
    there = Call("edit_file", {"path": "billing/money.py", "old": '"EUR"', "new": '"USD"'})
    back = Call("edit_file", {"path": "billing/money.py", "old": '"USD"', "new": '"EUR"'})
    server = served(calls(there), calls(back), REPORT)
    assert isinstance((await carried(await in_db(opened, task)))[0], Finished)
    assert "as they were once before" in server.requests[2].results[1]


async def test_turns_that_bring_nothing_new(task, served) -> None:
    reads = [Call("read_file", {"path": "README.md", "first": n}) for n in (1, 2, 3, 4)]
    server = served(calls(*reads), *[calls(read) for read in reads], REPORT)
    outcome, escalation = await carried(await in_db(opened, task))
    assert isinstance(outcome, NeedsHuman), outcome
    assert (escalation.rule, escalation.evidence["which"]) == ("no_progress", "no_progress")
    assert len(server.requests) == 4
    assert "brought nothing new" in server.requests[3].prompt
    assert "brought nothing new" not in server.requests[2].prompt
    assert len(await in_db(warnings, task, "no_progress")) == 1


@needs_sandbox
async def test_checks_after_every_edit_are_honest_however_they_end(task, served) -> None:
    edits = [write("billing/new.py", f"x = {n}\n") for n in range(4)]
    read = Call("read_file", {"path": "billing/new.py"})
    turns = [calls(edit, CHECKS, read) for edit in edits]
    served(*turns, REPORT)
    assert isinstance((await carried(await in_db(opened, task)))[0], Finished)


@needs_sandbox
async def test_checks_again_and_again_without_an_edit(task, served) -> None:
    """Their durations differ; their outcome is the same."""
    await tripped(task, served, *[calls(CHECKS)] * 4, rule="repeated_call", which="repeated_call")


async def test_a_tool_that_breaks_is_no_loop(task, served) -> None:
    work = await in_db(opened, task)

    def broken() -> list[tuple[str, int]]:
        raise OSError("the disk is gone")

    work.workspace.listing = broken  # a part that fails as a part does
    server = served(*[calls(LIST)] * 4, REPORT)
    outcome, escalation = await carried(work)
    assert isinstance(outcome, Finished), outcome
    assert escalation is None
    assert len(server.requests) == 5
    assert {row.error for row in await in_db(rows, task)} == {"platform"}


async def test_all_turns_used_and_still_not_done(task, served) -> None:
    await in_db(limited, "coder", max_turns=3)
    blocked = Reply(calls=[Call("report_result", {"status": "blocked", "summary": "Not done."})])
    server = served(calls(READ), calls(LIST), blocked)
    outcome, escalation = await carried(await in_db(opened, task))
    assert (outcome.rule, escalation.rule) == ("max_turns", "max_turns")
    assert "read_file" not in server.requests[2].tools
    assert "raise_limit_once" in escalation.options


# Counters live in rows


async def test_a_killed_worker_does_not_reset_the_count(task, served) -> None:
    """Two of three calls before the death, the third in another attempt: it trips there."""
    served(calls(READ), calls(READ), Reply(status=503), calls(READ), REPORT)
    first = await in_db(opened, task)
    assert isinstance(await perform(first), TryAgain)
    second = await in_db(lambda: going_on(first.step, state="lost"))
    outcome, escalation = await carried(second)
    assert isinstance(outcome, NeedsHuman)
    assert (escalation.rule, escalation.evidence["observed"]) == ("repeated_call", 3)
    attempts = await in_db(lambda: {str(row.pk): row.attempt_id for row in ToolCall.objects.all()})
    assert len({attempts[call] for call in escalation.evidence["calls"]}) == 2


async def test_a_worker_killed_over_the_last_call_still_hands_it_to_a_person(task, served) -> None:
    """The row that closes the loop is written, the escalation is not: no model is asked again."""
    server = served(*[calls(READ)] * 3, REPORT)
    first = await in_db(opened, task)
    assert isinstance(await perform(first), NeedsHuman)  # and dies before it is settled
    second = await in_db(lambda: going_on(first.step, state="lost"))
    outcome, escalation = await carried(second)
    assert isinstance(outcome, NeedsHuman)
    assert escalation.rule == "repeated_call"
    assert len(server.requests) == 3
    assert len(await in_db(rows, task)) == 3


async def test_a_person_sends_it_on_and_the_old_rows_do_not_count(task, served, requester) -> None:
    again = calls(READ)
    server = served(again, again, again, again, again, REPORT)
    first = await in_db(opened, task)
    _, escalation = await carried(first)
    note = "The README has what you need."
    await in_db(
        lambda: escalations.resolve(escalation, choice="retry_with_note", note=note, by=requester)
    )

    (claimed,) = await in_db(claim, "test", limit=1)
    second = replace(first, step=claimed.step, attempt=claimed.attempt)
    assert second.attempt.resumes_id == first.attempt.pk  # the conversation goes on
    outcome, further = await carried(second)
    assert isinstance(outcome, Finished), outcome
    assert further is None
    assert len(server.requests) == 6
    assert note in server.requests[3].prompt


# What is ambiguous


async def test_arguments_that_give_a_name_twice_are_refused(task, served) -> None:
    """People would be shown one path, and another would be written."""
    twice = Call("write_file", '{"path": "billing/a.py", "content": "x", "path": "billing/b.py"}')
    once = write("billing/c.py", "x = 1\n")
    server = served(calls(twice), calls(once), REPORT)
    work = await in_db(opened, task)
    assert isinstance(await perform(work), Finished)
    assert "'path' twice" in " ".join([*server.requests[1].results, server.requests[1].prompt])
    written = sorted(path.name for path in (work.workspace.folder / "billing").glob("?.py"))
    assert written == ["c.py"]
    assert len(await in_db(rows, task)) == 1


async def test_an_answer_that_gives_a_name_twice_is_asked_for_again(task, served) -> None:
    twice = '{"status": "blocked", "summary": "One.", "status": "done"}'
    server = served(Reply(calls=[Call("report_result", twice)]), REPORT)
    outcome = await perform(await in_db(opened, task))
    assert isinstance(outcome, Finished)
    assert len(server.requests) == 2
    assert outcome.output.summary == "Mended."


async def test_a_name_given_twice_inside_a_plan_is_refused(task, served) -> None:
    step = '{"id": "a", "agent": "coder", "title": "A", "instructions": "A.", "agent": "tester"}'
    raw = f'{{"title": "T", "outcome": "change", "steps": [{step}]}}'
    served(*[Reply(calls=[Call("submit_plan", raw)])] * 3)
    work = await in_db(lambda: make_work(make_step(task, "router", kind="route")))
    outcome = await perform(work)
    assert isinstance(outcome, NeedsHuman)
    assert outcome.rule in {"invalid_output", "invalid_plan"}
    assert "twice" in str(outcome.evidence)
