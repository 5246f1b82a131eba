"""What is kept of deliveries: encrypted, by the database's rules, and not for ever."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection
from django.db.models.functions import Now
from django.utils import timezone

from notices import delivering, reading, requests, tidying
from notices.lifecycle import DeliveryState
from notices.models import Delivery, Notice, Webhook
from tests.notice_fixtures import deliver_due, make_webhook, read_all, sealed
from tests.receivers import a_receiver

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _begun(db, settings):
    settings.WEBHOOK_HOSTS = ["127.0.0.1"]
    reading.begin()


@pytest.fixture
def receiver():
    with a_receiver() as receiver:
        yield receiver


def test_neither_address_nor_secret_can_be_read_in_the_database(project, receiver, settings):
    webhook = make_webhook(project, receiver.url)
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_jsonb(w)::text FROM notices_webhook w")
        row = cursor.fetchone()[0]
    assert "/hook" not in row
    assert "MfKQ9r8G" not in row
    settings.SECRET_KEY = "another key, that is long enough to be taken for one"
    delivery = requests.send_test(webhook, by=None)
    deliver_due()
    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.GIVEN_UP
    assert "Enter it again" in delivery.error


def test_the_database_holds_the_rules_of_deliveries(project, requester, lead, receiver):
    webhook = make_webhook(project, receiver.url)
    sealed(project, requester)
    read_all()
    one = Delivery.objects.get()
    facts = {"notice": one.notice, "created_at": timezone.now()}
    for name, more in {
        "one_message_per_webhook": {"webhook": webhook},
        "delivery_has_one_receiver": {},
        "delivery_(state_known|finished_at_iff_over)": {"person": lead, "state": "lost"},
        "delivery_finished_at_iff_over": {"person": lead, "state": "sent"},
    }.items():
        with pytest.raises(IntegrityError, match=name):
            Delivery.objects.create(**facts, **more)
    with pytest.raises(IntegrityError, match="webhook_can_sign"):
        Webhook.objects.filter(pk=webhook.pk).update(secret="")


def test_old_notices_are_forgotten_but_not_what_is_on_its_way(project, requester, lead, receiver):
    make_webhook(project, receiver.url)
    sealed(project, requester)
    read_all()
    Notice.objects.update(at=timezone.now() - tidying.KEPT - timedelta(days=1))
    assert tidying.forget_old() == 0
    deliver_due()
    assert tidying.forget_old() == 1
    assert not Delivery.objects.exists()


def test_all_that_is_old_is_forgotten_at_once_however_much_it_is(project, monkeypatch):
    monkeypatch.setattr("notices.tidying._AT_ONCE", 3)
    old = timezone.now() - tidying.KEPT - timedelta(days=1)
    rows = [Notice(project=project, type="test", kind="outcome", at=old) for _ in range(8)]
    Notice.objects.bulk_create(rows)
    assert tidying.forget_old() == 8
    assert not Notice.objects.exists()


def test_what_waited_for_days_behind_a_receiver_that_is_away_is_given_up(
    project, requester, lead, receiver
):
    receiver.answers = [503]
    make_webhook(project, receiver.url)
    for _ in range(3):
        sealed(project, requester)
    read_all()
    deliver_due()
    fresh, *_ = Delivery.objects.order_by("id")
    late = Delivery.objects.exclude(pk=fresh.pk)
    late.update(waits_since=timezone.now() - tidying.LATEST - timedelta(minutes=1))
    assert tidying.give_up_late() == 2
    assert set(late.values_list("state", "error")) == {("given_up", "It waited for three days.")}
    assert Delivery.objects.get(pk=fresh.pk).state == DeliveryState.WAITING
    assert tidying.give_up_late() == 0


def test_what_is_sent_again_after_days_is_tried_as_anew(project, requester, lead, admin, receiver):
    receiver.answers = [404]
    make_webhook(project, receiver.url)
    sealed(project, requester)
    read_all()
    long_ago = timezone.now() - tidying.LATEST - timedelta(minutes=1)
    Delivery.objects.update(created_at=long_ago, waits_since=long_ago)
    assert tidying.give_up_late() == 1
    requests.send_again(Delivery.objects.get(), by=admin)
    deliver_due()
    assert tidying.give_up_late() == 0
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts) == (DeliveryState.WAITING, 1)
    Delivery.objects.update(waits_since=long_ago)
    assert tidying.give_up_late() == 1


def test_what_waited_follows_at_once_when_the_receiver_is_back(project, requester, lead, receiver):
    receiver.answers = [503] * 6
    make_webhook(project, receiver.url)
    for _ in range(4):
        sealed(project, requester)
    read_all()
    first, *others = Delivery.objects.order_by("id")
    for _ in range(6):  # hours of it
        deliver_due()
        Delivery.objects.filter(pk=first.pk).update(next_at=Now())
    hours = timezone.now() + timedelta(hours=1)
    assert Delivery.objects.filter(attempts=0, next_at__gt=hours).count() == len(others)
    receiver.answers = [200]
    got = len(receiver.got)
    while delivering.due(200):
        deliver_due()
    sent = [each.headers["webhook-id"] for each in receiver.got[got:]]
    assert sent == [f"msg_{each.pk}" for each in (first, *others)]


def test_what_failed_by_itself_keeps_its_own_wait(project, requester, lead, receiver):
    receiver.answers = [400, 200]
    make_webhook(project, receiver.url)
    sealed(project, requester)
    sealed(project, requester)
    read_all()
    deliver_due()
    Delivery.objects.filter(attempts=1).update(next_at=timezone.now() + timedelta(hours=1))
    deliver_due()
    refused = Delivery.objects.get(state=DeliveryState.WAITING)
    assert refused.next_at > timezone.now() + timedelta(minutes=50)
