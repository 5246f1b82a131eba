"""Recall finds what fits, nothing else, and says why."""

from __future__ import annotations

from itertools import product

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from memory import lessons
from memory.models import Memory
from memory.recall import recall
from tests.memory_fixtures import kept

LESSONS = [
    "Round tax once on the invoice total, half even, never per line.",
    "Before claiming that a phrase is gone from the docs, search again with hidden characters removed.",
    "Use Decimal for money; never float.",
    "Every new endpoint needs a test that a stranger gets 404.",
    "Do not reformat files that the task does not touch.",
    "Changelog entries go under Unreleased, one line, past tense.",
    "Refunds are paid out in the currency of the original payment.",
    "Prefer pathlib over os.path in new code.",
    "Database migrations must be reversible and named for what they do.",
    "Retry webhooks at most five times with backoff; log the final failure.",
]
TAX, HIDDEN, DECIMAL, ENDPOINT, REFORMAT, CHANGELOG, REFUNDS, PATHLIB, MIGRATIONS, WEBHOOKS = range(
    10
)
LONG = (
    "Describe rounding\nUpdate the documentation so that it describes the new behaviour. Read "
    "docs/rounding.md first, then every other page under docs that mentions rounding or tax. "
    "State that tax is rounded once on the invoice total, half even. Remove every mention of "
    "half up, and search afterwards to be sure that none is left. Do not touch code or tests; "
    "other agents change billing/invoice.py and tests/test_invoice.py at the same time. Keep the "
    "tone of the existing pages. Report the pages you changed and what you did not change."
)
PADDING = (
    "The total is what the customer pays, so a cent lost on a line is a cent the ledger misses. "
    "Two auditors asked about it, the bank refused a transfer because of it, and the report for "
    "the tax office had to be filed again by hand. Rounding belongs in one place of the code, "
    "behind one function, with one table of examples that the finance team has signed."
)
FITTING = [
    ("Fix the billing bug & update docs", HIDDEN),
    (
        "Invoice totals are off by one cent. Fix the tax rounding in billing/invoice.py.",
        TAX,
    ),
    (LONG, TAX),
    (LONG, HIDDEN),
    ("Add a half-even test case to tests/test_invoice.py for an invoice with three lines", TAX),
    ("Add an endpoint that lists refunds of a customer", REFUNDS),
    ("Add an endpoint that lists refunds of a customer", ENDPOINT),
    ("Write a changelog entry for the rounding fix", CHANGELOG),
    ("Why does the webhook delivery fail sometimes?", WEBHOOKS),
    ("Check that no hidden characters remain in the documentation", HIDDEN),
    ("Write the migration that drops the legacy column", MIGRATIONS),
]
UNRELATED = [
    "Add a dark mode toggle to the settings page",
    "Upgrade the Python version in CI to 3.13",
    "Translate the sign-in page to German",
    "Speed up the nightly export job; it takes two hours",
    "The login page shows a blank screen when the password is wrong",
    "What is the capital of France?",
    "Summarise the request in one sentence for the reviewers of this change",
    "Please fix the bug in the search box and add a new page for profiles",
]


@pytest.fixture
def lessons_of_the_project(project, lead):
    return [kept(project, text, by=lead) for text in LESSONS]


@pytest.mark.parametrize(("request_text", "lesson"), FITTING)
def test_fitting_lesson_is_recalled_among_ten(
    project, lessons_of_the_project, request_text, lesson
):
    found = [each.memory for each in recall(project, query=request_text, agent_slug="coder")]
    assert lessons_of_the_project[lesson] in found
    assert len(found) <= 3


@pytest.mark.parametrize(("request_text", "lesson"), FITTING)
def test_fitting_lesson_is_recalled_when_it_is_the_only_one(project, lead, request_text, lesson):
    only = kept(project, LESSONS[lesson], by=lead)
    assert [each.memory for each in recall(project, query=request_text, agent_slug="coder")] == [
        only
    ]


@pytest.mark.parametrize("request_text", UNRELATED)
def test_nothing_is_recalled_when_nothing_fits(project, lead, lessons_of_the_project, request_text):
    assert recall(project, query=request_text, agent_slug="coder") == []
    for memory in lessons_of_the_project[1:]:
        lessons.retire(memory, by=lead)
    assert recall(project, query=request_text, agent_slug="coder") == []


@pytest.mark.parametrize("text", ["", "   ", "\0", "the and of", "!!! ???", "\ud800"])
def test_query_without_words_recalls_nothing(project, lessons_of_the_project, text):
    assert recall(project, query=text, agent_slug="coder") == []


def test_recall_takes_three_statements_once_vectors_exist(project, lessons_of_the_project):
    recall(project, query=LONG, agent_slug="coder")
    with CaptureQueriesContext(connection) as queries:
        found = recall(project, query=LONG, agent_slug="coder")
        assert all(each.memory.content and each.memory.approved_at for each in found)
    assert len(queries) == 3


def test_memory_for_these_paths_is_recalled_whatever_the_words(project, lead):
    memory = kept(project, "Speak to the reader as you.", by=lead, paths=["docs/**"])
    asked = {"query": "Describe how tax works", "agent_slug": "tech-writer"}
    assert [each.memory for each in recall(project, **asked, paths=["docs/tax.md"])] == [memory]
    assert [each.memory for each in recall(project, **asked, paths=["docs/*.md"])] == [memory]
    assert recall(project, **asked, paths=["billing/tax.py"]) == []


def test_named_subject_raises_the_score(project, lead):
    plain = kept(project, "Write amounts with two decimals.", by=lead)
    about = kept(project, "Write amounts with a currency.", by=lead, subject="invoice export")
    found = recall(project, query="Amounts in the invoice export are cut off", agent_slug="coder")
    assert found[0].memory == about
    assert found[0].parts["match"] == 1.0
    assert [each.parts["match"] for each in found if each.memory == plain] in ([], [0.0])


def test_pinned_memory_comes_first_even_when_it_does_not_fit(project, lead, lessons_of_the_project):
    lessons.pin(lessons_of_the_project[PATHLIB], pinned=True, by=lead)
    found = recall(project, query="Fix the tax on the invoice total", agent_slug="coder")
    assert found[0].memory == lessons_of_the_project[PATHLIB]
    assert found[0].parts["pinned"] is True
    assert found[1].memory == lessons_of_the_project[TAX]


def test_at_most_eight_memories_within_the_budget_of_tokens(project, lead):
    for number in range(12):
        text = f"Rule {number}: round tax once on the invoice total. " + PADDING
        kept(project, text, by=lead)
    asked = {"query": "Round tax on the invoice total", "agent_slug": "coder"}
    found = recall(project, **asked)
    assert 0 < sum(each.tokens for each in found) <= 800
    assert all(each.tokens >= len(each.memory.content) / 4 for each in found)
    assert len(recall(project, **asked, tokens=100_000)) == 8
    assert recall(project, **asked, tokens=10) == []


def test_project_with_memory_switched_off_recalls_nothing(project, lessons_of_the_project):
    project.memory_enabled = False
    assert recall(project, query=LONG, agent_slug="coder") == []


def test_same_question_gives_the_same_answer(project, lessons_of_the_project):
    first = recall(project, query=LONG, agent_slug="coder")
    assert first == recall(project, query=LONG, agent_slug="coder")
    assert [each.score for each in first] == sorted((each.score for each in first), reverse=True)


def test_large_scope_with_nothing_fitting_stays_silent(project, lead):
    rows = [
        Memory(
            project=project,
            content=f"Ticket {number}: the {thing} must be {how} before it is {done}.",
            state="active",
            source="user_stated",
            approved_by=lead,
            approved_at=timezone.now(),
        )
        for number, (thing, how, done) in enumerate(
            product(
                ["banner", "carousel", "cart", "coupon", "parcel", "wishlist", "avatar"],
                ["shrunk", "painted", "cached", "audited", "escaped", "signed"],
                ["shipped", "billed", "listed", "packed", "archived"],
            )
        )
    ]
    Memory.objects.bulk_create(rows)
    fitting = kept(project, LESSONS[TAX], by=lead)
    found = recall(project, query=FITTING[1][0], agent_slug="coder")
    assert [each.memory for each in found] == [fitting]
    assert recall(project, query="What is the capital of France?", agent_slug="coder") == []
