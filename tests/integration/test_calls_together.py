"""Tool calls of many steps are begun and ended in one transaction, each as if it were alone."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents.models import Event, Step, Task, ToolCall
from agents.runtime import entries
from agents.runtime.checkpoints import Progress
from agents.runtime.entries import Beginning, Ending
from agents.runtime.halting import Halted
from agents.runtime.ledger import Answer, Asked, Known
from agents.seeding import seed_agents
from tests.thinking_fixtures import make_step, make_task, make_work, next_attempt

pytestmark = pytest.mark.django_db
READ = Known(name="read_file", server="workspace", repeatable=True, writes=False)
SEND = Known(name="send", server="mail", repeatable=False, writes=True)


@pytest.fixture
def works(project, requester):
    seed_agents()
    made = [make_task(project, requester) for _ in range(3)]
    return [make_work(make_step(task, "coder", key=f"k{n}")) for n, task in enumerate(made)]


def begun(work, progress=None, *, call="c1", tool=READ, most=60) -> Beginning:
    progress = progress or Progress(chain=(work.attempt.pk,))
    asked = Asked(response=0, call_id=call, tool=tool, arguments={"path": "a.py"})
    return Beginning(work=work, progress=progress, asked=asked, most=most)


def done(work, row, text="fine", **facts) -> Ending:
    return Ending(work=work, row=row, answer=Answer(text=text, **facts), seconds=0.1)


def test_each_is_written_counted_and_told(works):
    rows = entries.begin([begun(work) for work in works])
    assert all(isinstance(row, ToolCall) for row in rows)
    assert entries.finish(
        [done(*pair, summary="Read it.") for pair in zip(works, rows, strict=True)]
    ) == [None, None, None]
    assert set(ToolCall.objects.values_list("state", "result")) == {("done", "fine")}
    assert set(Task.objects.values_list("tool_calls", flat=True)) == {1}
    told = Event.objects.filter(kind__startswith="tool.").order_by("task", "seq")
    assert list(told.values_list("kind", flat=True)) == ["tool.started", "tool.finished"] * 3


def test_many_cost_as_many_statements_as_one(works):
    counts = []
    for call, some in (("c1", works[:1]), ("c2", works)):
        with CaptureQueriesContext(connection) as asked:
            rows = entries.begin([begun(work, call=call) for work in some])
            entries.finish([done(*pair) for pair in zip(some, rows, strict=True)])
        counts.append(len(asked))
    assert counts[0] == counts[1]


def test_a_lost_step_is_told_and_keeps_no_other_from_its_call(works):
    Step.objects.filter(pk=works[1].step.pk).update(attempt=9)
    first, lost, last = entries.begin([begun(work) for work in works])
    assert isinstance(first, ToolCall)
    assert isinstance(last, ToolCall)
    assert isinstance(lost, Halted)
    row = ToolCall(attempt=works[1].attempt, call_id="x", tool="read_file", arguments={})
    answers = entries.finish([done(works[0], first), done(works[1], row), done(works[2], last)])
    assert [type(answer) for answer in answers] == [type(None), Halted, type(None)]


def test_what_ran_is_answered_from_its_row(works):
    (row,) = entries.begin([begun(works[0])])
    entries.finish([done(works[0], row, text="as it was")])
    (again,) = entries.begin([begun(works[0])])
    assert again == Answer(text="as it was")


def test_a_call_beyond_the_last_is_not_begun(works):
    progress = Progress(chain=(works[0].attempt.pk,), tool_calls=4)
    (row,) = entries.begin([begun(works[0], progress, call="c1", most=5)])
    assert isinstance(row, ToolCall)
    assert entries.begin([begun(works[0], progress, call="c2", most=5)]) == [None]
    assert progress.tool_calls == 5


def test_a_call_that_was_cut_off_is_repeated_only_if_it_may_be(works):
    for call, tool in (("c1", SEND), ("c2", READ)):
        entries.begin([begun(works[0], call=call, tool=tool)])
    after = make_work(next_attempt(works[0].step))
    chain = (after.attempt.pk, works[0].attempt.pk)
    sent, read = (
        entries.begin([begun(after, Progress(chain=chain), call=call, tool=tool)])[0]
        for call, tool in (("c1", SEND), ("c2", READ))
    )
    assert isinstance(sent, Halted)
    assert isinstance(read, ToolCall)
    before = ToolCall.objects.filter(attempt=works[0].attempt)
    assert set(before.values_list("state", flat=True)) == {"unknown"}


@pytest.mark.parametrize("tool", [SEND, READ])
def test_a_beginning_whose_commit_nobody_heard_of_is_found_begun(works, tool):
    progress = [Progress(chain=(work.attempt.pk,)) for work in works]
    asked = [begun(*pair, tool=tool) for pair in zip(works, progress, strict=True)]
    first, again = entries.begin(asked), entries.begin(asked)
    assert first == again
    assert ToolCall.objects.filter(state="started").count() == 3
    assert Event.objects.filter(kind="tool.started").count() == 3


def test_an_ending_whose_commit_nobody_heard_of_is_told_once(works):
    rows = entries.begin([begun(work) for work in works])
    ends = [done(*pair) for pair in zip(works, rows, strict=True)]
    assert entries.finish(ends) == entries.finish(ends) == [None] * 3
    assert Event.objects.filter(kind="tool.finished").count() == 3
