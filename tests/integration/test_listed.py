"""Every approval stands in the lists of its agents and its requester, kept by the database."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from django.db.models import F

from approvals import filters, sealing, selectors, undoing
from approvals.models import Approval, Listed
from projects.across import Mine
from projects.keyset import Place
from tests import console_fixtures as fixtures
from tests.approval_fixtures import make_report, past_triggers
from tests.reviewing import decide

pytestmark = pytest.mark.django_db
ORDERS = selectors.SORTS
SAID = ("project", "expires_at", "decided_at", "risk_rank", "cost", "state")


@pytest.fixture
def change(project, requester, lead, second_lead) -> Approval:
    return fixtures.reviewed_task(project, requester, usd=Decimal("1.42")).approval


def of(approval: Approval) -> set[str]:
    return set(Listed.objects.filter(approval=approval).values_list("under", flat=True))


def test_it_is_listed_under_each_agent_once_and_under_its_requester(change, requester):
    assert of(change) == {
        f"requester:{requester.pk}",
        *(f"agent:{agent['slug']}" for agent in change.snapshot["agents"]),
    }
    rows = Listed.objects.filter(approval=change)
    change.refresh_from_db()
    said = {name: getattr(change, name) for name in SAID}
    assert not rows.exclude(requester=requester.pk, **said).exists()
    assert said["cost"] == Decimal("1.42")


def test_it_moves_to_what_is_over_as_it_is_decided(change, lead):
    decide(change.pk, by=lead, verdict="approve", digest=change.digest, nonce=change.nonce)
    change.refresh_from_db()
    rows = Listed.objects.filter(approval=change)
    assert set(rows.values_list("decided_at", "state")) == {(change.decided_at, "approved")}
    undoing.undo(change, by=lead)
    change.refresh_from_db()
    assert set(rows.values_list("decided_at", "state")) == {(change.decided_at, "withdrawn")}


def test_what_was_sealed_keeps_its_rank_and_its_cost_beside_it(change, project, requester):
    report = sealing.seal(make_report(project, requester))
    for one in (change, report):
        one.refresh_from_db()
    assert (change.risk, change.risk_rank) == ("medium", 1)
    assert (report.risk, report.risk_rank) == ("low", 2)
    assert (str(change.cost), change.cost_class) == ("1.420000", 12)
    assert (report.cost, report.cost_class) == (0, 0)


@pytest.mark.parametrize(
    ("typed", "classes"),
    [
        ("cost:>1", range(12, 25)),
        ("cost:<1", range(12)),
        ("cost:>1.7", range(13, 25)),
        ("cost:<1.7", range(14)),
        ("cost:>1 cost:<2", (12, 13)),
        ("cost:>100", (24,)),
        ("cost:<0.001", (0,)),
        ("cost:<0", (0,)),
    ],
)
def test_only_the_classes_of_cost_that_may_fit_are_read(typed, classes):
    given = filters.parse(typed)
    (read,) = filters.of_approvals(given, filters.Known()).lists
    assert (read.path, read.values) == ("cost_class", tuple(classes))


@pytest.fixture
def many(project, requester, lead, second_lead) -> list[Approval]:
    """Return nine that wait: of three risks, some due at the same moment."""
    made = [sealing.seal(make_report(project, requester)) for _ in range(9)]
    due = made[0].expires_at
    for n, each in enumerate(made):
        change = "UPDATE approvals_approval SET risk = %s, expires_at = %s WHERE id = %s"
        past_triggers(change, ("low", "high", "medium")[n % 3], due, each.pk)
        Listed.objects.filter(approval=each).update(risk_rank=(2, 0, 1)[n % 3], expires_at=due)
    return list(Approval.objects.order_by("risk_rank", "expires_at", "id"))


def walked(lead, order, typed, way="after", start=None) -> list[Approval]:
    seen, place, mine = [], start, Mine.of(lead)
    given = filters.parse(typed)
    fits = filters.of_approvals(given, filters.look_up(given, lead))
    while True:
        asked = selectors.needs_you(lead, mine, place=place, limit=2, fits=fits, order=order)
        seen += asked.page.rows
        if not (further := getattr(asked.page, way)):
            return seen
        place = Place.of(order, {way: further})


@pytest.mark.parametrize(
    "typed", ["", "requester:mira", "cost:<5", "risk:low risk:high risk:medium"]
)
def test_the_gravest_come_first_page_by_page_and_each_once(lead, many, typed):
    assert walked(lead, ORDERS["risk"], typed) == many


def test_the_way_back_in_order_of_risk_leads_over_the_same_rows(lead, many):
    order = ORDERS["risk"]
    place = Place(key=many[-1].pk, moment=many[-1].expires_at, rank=2, back=True)
    found = walked(lead, order, "requester:mira", "before", place)
    assert sorted(found, key=lambda each: (each.risk_rank, each.pk)) == many[:-1]


@pytest.mark.parametrize("sort", list(ORDERS))
def test_every_order_is_kept_where_a_name_is_asked_for(lead, many, sort):
    order = ORDERS[sort]
    names = [
        F(name.removeprefix("-")).desc() if name[0] == "-" else F(name) for name in order.fields()
    ]
    found = walked(lead, order, "requester:mira")
    if sort == "due":  # of a page those due at the same moment stand by risk
        found.sort(key=lambda each: each.pk)
    assert found == list(Approval.objects.order_by(*names))


COMBINED = (
    *("agent:tester requester:mira", "agent:coder cost:>1", "requester:mira cost:<5 agent:router"),
    *("agent:coder risk:medium cost:>1 requester:mira", "agent:coder agent:tester requester:mira"),
    *(
        "cost:<1 requester:mira",
        "agent:router requester:mira risk:low",
        "agent:tester due:>1h cost:>1",
    ),
)


@pytest.mark.parametrize("typed", COMBINED)
@pytest.mark.parametrize("over", [False, True])
def test_whichever_list_is_read_the_same_fits(lead, many, change, typed, over):
    if over:
        many[0].move("withdrawn", decided_at=many[0].requested_at)
        many[1].move("expired", decided_at=many[0].requested_at)
        change.move("withdrawn", decided_at=change.requested_at)
        typed = f"{typed} state:withdrawn"
    given, mine = filters.parse(typed), Mine.of(lead)
    known = filters.look_up(given, lead, mine, over=over)
    fits = filters.of_approvals(given, known, pending=not over)
    few = Approval.objects.filter(fits.all, decided_at__isnull=not over)
    assert set(known.lengths) == {each.word for each in fits.lists}
    for each in fits.lists:
        alone = replace(fits, lists=(each,))
        if over:
            found = selectors.decided(lead, mine, fits=alone).rows
        else:
            found = selectors.needs_you(lead, mine, fits=alone).pending
        assert {row.pk for row in found} == set(few.values_list("pk", flat=True)), each


def test_the_shortest_list_is_read(lead, many, change, project, second_lead):
    theirs = sealing.seal(make_report(project, second_lead))
    for typed, first in (
        ("agent:tester requester:mira", "agent"),
        (f"agent:aggregator requester:{second_lead.username}", "requester"),
        ("agent:aggregator requester:mira", "agent"),
        ("requester:mira cost:>1", "cost"),
        ("agent:router cost:<1", "agent"),
    ):
        given = filters.parse(typed)
        known = filters.look_up(given, lead, Mine.of(lead))
        assert filters.of_approvals(given, known).lists[0].word == first, (typed, known.lengths)
    assert known.lengths == {"agent": 0, "cost": len([*many, theirs])}
    assert filters.look_up(filters.parse("agent:tester"), lead, Mine.of(lead)).lengths == {}


def test_whom_a_list_is_of_is_counted_before_it_is_known_who_that_is(lead, many, change, stranger):
    given = filters.parse("requester:MIRA requester:me agent:tester")
    assert filters.look_up(given, lead, Mine.of(lead)).lengths["requester"] == len([*many, change])
    assert filters.look_up(given, stranger, Mine.of(stranger)).lengths["requester"] == 0


def test_of_two_agents_each_is_shown_once(lead, change):
    found = walked(lead, ORDERS["due"], "agent:coder agent:tester")
    assert [each.pk for each in found] == [change.pk]


@pytest.mark.parametrize("place", ["9", "1.2", "10.5.x", "-1.5.x", "a.b.c", "1.2.3.4"])
def test_a_place_that_is_none_is_the_first_page(place):
    assert Place.of(ORDERS["risk"], {"after": place}) is None
