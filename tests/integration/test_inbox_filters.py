"""The inbox narrowed by its address: what fits is shown, page by page, and nothing of others."""

from __future__ import annotations

import re
from decimal import Decimal
from html import unescape
from typing import TYPE_CHECKING

import pytest
from django.db.models import Q

from approvals import filters, sealing, selectors, snoozing
from projects.models import Membership, Project, Role
from tests import console_fixtures as fixtures
from tests.approval_fixtures import end_time, make_report

if TYPE_CHECKING:
    from approvals.models import Approval

pytestmark = pytest.mark.django_db
MOST = 12


@pytest.fixture
def other(requester, lead) -> Project:
    """Return another project of the same people."""
    made = Project.objects.create(slug="web", name="acme/web", repository="/nowhere.git")
    for person, role in ((requester, Role.REQUESTER), (lead, Role.LEAD)):
        Membership.objects.create(user=person, project=made, role=role)
    return made


@pytest.fixture
def waiting(project, other, requester, second_lead) -> dict[str, Approval]:
    """Return four that wait: risks and requesters, projects and agents differ."""
    found = {
        "change": fixtures.reviewed_task(project, requester, usd=Decimal("1.42")).approval,
        "report": sealing.seal(make_report(project, requester)),
        "ravi": sealing.seal(make_report(project, second_lead)),
        "web": sealing.seal(make_report(other, requester)),
    }
    end_time(found["web"], in_seconds=1_800)
    return found


@pytest.fixture
def shown(client, lead, waiting):
    """Return which of them a page of the inbox shows."""
    client.force_login(lead)

    def rows(**query) -> set[str]:
        page = client.get("/inbox", query).content.decode()
        keys = set(re.findall(r'id="row-([0-9a-f-]{36})"', page))
        return {name for name, each in waiting.items() if str(each.pk) in keys}

    return rows


@pytest.mark.parametrize(
    ("typed", "fits"),
    [
        ("", {"change", "report", "ravi", "web"}),
        ("risk:low", {"report", "ravi", "web"}),
        ("risk:low risk:medium risk:high", {"change", "report", "ravi", "web"}),
        ("agent:tester", {"change"}),
        ("agent:router", set()),
        ("repo:web", {"web"}),
        ("repo:acme/web", {"web"}),
        ("repo:web repo:acme-billing requester:ravi", {"ravi"}),
        ("requester:mira risk:low", {"report", "web"}),
        ("requester:me", set()),
        ("cost:>1", {"change"}),
        ("cost:>1.50", set()),
        ("cost:>1.4 cost:<2", {"change"}),
        ("cost:<0.02", {"report", "ravi", "web"}),
        ("cost:>2 cost:<1", set()),
        ("cost:>1 agent:coder risk:medium requester:mira", {"change"}),
        ("cost:>1 agent:router", set()),
        ("agent:tester agent:router", {"change"}),
        ("requester:mira agent:tester", {"change"}),
        ("requester:ravi agent:tester", set()),
        ("due:<1h", {"web"}),
        ("due:<1h requester:mira", {"web"}),
        ("due:>1h requester:mira risk:low", {"report"}),
        ("due:>1h", {"change", "report", "ravi"}),
        ("due:>1h due:<1h", set()),
        ("state:pending", {"change", "report", "ravi", "web"}),
        ("state:pending state:approved requester:ravi", {"ravi"}),
        ("state:approved", set()),
        ("state:approved agent:tester", set()),
        ("state:working", set()),
    ],
)
def test_what_fits_is_shown(shown, typed, fits):
    assert shown(q=typed) == fits


def test_what_waits_no_more_is_shown_by_no_filter_but_where_it_is(
    shown, waiting, project, requester, client
):
    stale = waiting["ravi"]
    stale.move("stale", decided_at=stale.requested_at)
    fixtures.stopped_task(project, requester)
    for typed, there in (
        ("", True),
        ("repo:acme-billing", True),
        ("repo:web", False),
        ("state:pending", False),
        ("kind:proposal", False),
        ("state:pending repo:acme-billing", False),
        ("risk:low", False),
        ("state:stale", False),
    ):
        assert ("ravi" in shown(q=typed)) is there, typed
        page = client.get("/inbox", {"q": typed}).content.decode()
        assert ("Stopped, needs an answer" in page) is there, typed


def test_a_filter_that_is_not_understood_shows_nothing_and_says_why(client, lead, shown):
    for typed, said in (
        ("risk:low age:>1", "“age” is not known here."),
        ("repo:secret", "“secret” is none of your projects."),
        ("agent:nobody", "“nobody” is no agent."),
    ):
        assert shown(q=typed) == set()
        page = unescape(client.get("/inbox", {"q": typed}).content.decode())
        assert said in page
        assert "This filter was not understood, so nothing is shown." in page


def test_a_foreign_project_is_as_unknown_as_one_that_never_was(client, lead, shown):
    Project.objects.create(slug="secret", name="secret", repository="/nowhere.git")
    pages = [
        client.get("/inbox", {"q": f"repo:{name}"}).content.decode().replace(name, "")
        for name in ("secret", "secrex")
    ]
    clean = [re.sub(r'value="[^"]{64}"|since=[0-9.]+', "", page) for page in pages]
    assert clean[0] == clean[1]


def test_what_was_typed_stays_text(client, lead, shown):
    page = client.get("/inbox", {"q": '"><script>alert(1)</script>'}).content.decode()
    assert "<script>alert" not in page


def test_an_empty_answer_offers_to_clear_the_filter(client, lead, shown):
    for tab in ("needs-you", "with-agents", "snoozed", "decided"):
        page = client.get("/inbox", {"q": "requester:nobody", "tab": tab}).content.decode()
        assert "Nothing fits this filter." in page
        assert f'<a href="?tab={tab}">Clear filters</a>' in page


def test_every_tab_keeps_the_filter_and_each_chip_drops_one_term(client, lead, shown):
    page = unescape(client.get("/inbox", {"q": "risk:low repo:web"}).content.decode())
    kept = "q=risk%3Alow+repo%3Aweb"
    for tab in ("needs-you", "with-agents", "snoozed", "decided"):
        assert f'href="?tab={tab}&{kept}"' in page
    assert 'href="?q=repo%3Aweb&tab=needs-you"' in page
    assert 'href="?q=risk%3Alow&tab=needs-you"' in page


def test_the_other_tabs_are_narrowed_too(client, lead, waiting, project, requester):
    client.force_login(lead)
    snoozing.snooze(waiting["report"], by=lead, until=waiting["report"].expires_at)
    waiting["ravi"].move("withdrawn", decided_at=waiting["ravi"].requested_at)
    fixtures.running_task(project, requester, usd="1.42")
    fixtures.queued_task(project, requester)
    for tab, typed, rows in (
        ("snoozed", "risk:low", 1),
        ("snoozed", "risk:high", 0),
        ("decided", "requester:ravi due:<1h", 1),
        ("decided", "requester:mira", 0),
        ("with-agents", "requester:mira risk:high", 2),
        ("with-agents", "cost:>0", 1),
        ("with-agents", "cost:<1000", 2),
        ("with-agents", "cost:>0 state:queued", 0),
        ("with-agents", "repo:web", 0),
        ("snoozed", "state:pending", 1),
        ("snoozed", "state:withdrawn", 0),
        ("decided", "state:withdrawn", 1),
        ("decided", "state:withdrawn state:rejected risk:low requester:ravi", 1),
        ("decided", "state:withdrawn agent:tester", 0),
        ("decided", "state:withdrawn cost:>1", 0),
        ("decided", "state:approved state:pending", 0),
        ("decided", "state:queued", 0),
        ("with-agents", "state:working", 1),
        ("with-agents", "state:queued state:planning", 1),
        ("with-agents", "state:planning", 0),
        ("with-agents", "state:withdrawn", 0),
    ):
        page = client.get("/inbox", {"tab": tab, "q": typed}).content.decode()
        assert len(re.findall(r"<a class=\"row-link\"", page)) == rows, (tab, typed)


def test_pages_of_a_filtered_list_show_each_once(project, requester, lead, client, waiting):
    made = [sealing.seal(make_report(project, requester)) for _ in range(6)]
    fit = {each.pk for each in (*made, waiting["report"])}
    fits = filters.Conditions(where=Q(requester=requester, risk="low", project=project))
    for order in selectors.SORTS.values():
        seen, place = [], None
        while True:
            page = selectors.needs_you(lead, place=place, limit=2, fits=fits, order=order).page
            seen += [row.pk for row in page.rows]
            if not page.after:
                break
            place = selectors.Place.of(order, {"after": page.after})
        assert (set(seen), len(seen)) == (fit, len(fit))


def test_the_order_is_chosen_in_the_address(client, lead, waiting):
    client.force_login(lead)

    def order(sort: str) -> list[str]:
        page = client.get("/inbox", {"sort": sort}).content.decode()
        return re.findall(r'id="row-([0-9a-f-]{36})"', page)

    by_age = [str(each.pk) for each in sorted(waiting.values(), key=lambda each: each.pk)]
    assert order("oldest") == by_age
    assert order("newest") == by_age[::-1]
    assert order("due")[0] == order("nonsense")[0] == str(waiting["web"].pk)


@pytest.mark.parametrize("tab", ["needs-you", "with-agents", "snoozed", "decided"])
def test_a_filter_costs_no_more_statements_than_a_page_may(
    client, lead, waiting, django_assert_max_num_queries, tab
):
    client.force_login(lead)
    query = {"tab": tab, "q": "risk:low agent:coder repo:web requester:mira due:<9h"}
    client.get("/inbox", query)
    with django_assert_max_num_queries(MOST):
        assert client.get("/inbox", query).status_code == 200


@pytest.mark.parametrize(
    "typed", ["risk:low\r", "é:é", "requester:" + "x" * 290, "due:<9999d", "agent:\"}]'--"]
)
def test_whatever_is_typed_is_answered(client, lead, waiting, typed):
    client.force_login(lead)
    assert client.get("/inbox", {"q": typed}).status_code == 200
    assert client.get("/inbox/live", {"q": typed}).status_code == 200
