"""What is put off until tomorrow at nine, by the person's own clock, or until main moves."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from approvals import following, sealing, selectors, snoozing
from approvals.models import Approval, Snooze
from notices.models import Hours
from projects.exceptions import InvalidInput
from projects.models import AuditEntry
from tests.api_fixtures import by_session
from tests.approval_fixtures import (
    end_time,
    make_change,
    make_report,
    make_repository,
    move_main,
    past_triggers,
)
from tests.integration.test_merged_again import merged_again

pytestmark = pytest.mark.django_db
SPARE = timedelta(hours=1)


@pytest.fixture
def bare(project, tmp_path):
    return make_repository(tmp_path, project)


@pytest.fixture
def change(project, requester, lead, bare, tmp_path):
    return sealing.seal(make_change(project, requester, tmp_path))


@pytest.fixture
def letter(project, requester, lead):
    return sealing.seal(make_report(project, requester))


def asked(person):
    return [row.pk for row in selectors.needs_you(person).pending]


def offered(approval, **facts):
    now = timezone.now()
    return [each.key for each in snoozing.offers(approval.expires_at, now, **facts)]


def halfway(approval):
    return approval.requested_at + (approval.expires_at - approval.requested_at) / 2


@pytest.mark.parametrize(
    ("now", "zone", "morning"),
    [
        ("2026-11-30T16:20", "UTC", "2026-12-01T09:00"),
        ("2026-11-30T22:30", "Europe/Berlin", "2026-12-01T08:00"),
        ("2026-11-30T23:30", "Europe/Berlin", "2026-12-02T08:00"),  # it is the 1st there
        ("2026-11-30T16:20", "Asia/Tokyo", "2026-12-02T00:00"),
        ("2026-03-28T12:00", "Europe/Berlin", "2026-03-29T07:00"),  # summer time begins that night
        ("2026-10-24T12:00", "Europe/Berlin", "2026-10-25T08:00"),
    ],
)
def test_tomorrow_at_nine_is_by_the_clock_on_the_wall(now, zone, morning):
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    found = snoozing.tomorrow(moment, ZoneInfo(zone))
    assert found == datetime.fromisoformat(morning).replace(tzinfo=UTC)


def test_it_is_offered_in_the_order_of_use_and_only_in_time(change):
    assert offered(change, merges=True) == ["hour", "tomorrow", "main", "hours", "due"]
    assert offered(change) == ["hour", "tomorrow", "hours", "due"]
    now = datetime(2026, 11, 30, 16, tzinfo=UTC)
    keys = [each.key for each in snoozing.offers(now + timedelta(hours=18), now)]
    assert keys == ["hour", "hours", "due"]  # at nine it is due within the hour
    tokyo = snoozing.offers(now + timedelta(hours=18), now, clock=ZoneInfo("America/Lima"))
    assert "tomorrow" not in [each.key for each in tokyo]
    late = snoozing.offers(now + timedelta(hours=20), now, clock=ZoneInfo("UTC"))
    assert late[1].words == "Until tomorrow 9:00, UTC"


def test_the_page_takes_the_clock_of_quiet_hours_else_the_servers(client, change, lead):
    client.force_login(lead)
    address = f"/review/{change.task.label}/r1"
    page = client.get(address).content.decode()
    places = [page.index(f'value="{key}"') for key in ("hour", "tomorrow", "main", "hours", "due")]
    assert places == sorted(places)
    assert "Until tomorrow 9:00, UTC" in page
    Hours.objects.create(person=lead, begins=time(20), ends=time(7), zone="Asia/Tokyo")
    assert "Until tomorrow 9:00, Asia/Tokyo" in client.get(address).content.decode()
    client.post(reverse("console:snooze", args=[change.pk]), {"for": "tomorrow"})
    local = Snooze.objects.get().until.astimezone(ZoneInfo("Asia/Tokyo"))
    today = timezone.now().astimezone(ZoneInfo("Asia/Tokyo")).date()
    assert (local.time(), local.date() - today) == (time(9), timedelta(days=1))


def test_main_moving_brings_it_back(change, bare, lead, second_lead, monkeypatch):
    monkeypatch.setattr(following, "FIRST_WAIT", 3_600.0)  # it is not put up again yet
    snoozing.put_off(change, "main", by=lead)
    snoozing.snooze(change, by=second_lead, until=timezone.now() + timedelta(hours=4))
    following.follow({})
    assert asked(lead) == []
    moved = move_main(bare)
    following.follow({})
    assert (asked(lead), asked(second_lead)) == ([change.pk], [])
    told = AuditEntry.objects.filter(action="approval.woken").get()
    assert (told.actor, told.detail) == (None, {"main": moved, "person": lead.username})
    following.follow({})
    assert AuditEntry.objects.filter(action="approval.woken").count() == 1


def test_who_waited_for_main_is_asked_for_what_was_merged_again(
    change, bare, lead, second_lead, tmp_path, monkeypatch
):
    monkeypatch.setattr(following, "FIRST_WAIT", 0.0)
    snoozing.put_off(change, "main", by=lead)
    snoozing.snooze(change, by=second_lead, until=timezone.now() + timedelta(hours=4))
    move_main(bare)
    assert following.follow({}) == 1
    again = merged_again(change, tmp_path)
    assert (asked(lead), asked(second_lead)) == ([again.pk], [])


def test_who_waits_for_main_waits_on_where_another_version_is_made_on_the_same(
    change, lead, tmp_path
):
    snoozing.put_off(change, "main", by=lead)
    Approval.objects.filter(pk=change.pk).update(
        state="stale", decided_at=timezone.now(), reason="Somebody edited it."
    )
    merged_again(change, tmp_path)
    assert asked(lead) == []
    assert Snooze.objects.filter(main_moves=True).count() == 2


def test_it_is_back_when_people_are_reminded_at_the_latest(change, lead):
    kept = snoozing.put_off(change, "main", by=lead)
    assert kept.main_moves
    assert kept.until == halfway(change)
    past_triggers(
        "UPDATE approvals_approval SET requested_at = now() - interval '5 h',"
        " expires_at = now() + interval '3 h' WHERE id = %s",
        change.pk,
    )
    change.refresh_from_db()
    assert snoozing.put_off(change, "main", by=lead).until == change.expires_at - SPARE
    end_time(change, in_seconds=1_800)
    change.refresh_from_db()
    with pytest.raises(InvalidInput, match="too soon"):
        snoozing.put_off(change, "main", by=lead)


def test_another_span_takes_its_place(change, bare, lead):
    snoozing.put_off(change, "main", by=lead)
    snoozing.put_off(change, "hours", by=lead)
    move_main(bare)
    assert snoozing.main_moved(change.project, "f" * 40) == 0
    assert asked(lead) == []


def test_what_merges_nothing_does_not_wait_for_main(client, letter, lead):
    client.force_login(lead)
    page = client.get(f"/review/{letter.task.label}/r1").content.decode()
    assert 'value="tomorrow"' in page
    assert 'value="main"' not in page
    for put_off in (
        lambda: snoozing.put_off(letter, "main", by=lead),
        lambda: snoozing.snooze(
            letter, by=lead, until=timezone.now() + timedelta(hours=2), main_moves=True
        ),
    ):
        with pytest.raises(InvalidInput, match="merges nothing"):
            put_off()
    answer = by_session(lead).post(reverse("api:snooze", args=[letter.pk]), {"span": "main"})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["span"])
    assert not Snooze.objects.exists()


def test_the_inbox_says_that_it_waits_for_main(client, change, lead):
    client.force_login(lead)
    assert 'value="main"' in client.get("/inbox").content.decode()
    address = reverse("console:snooze", args=[change.pk])
    said = client.post(address, {"for": "main"}, follow=True).content.decode()
    assert "comes back when main moves, in " in said
    listed = client.get("/inbox?tab=snoozed").content.decode()
    assert "back when main moves, or <time" in listed


def test_several_are_put_off_until_main_moves_where_all_of_them_merge(client, change, letter, lead):
    client.force_login(lead)
    both = f"/inbox/selected?pick={change.pk}&pick={letter.pk}"
    assert 'value="main"' not in client.get(both).content.decode()
    assert 'value="main"' in client.get(f"/inbox/selected?pick={change.pk}").content.decode()
    client.post(reverse("console:snooze_selected"), {"pick": [str(change.pk)], "for": "main"})
    assert Snooze.objects.get().main_moves


def test_the_api_takes_a_span_in_place_of_a_moment(change, lead):
    address = reverse("api:snooze", args=[change.pk])
    caller = by_session(lead)
    answer = caller.post(address, {"span": "main"})
    assert answer.status_code == 200
    assert answer.json()["main_moves"] is True
    for body in ({}, {"span": "tomorrow", "until": "2099-01-01T00:00:00Z"}):
        answer = caller.post(address, body)
        assert (answer.status_code, list(answer.json()["errors"])) == (400, ["until"])
    for span in ("day", "", 7, None):
        answer = caller.post(address, {"span": span})
        assert (answer.status_code, list(answer.json()["errors"])) == (400, ["span"])
    assert caller.post(address, {"span": "tomorrow"}).json()["main_moves"] is False


def test_where_nobody_waits_for_main_a_look_writes_nothing(change, lead):
    snoozing.put_off(change, "hours", by=lead)
    with CaptureQueriesContext(connection) as queries:
        assert snoozing.main_moved(change.project, "f" * 40) == 0
    assert len(queries) == 1
