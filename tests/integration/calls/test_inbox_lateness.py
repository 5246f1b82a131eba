"""Filters by due time know of extensions and holds: what waits is due sooner or later, never neither."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now

from agents.models import Hold
from approvals import filters, policies, sealing, selectors, shortest, snoozing
from approvals.models import Approval, CallApproval, Snooze
from projects.across import Mine
from tests.approval_fixtures import end_time, make_report, past_triggers
from tests.call_fixtures import waiting_call

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
SCOPES = ("task", "project", "everything")


@pytest.fixture
def extending(project, lead) -> None:
    """Let the end of the time to decide be put off by a day."""
    policies.change(project, by=lead, extend_hours=24)


@pytest.fixture
def review(extending, project, requester, lead) -> Approval:
    return sealing.seal(make_report(project, requester))


@pytest.fixture
def call(extending, tool, project, requester, lead, second_lead) -> CallApproval:
    return waiting_call(project, requester)


def end(asked: Approval | CallApproval, *, in_minutes: int) -> None:
    """Let the sealed end be then."""
    if isinstance(asked, Approval):
        end_time(asked, in_seconds=60 * in_minutes)
    else:
        moved = "UPDATE approvals_callapproval SET expires_at = now() + %s WHERE id = %s"
        past_triggers(moved, timedelta(minutes=in_minutes), asked.pk)


def hold(asked: Approval | CallApproval, scope: str, lead, minutes: int = 30) -> None:
    """Let it have been asked for five hours ago, held for three of them, and end in half an hour."""
    table = asked._meta.db_table
    change = f"UPDATE {table} SET requested_at = now() - interval '5 hours' WHERE id = %s"  # noqa: S608
    past_triggers(change, asked.pk)
    end(asked, in_minutes=minutes)
    aim = {"task": {"task_id": asked.task_id}, "project": {"project_id": asked.project_id}}
    Hold.objects.create(
        scope=scope,
        **aim.get(scope, {}),
        placed_by=lead,
        placed_at=Now() - 4 * HOUR,
        lifted_by=lead,
        lifted_at=Now() - HOUR,
    )


@pytest.fixture
def shown(client, lead):
    """Return the keys that a page of the inbox shows."""
    client.force_login(lead)

    def keys(typed: str, **query: str) -> set[str]:
        page = client.get("/inbox", {"q": typed, **query}).content.decode()
        return set(re.findall(r'id="row-([0-9a-f-]{36})"', page))

    return keys


WAYS = ("", " requester:mira", " requester:mira risk:low risk:medium risk:high", " cost:<5")


@pytest.mark.parametrize("more", WAYS)
def test_a_review_whose_time_was_extended_is_due_when_it_is(review, shown, more):
    end(review, in_minutes=-10)
    key = {str(review.pk)}
    for sort in ("due", "risk", "newest"):
        assert shown(f"due:>1h{more}", sort=sort) == shown(f"due:<2d{more}", sort=sort) == key
    assert shown(f"due:<1h{more}") == shown(f"due:>2d{more}") == set()
    assert shown(f"due:>1h due:>2d{more}") == set()


@pytest.mark.parametrize("more", WAYS)
@pytest.mark.parametrize("scope", SCOPES)
def test_a_review_that_was_held_is_due_so_much_later(review, shown, lead, scope, more):
    hold(review, scope, lead)
    key = {str(review.pk)}
    assert shown(f"due:>1h{more}") == shown(f"due:>3h{more}") == shown(f"due:<4h{more}") == key
    assert shown(f"due:<1h{more}") == shown(f"due:<3h{more}") == shown(f"due:>4h{more}") == set()


@pytest.mark.parametrize("scope", SCOPES)
def test_a_call_that_was_held_is_due_so_much_later(call, shown, lead, scope):
    hold(call, scope, lead)
    key = {str(call.pk)}
    assert shown("due:>1h") == shown("due:>3h") == shown("due:<4h") == key
    assert shown("due:<1h") == shown("due:>4h") == set()


def test_a_call_whose_time_was_extended_is_due_when_it_is(call, shown):
    end(call, in_minutes=-10)
    assert shown("due:>1h") == shown("due:<2d") == {str(call.pk)}
    assert shown("due:<1h") == shown("due:>2d") == set()


def test_what_was_put_off_is_found_so_too(review, call, shown, lead):
    end(review, in_minutes=-10)
    Snooze.objects.create(approval=review, person=lead, until=Now() + HOUR, at=Now())
    snoozing.snooze(call, by=lead, until=call.requested_at + timedelta(minutes=5))
    assert shown("due:>1h", tab="snoozed") == {str(review.pk), str(call.pk)}
    assert shown("due:>2d", tab="snoozed") == {str(call.pk)}


def test_pages_lead_over_rows_of_every_way_once(review, project, requester, lead):
    end(review, in_minutes=-10)
    others = [sealing.seal(make_report(project, requester)) for _ in range(4)]
    hold(others[0], "task", lead)
    hold(others[1], "task", lead, minutes=40)
    mine, fits = Mine.of(lead), filters.of_approvals(filters.parse("due:>1h"), filters.Known())
    seen, place = [], None
    while True:
        page = selectors.needs_you(lead, mine, place=place, limit=2, fits=fits).page
        seen += [row.pk for row in page.rows]
        if not page.after:
            break
        place = selectors.keyset.Place.of(selectors.BY_DUE, {"after": page.after})
    assert seen == [each.pk for each in (review, *others)]


def test_what_was_not_moved_and_is_due_sooner_is_not_walked(project, requester, lead):
    made = [sealing.seal(make_report(project, requester)) for _ in range(12)]
    for each in made[:10]:
        end_time(each, in_seconds=1_800)
    mine = Mine.of(lead)
    fits = filters.of_approvals(filters.parse("due:>1h"), filters.Known())
    waiting = selectors._waiting(lead, mine)
    keys = shortest.narrowed(waiting, fits).keys(selectors.BY_DUE.fields(), 26)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE approvals_approval")
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {keys.sql}", keys.params)
        found = cursor.fetchone()[0]
    plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    thrown = sum(_thrown(plan))
    assert thrown == 0, json.dumps(plan, indent=1)


def _thrown(node: dict) -> list[float]:
    """Return how many rows each scan of a plan read for nothing."""
    below = [count for child in node.get("Plans", []) for count in _thrown(child)]
    return [*below, node.get("Rows Removed by Filter", 0) * node["Actual Loops"]]
