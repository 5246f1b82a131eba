"""What is typed into the inbox's filter is read strictly; what is not understood is said in words."""

from __future__ import annotations

import pytest

from approvals import filters
from approvals.filters import parse


def test_terms_are_read_in_their_order():
    given = parse("  risk:High  agent:coder repo:acme/billing requester:mira due:<1h ")
    assert given.typed == "risk:High agent:coder repo:acme/billing requester:mira due:<1h"
    assert [str(term) for term in given.terms] == [
        "risk:high",
        "agent:coder",
        "repo:acme/billing",
        "requester:mira",
        "due:<1h",
    ]
    assert given.problems == ()


def test_a_term_said_twice_counts_once_and_may_be_taken_out():
    given = parse("risk:low risk:high risk:low repo:a")
    assert given.of("risk") == ["low", "high"]
    assert given.without(given.terms[0]) == "risk:high repo:a"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("billing", "“billing” is no filter: write a word and a value, as in risk:high."),
        (
            "age:>1",
            "“age” is not known here. Use risk, agent, repo, requester, cost, due, kind or state.",
        ),
        ("cost:5", "“5” is no cost: write cost:>2 or cost:<0.50, in US dollars."),
        ("cost:>1e9", "“>1e9” is no cost: write cost:>2 or cost:<0.50, in US dollars."),
        ("cost:>-1", "“>-1” is no cost: write cost:>2 or cost:<0.50, in US dollars."),
        ("cost:>\u0661", "“>\u0661” is no cost: write cost:>2 or cost:<0.50, in US dollars."),
        ("risk:urgent", "“urgent” is no risk: write risk:low, risk:medium or risk:high."),
        ("risk:", "“risk:” needs a value."),
        ("due:1h", "“1h” is no time: write due:<30m, due:<1h or due:>2d."),
        ("due:<99999999999h", "“<99999999999h” is no time: write due:<30m, due:<1h or due:>2d."),
        ("due:<\u0661h", "“<\u0661h” is no time: write due:<30m, due:<1h or due:>2d."),
        ("kind:cat", "“cat” is no kind: write kind:proposal or kind:call."),
        (
            "state:open",
            (
                "“open” is no state: write state:pending, state:approved, state:changes_requested, "
                "state:rejected, state:stale, state:expired, state:withdrawn, state:allowed, "
                "state:calling, state:done, state:failed, state:unknown, state:refused, state:queued, "
                "state:planning, state:working, state:assembling or state:executing."
            ),
        ),
        ("agent:", "“agent:” needs a value."),
        (":x", "“” is not known here. Use risk, agent, repo, requester, cost, due, kind or state."),
    ],
)
def test_what_is_not_understood_is_said(typed, said):
    given = parse(f"repo:a {typed}")
    assert given.problems == (said,)
    assert [str(term) for term in given.terms] == ["repo:a"]


def test_a_filter_has_an_end():
    assert parse("x" * 301).problems == ("A filter has up to 300 characters.",)
    many = " ".join(f"agent:a{number}" for number in range(11))
    assert parse(many).problems == ("A filter has up to 10 terms.",)


@pytest.mark.parametrize("typed", ["", "   ", "\n\t"])
def test_nothing_typed_is_no_filter(typed):
    assert not parse(typed)
    assert parse(typed) == filters.Filter()
