"""The trace page: the tree of spans from rows, its filters, its drawer, and who may see it."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext

from agents.lifecycle import AttemptState, StepState, TaskState
from agents.models import Attempt, ModelCall, Step, Task, ToolCall
from countersign.console.trace import reading
from countersign.console.trace.page import Page
from countersign.console.trace.showing import BY_AGENT_OVER, ROWS_AT_ONCE
from countersign.console.trace.spans import AGENT, MODEL, STEP, TOOL, key_of
from countersign.console.trace.tree import build
from countersign.console.trace.wishes import Wish
from tests import console_fixtures as fixtures
from tests import trace_fixtures as traces

HTMX = {"HX-Request": "true"}


@pytest.fixture
def task(project, requester, lead):
    return traces.traced_task(project, requester)


@pytest.fixture
def opened(client, requester):
    """Return what opens an address of a task's trace as text."""
    client.force_login(requester)

    def open_(task: Task, query: str = "", **headers: str) -> str:
        answer = client.get(f"/tasks/T-{task.number}/trace{query}", headers=headers)
        assert answer.status_code == 200
        return answer.content.decode()

    return open_


def tree_of(task: Task, *, by_agent_over: int = BY_AGENT_OVER):
    return build(reading.read(task), by_agent_over=by_agent_over)


def named(task: Task, title: str, **facts):
    """Return the spans of this title."""
    spans = [span for span in tree_of(task).spans if span.title == title]
    return [span for span in spans if all(getattr(span, k) == v for k, v in facts.items())]


def step_of(task: Task, key: str):
    wanted = key_of(STEP, task.steps.get(key=key).pk)
    return next(span for span in tree_of(task).spans if span.key == wanted)


def keys_in(page: str) -> list[str]:
    return re.findall(r'data-span="([^"]+)"', page)


# The tree


def test_a_step_with_one_try_holds_its_turns_and_each_turn_its_calls(task):
    route = step_of(task, "route")
    (turn,) = route.children
    (model,) = turn.children
    assert (route.title, turn.title, model.kind) == ("Router", "Turn 1", MODEL)
    assert (model.input_tokens, model.output_tokens, float(model.usd)) == (8_421, 512, 0.0312)
    assert (route.tokens, route.usd, route.retries) == (8_933, model.usd, 0)
    assert model.seconds(0) == pytest.approx(5.6)


def test_a_step_that_was_tried_again_holds_its_tries(task):
    coder = step_of(task, "fix-rounding")
    first, second = coder.children
    assert (first.title, first.error, first.retries) == ("Try 1", "lost its worker", 0)
    assert (second.title, second.error, second.retries, second.running) == ("Try 2", "", 1, True)
    assert (coder.retries, coder.running, coder.error) == (1, True, "")
    replayed = second.children[0].children[0]
    assert (replayed.title, replayed.retries) == ("read_file", 1)  # made by the first try too
    asked_again = named(task, traces.MODEL, retries=1)
    assert [span.note for span in asked_again] == ["asked again: its last answer could not be used"]


def test_every_kind_of_error_is_marked_and_counted_above_it(task):
    words = {(span.title, span.error) for span in tree_of(task).spans if span.error}
    assert words == {
        ("Try 1", "lost its worker"),
        ("read_file", "failed"),
        (traces.MODEL, "no answer"),
        ("delete_branch", "refused"),
    }
    assert tree_of(task).errors == step_of(task, "fix-rounding").errors == 4


def test_a_question_stands_below_the_call_that_asked_it(task):
    (asking,) = named(task, "ask_agent")
    (answering,) = asking.children
    assert (answering.kind, answering.title) == (STEP, "Code agent")
    assert "Answers Tech writer" in answering.note
    assert answering.key not in {root.key for root in tree_of(task).roots}
    unpriced = answering.children[0].children[0]
    assert unpriced.unpriced
    assert answering.unpriced


def test_what_runs_has_no_end_and_what_has_not_begun_no_bar(task):
    (checks,) = named(task, "run_checks")
    assert checks.running
    assert step_of(task, "cover").running
    waiting = step_of(task, "assemble")
    assert (waiting.start, waiting.children, waiting.errors) == (None, [], 0)


def test_steps_that_ran_side_by_side_overlap(task):
    coder, tester = step_of(task, "fix-rounding"), step_of(task, "cover")
    assert coder.start < tester.start
    assert coder.end is tester.end is None


def test_a_stopped_task_shows_where_it_was_stopped(task):
    Attempt.objects.filter(finished_at=None, step__task=task).update(
        state=AttemptState.CANCELLED, finished_at=task.created_at.now(task.created_at.tzinfo)
    )
    Step.objects.filter(task=task, state=StepState.LEASED).update(
        state=StepState.CANCELLED, lease_until=None
    )
    Task.objects.filter(pk=task.pk).update(
        state=TaskState.CANCELLED, finished_at=task.created_at.now(task.created_at.tzinfo)
    )
    assert not any(span.running for span in tree_of(task).spans)
    (checks,) = named(task, "run_checks")
    assert (checks.error, checks.end is not None) == ("", True)
    assert [span.note for span in named(task, traces.MODEL) if "stopped" in span.note]


def test_of_a_lost_worker_the_open_call_is_cut_off(task):
    Attempt.objects.filter(step__key="cover").update(
        state=AttemptState.LOST, finished_at=task.created_at
    )
    (checks,) = named(task, "run_checks")
    assert checks.error == "cut off"


def test_a_task_from_before_calls_were_kept_still_shows_turns_and_figures(task):
    ModelCall.objects.all().delete()
    route, coder = step_of(task, "route"), step_of(task, "fix-rounding")
    assert (route.tokens, route.children) == (8_933, [])
    assert [turn.title for turn in coder.children[1].children] == ["Turn 1", "Turn 2", "Turn 3"]


def test_many_spans_are_grouped_by_agent(task):
    grouped = tree_of(task, by_agent_over=5)
    assert [(root.kind, root.title) for root in grouped.roots] == [
        (AGENT, "Router"),
        (AGENT, "Code agent"),
        (AGENT, "Test agent"),
        (AGENT, "Tech writer"),
        (AGENT, "Aggregator"),
    ]
    assert grouped.roots[1].tokens == step_of(task, "fix-rounding").tokens
    assert grouped.errors == 4


# The page


def test_it_shows_time_tokens_cost_and_retries_of_every_span(opened, task):
    page = opened(task)
    spans = list(tree_of(task).spans)
    assert keys_in(page) == [span.key for span in spans]
    assert page.count('class="tr-num') - 4 == 4 * len(spans)  # and four headings
    assert "8.9k" in page
    assert "$0.03" in page
    assert "5.6 s" in page
    assert page.count("tr-live") >= 3


def test_errors_only_keeps_them_with_what_is_above(opened, task):
    page = opened(task, "?errors=1")
    assert page.count("tr-err ") == 4
    shown = {span.title for span in tree_of(task).spans if span.key in keys_in(page)}
    assert {"Code agent", "Try 1", "Turn 1", "read_file", "delete_branch"} <= shown
    assert "edit_file" not in shown
    assert "4 spans fit, errors only" in page


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("nowhere.py", ["read_file"]),
        ("UNITTEST", ["run_checks"]),
        ("half-even", ["Code agent", "Test agent"]),
        ("lease", ["Try 1"]),
        ("no such span", []),
        ("%", []),
        ("no%such", []),
    ],
)
def test_a_search_looks_at_names_arguments_summaries_and_reasons(opened, task, search, found):
    page = opened(task, f"?q={quote(search)}")
    keys = keys_in(page)
    spans = [span for span in tree_of(task).spans if span.key in keys]
    leaves = {span.title for span in spans if not any(c.key in keys for c in span.children)}
    assert leaves == set(found)


def test_slowest_and_most_expensive_are_ten_calls_in_order(opened, project, requester):
    task = traces.large_task(project, requester, steps=1, turns=5)
    call = ModelCall.objects.filter(response=3).get()
    ModelCall.objects.filter(pk=call.pk).update(usd=2, finished_at=call.started_at)
    slowest, costly = keys_in(opened(task, "?sort=slowest")), keys_in(opened(task, "?sort=costly"))
    assert (len(slowest), len(costly)) == (10, 5)
    assert costly[0] == key_of(MODEL, call.pk)
    assert key_of(MODEL, call.pk) not in slowest
    times = [named(task, traces.MODEL, key=key) for key in slowest[:4]]
    assert all(times)


def test_a_rehearsal_that_cost_nothing_says_so(opened, project, requester):
    task = traces.large_task(project, requester, steps=1, turns=1)
    ModelCall.objects.update(usd=0, input_tokens=0, output_tokens=0)
    Task.objects.filter(pk=task.pk).update(model="rehearsal")
    assert "A rehearsal calls no model." in opened(task, "?sort=costly")


def test_a_rehearsal_counts_the_calls_it_shows(opened, client, project, requester):
    task = traces.large_task(project, requester, steps=1, turns=3)
    Task.objects.filter(pk=task.pk).update(model="rehearsal", model_calls=0)
    assert "3 rehearsed model calls" in opened(task)
    live = client.get(f"/tasks/T-{task.number}/trace/live").content.decode()
    assert "3 rehearsed model calls" in live


def test_what_was_not_used_is_a_quiet_cell_a_screen_reader_can_read(opened, project, requester):
    task = traces.large_task(project, requester, steps=1, turns=1)
    ModelCall.objects.update(usd=0, input_tokens=0, output_tokens=0)
    Attempt.objects.update(usd=0, input_tokens=0, output_tokens=0)
    page, spans = opened(task), len(tree_of(task).spans)
    for word in ("no tokens", "no cost"):
        assert page.count(f'tr-no" aria-label="{word}"></div>') == spans
    assert page.count('tr-no" aria-label="no retries"></div>') == spans
    assert "$0.00</div>" not in page


def test_a_path_that_is_the_summary_too_is_said_once(opened, project, requester):
    task = traces.large_task(project, requester, steps=1, turns=1)
    ToolCall.objects.update(arguments={"path": "billing/invoice.py"}, summary="billing/invoice.py")
    assert "billing/invoice.py: billing" not in opened(task)
    assert "billing/invoice.py</span>" in opened(task)
    ToolCall.objects.update(summary="48 lines")
    assert "billing/invoice.py: 48 lines" in opened(task)


def test_every_wish_is_in_the_address_and_survives_a_round_trip():
    wish = Wish(search="a & b", errors=True, sort="costly", turned=("s0123456789ab",), span="m0123456789ab.3")  # fmt: skip
    assert Wish.read(QueryDict(wish.but()[1:])) == wish
    assert Wish.read(QueryDict(wish.turning("s0123456789ab")[1:])).turned == ()


@pytest.mark.parametrize(
    "query",
    [
        "?span=x",
        "?span=s000000000000",
        "?span=m000000000000.99999",
        "?turn=%3Cscript%3E",
        "?sort=evil&errors=2&open=yes&after=-1",
        "?after=999999",
        "?after=99999999999999999999",
        "?q=" + "x" * 3_000,
        "?part=span",
        "?part=below&of=nonsense",
    ],
)
def test_an_address_that_makes_no_sense_shows_the_page(opened, task, query):
    assert 'id="trace-head"' in opened(task, query)


def test_closing_a_span_hides_what_is_below_without_javascript(opened, task):
    coder = step_of(task, "fix-rounding")
    page = opened(task, f"?turn={coder.key}")
    assert coder.key in keys_in(page)
    assert not {turn.key for each in coder.children for turn in each.children} & set(keys_in(page))
    link = re.search(rf'href="(\?[^"]*turn={coder.key}[^"]*)"', opened(task))
    assert link is not None


def test_of_many_spans_agents_stand_first_and_open_by_fragments(opened, project, requester):
    task = traces.large_task(project, requester, steps=3)
    page = opened(task)
    assert len(keys_in(page)) == 3
    agent = keys_in(page)[0]
    below = opened(task, f"?turn={agent}&part=below&of={agent}", **HTMX)
    assert "<html" not in below
    (step,) = keys_in(below)
    assert 'aria-level="2"' in below
    turns = keys_in(opened(task, f"?turn={agent}&turn={step}&part=below&of={step}", **HTMX))
    assert len(turns) == 25
    assert len(keys_in(opened(task, f"?turn={agent}&turn={step}"))) == 3 + 1 + 25


def test_everything_opened_comes_in_parts(opened, project, requester):
    task = traces.large_task(project, requester, steps=3)
    total = tree_of(task).count
    keys, query = [], "?open=all"
    while query:
        page = opened(task, query)
        found = keys_in(page)
        assert len(found) <= ROWS_AT_ONCE
        keys += found
        more = re.search(r'href="(\?[^"]*after=\d+)"', page)
        query = more[1].replace("&amp;", "&") if more else ""
    assert len(keys) == len(set(keys)) == total


def test_long_pauses_are_cut_short_and_named(opened, task):
    Attempt.objects.filter(step__key="route").update(
        started_at=task.created_at.replace(year=2026, month=1),
        finished_at=task.created_at.replace(year=2026, month=1, minute=0, second=0),
    )
    page = opened(task)
    assert "in which nothing ran" in page
    assert "1 pause" in page


def test_a_task_that_has_not_begun_says_so(opened, project, requester):
    page = opened(fixtures.make_task(project, requester))
    assert "Nothing has run yet." in page
    assert "data-trace" not in page


def test_the_task_and_the_review_lead_here(client, lead, project, requester):
    made = fixtures.reviewed_task(project, requester)
    client.force_login(lead)
    for path in (f"/tasks/T-{made.task.number}", f"/review/T-{made.task.number}/r1"):
        assert f'href="/tasks/T-{made.task.number}/trace"' in client.get(path).content.decode()


# Rights, and what it costs


def test_strangers_and_visitors_are_kept_out(client, task, stranger):
    paths = [f"/tasks/T-{task.number}/trace", f"/tasks/T-{task.number}/trace/live"]
    for path in paths:
        assert client.get(path).status_code == 302
    client.force_login(stranger)
    for path in paths:
        answer = client.get(path, headers=HTMX)
        assert answer.status_code == 404
        assert answer.content == client.get("/tasks/T-999999").content
        assert client.post(path).status_code == 405


def test_the_live_answer_counts_what_is_new_and_moves_nothing(client, task, requester):
    client.force_login(requester)
    page = client.get(f"/tasks/T-{task.number}/trace").content.decode()
    shown = re.search(r"trace/live\?shown=(\d+)", page)[1]
    live = f"/tasks/T-{task.number}/trace/live"
    assert "since this page was made" not in client.get(live, {"shown": shown}).content.decode()
    run = traces.Recorder(task, task.created_at)
    run.tool(Attempt.objects.filter(step__key="cover").get(), "read_file", 90, 91)
    answer = client.get(live, {"shown": shown}).content.decode()
    assert "1 span came since this page was made." in answer
    assert "data-span" not in answer


@pytest.mark.parametrize("query", ["", "q=billing&errors=1&span={}", "sort=costly"])
def test_statements_do_not_grow_with_spans(task, project, requester, query):
    counts = []
    for each in (task, traces.large_task(project, requester, steps=3)):
        call = ToolCall.objects.filter(attempt__step__task=each).first()
        asked = QueryDict(query.format(key_of(TOOL, call.pk)))
        with CaptureQueriesContext(connection) as queries:
            Page(each, requester, asked).drawn()
        counts.append(len(queries))
    assert max(counts) <= 12, counts
    assert counts[1] <= counts[0], counts  # no question is asked in the second
