"""What waits for a signature is put off for one person, for a while, never past its deadline."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from threading import Barrier, Thread

import pytest
from django.db import IntegrityError, connection, transaction
from django.urls import reverse
from django.utils import timezone

from agents.models import Hold
from approvals import deadlines, policies, sealing, selectors, snoozing
from approvals.exceptions import DecisionConflict
from approvals.models import Approval, Snooze
from projects.exceptions import InvalidInput, NotAllowed
from projects.models import AuditEntry
from tests import console_fixtures as fixtures
from tests.api_fixtures import by_session, by_token
from tests.approval_fixtures import end_time, make_report, past_triggers
from tests.reviewing import decide

pytestmark = pytest.mark.django_db


@pytest.fixture
def approval(project, requester):
    return fixtures.reviewed_task(project, requester).approval


def later(**span):
    return timezone.now() + timedelta(**span)


def asked(person):
    return [row.pk for row in selectors.needs_you(person).pending]


def past(approval, **span):
    """Let a snooze have begun and ended so long ago."""
    moment = timezone.now() - timedelta(**span)
    Snooze.objects.filter(approval=approval).update(at=moment - timedelta(hours=1), until=moment)


def test_one_person_is_not_asked_and_the_other_is(approval, lead, second_lead):
    snoozing.snooze(approval, by=lead, until=later(hours=4))
    assert (asked(lead), asked(second_lead)) == ([], [approval.pk])
    assert selectors.count_needs_you(lead, cap=500) == 0
    assert selectors.count_needs_you(second_lead, cap=500) == 1


def test_it_comes_back_by_itself(approval, lead):
    snoozing.snooze(approval, by=lead, until=later(hours=4))
    past(approval, seconds=1)
    assert asked(lead) == [approval.pk]
    assert not snoozing.wake(approval, by=lead)  # it is awake


def test_it_is_woken(approval, lead, second_lead):
    for person in (lead, second_lead):
        snoozing.snooze(approval, by=person, until=later(hours=4))
    assert snoozing.wake(approval, by=lead)
    assert not snoozing.wake(approval, by=lead)
    assert (asked(lead), asked(second_lead)) == ([approval.pk], [])


def test_the_later_call_counts(approval, lead):
    snoozing.snooze(approval, by=lead, until=later(hours=4))
    kept = snoozing.snooze(approval, by=lead, until=later(hours=1))
    (row,) = Snooze.objects.filter(approval=approval)
    assert (row.until, row.at) == (kept.until, kept.at)


def test_it_ends_an_hour_before_the_deadline(approval, lead):
    kept = snoozing.snooze(approval, by=lead, until=later(days=365))
    assert kept.until == approval.expires_at - timedelta(hours=1)


def test_what_is_due_soon_is_not_put_off(approval, lead):
    end_time(approval, in_seconds=49.5 * 60)
    approval.refresh_from_db()
    assert snoozing.offers(approval.expires_at, timezone.now()) == []
    with pytest.raises(InvalidInput, match="due in 49 min"):
        snoozing.snooze(approval, by=lead, until=later(minutes=5))
    assert not Snooze.objects.exists()


def test_what_was_extended_is_put_off_by_its_new_end(project, requester, lead, client):
    policies.change(project, by=lead, extend_hours=24)
    approval = sealing.seal(make_report(project, requester))
    end_time(approval, in_seconds=-600)
    client.force_login(lead)
    page = client.get(f"/review/{approval.task.label}/r1").content.decode()
    assert 'value="hours"' in page
    end = deadlines.end_of(approval)
    kept = snoozing.snooze(approval, by=lead, until=later(days=3))
    assert kept.until == end - timedelta(hours=1)
    assert timedelta(hours=22) < kept.until - timezone.now() < timedelta(hours=23)
    end_time(approval, in_seconds=-24 * 3_600 + 49.5 * 60)
    with pytest.raises(InvalidInput, match="due in 49 min"):
        snoozing.snooze(approval, by=lead, until=later(minutes=5))


def test_what_was_held_is_put_off_by_so_much_more(approval, lead):
    past_triggers(
        "UPDATE approvals_approval SET requested_at = now() - interval '5 h' WHERE id = %s",
        approval.pk,
    )
    end_time(approval, in_seconds=1_800)
    lift = {"lifted_by": lead, "lifted_at": later(hours=-1)}
    Hold.objects.create(
        scope="task", task=approval.task, placed_by=lead, placed_at=later(hours=-4), **lift
    )
    kept = snoozing.snooze(approval, by=lead, until=later(days=3))
    assert timedelta(hours=2) < kept.until - timezone.now() < timedelta(hours=3)


def test_the_spans_that_are_offered_end_in_time(approval, lead):
    end_time(approval, in_seconds=6 * 3_600)
    now, end = timezone.now(), deadlines.end_of(approval)
    offered = [offer.key for offer in snoozing.offers(end, now)]
    assert [key for key in offered if key != "tomorrow"] == ["hour", "hours", "due"]
    for key in offered:
        assert now < snoozing.after(approval, key) <= snoozing.latest(approval)
    with pytest.raises(InvalidInput, match="hour, tomorrow, main, hours, due"):
        snoozing.after(approval, "week")


def test_only_whom_it_waits_for_puts_it_off(approval, requester, lead, stranger):
    for person in (requester, stranger):
        with pytest.raises(NotAllowed):
            snoozing.snooze(approval, by=person, until=later(hours=1))
    facts = {"digest": approval.digest, "nonce": approval.nonce}
    decide(approval.pk, by=lead, verdict="reject", note="No.", **facts)
    with pytest.raises(DecisionConflict, match="does not wait for you any more"):
        snoozing.snooze(approval, by=lead, until=later(hours=1))
    assert not Snooze.objects.exists()


def test_what_was_put_off_is_listed_until_it_is_decided(approval, lead, second_lead):
    from projects.across import Mine

    def put_off(person):
        mine = Mine.of(person)
        counted = selectors.snoozed_of(person, mine, 500)
        with connection.cursor() as cursor:
            cursor.execute(*counted)
            count = cursor.fetchone()[0]
        rows = selectors.snoozed(person, mine).rows
        assert len(rows) == count
        return [(row.pk, row.asleep_until) for row in rows]

    kept = snoozing.snooze(approval, by=lead, until=later(hours=4))
    assert put_off(lead) == [(approval.pk, kept.until)]
    assert put_off(second_lead) == []
    facts = {"digest": approval.digest, "nonce": approval.nonce}
    decide(approval.pk, by=second_lead, verdict="reject", note="No.", **facts)
    assert put_off(lead) == []


def test_who_put_it_off_may_still_decide(approval, lead):
    snoozing.snooze(approval, by=lead, until=later(hours=4))
    decide(approval.pk, by=lead, verdict="approve", digest=approval.digest, nonce=approval.nonce)
    assert Approval.objects.get(pk=approval.pk).state == "approved"


def test_each_change_is_in_the_audit_log(approval, lead):
    kept = snoozing.snooze(approval, by=lead, until=later(hours=4), address="10.1.2.3")
    snoozing.wake(approval, by=lead)
    snoozing.wake(approval, by=lead)
    told = AuditEntry.objects.filter(object_id=str(approval.pk)).order_by("pk")
    told = told.filter(action__in=["approval.snoozed", "approval.woken"])
    assert [(entry.action, entry.detail) for entry in told] == [
        ("approval.snoozed", {"until": kept.until.isoformat()}),
        ("approval.woken", {}),
    ]
    assert told[0].address == "10.1.2.3"


def test_the_database_keeps_one_for_each_person(approval, lead):
    kept = snoozing.snooze(approval, by=lead, until=later(hours=4))
    with pytest.raises(IntegrityError, match="one_snooze_per_person"), transaction.atomic():
        Snooze.objects.create(approval=approval, person=lead, until=kept.until, at=kept.at)
    with pytest.raises(IntegrityError, match="snooze_ends_later"), transaction.atomic():
        Snooze.objects.filter(pk=kept.pk).update(until=kept.at)


@pytest.mark.django_db(transaction=True)
def test_two_tabs_at_once_leave_one(approval, lead):
    start, failed = Barrier(4), []

    def put_off(hours):
        try:
            start.wait()
            snoozing.snooze(approval, by=lead, until=later(hours=hours))
        except Exception as error:  # noqa: BLE001  # shown below
            failed.append(error)
        finally:
            connection.close()

    threads = [Thread(target=put_off, args=[hours]) for hours in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failed == []
    assert Snooze.objects.filter(approval=approval, person=lead).count() == 1


def test_the_api_puts_off_and_wakes(approval, lead):
    address = reverse("api:snooze", args=[approval.pk])
    signed_in = by_session(lead)
    wanted = later(hours=2)
    answer = signed_in.post(address, {"until": wanted.isoformat()})
    assert answer.status_code == 200
    assert Snooze.objects.get().until == wanted
    told = {"until": wanted.isoformat().replace("+00:00", "Z"), "main_moves": False}
    assert answer.json() == told
    assert signed_in("DELETE", address).status_code == 204
    assert not Snooze.objects.exists()
    assert signed_in("DELETE", address).status_code == 204


@pytest.mark.parametrize(
    "until", [None, "soon", 7, "2020-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", []]
)
def test_the_api_says_which_moments_it_takes(approval, lead, until):
    address = reverse("api:snooze", args=[approval.pk])
    answer = by_session(lead).post(address, {"until": until})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["until"])
    assert not Snooze.objects.exists()


def test_a_token_puts_nothing_off(approval, lead):
    address = reverse("api:snooze", args=[approval.pk])
    caller = by_token(lead)
    assert caller.post(address, {"until": later(hours=1).isoformat()}).status_code == 403
    assert caller("DELETE", address).status_code == 403


def test_the_inbox_puts_off_and_wakes(client, approval, lead):
    client.force_login(lead)
    number = approval.task.label
    page = client.get("/inbox").content.decode()
    assert reverse("console:snooze", args=[approval.pk]) in page
    done = client.post(reverse("console:snooze", args=[approval.pk]), {"for": "hours"}, follow=True)
    assert f"{number} comes back in 4 h." in done.content.decode()
    assert "Nothing waits for you." in done.content.decode()
    page = client.get("/inbox?tab=snoozed").content.decode()
    assert ">back <time" in page
    assert reverse("console:wake", args=[approval.pk]) in page
    done = client.post(reverse("console:wake", args=[approval.pk]), follow=True)
    assert f"{number} waits for you again." in done.content.decode()
    assert "Nothing is put off." in client.get("/inbox?tab=snoozed").content.decode()


def test_who_puts_off_and_wakes_stays_in_the_view_they_are_in(client, approval, lead):
    client.force_login(lead)
    for tab, name in (("needs-you", "snooze"), ("snoozed", "wake")):
        at = f"/inbox?tab={tab}&q=repo%3Aacme-billing&sort=newest"
        address = reverse(f"console:{name}", args=[approval.pk])
        form = client.get(at).content.decode().partition(f'action="{address}"')[2]
        back = unescape(re.search(r'name="next" value="([^"]+)"', form.partition("</form>")[0])[1])
        assert back == at
        answer = client.post(address, {"for": "hour", "next": back})
        assert answer.headers["Location"] == at
    away = client.post(address, {"next": "https://evil.example/inbox"})
    assert away.headers["Location"] == "/"


def test_what_the_inbox_cannot_do_it_says(client, approval, lead, requester, stranger):
    address = reverse("console:snooze", args=[approval.pk])
    client.force_login(lead)
    said = client.post(address, {"for": "ever"}, follow=True).content.decode()
    assert "Use one of hour, tomorrow, main, hours, due." in said
    assert client.get(address).status_code == 405
    client.force_login(requester)
    assert (
        "Only a tech lead of this project can decide."
        in client.post(address, {"for": "hour"}, follow=True).content.decode()
    )
    client.force_login(stranger)
    for name in ("snooze", "wake"):
        assert client.post(reverse(f"console:{name}", args=[approval.pk])).status_code == 404
    assert not Snooze.objects.exists()


def test_a_review_of_what_was_put_off_knows_its_place(client, approval, lead):
    snoozing.snooze(approval, by=lead, until=later(hours=4))
    client.force_login(lead)
    address = reverse("console:review", args=[approval.task.number, 1])
    page = client.get(address).content.decode()
    assert "1 of 1" in " ".join(page.split())


def test_another_projects_lead_finds_nothing(approval, stranger):
    address = reverse("api:snooze", args=[approval.pk])
    caller = by_session(stranger)
    assert caller.post(address, {"until": later(hours=1).isoformat()}).status_code == 404
