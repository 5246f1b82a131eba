"""What is kept of deliveries: encrypted, by the database's rules, and not for ever."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection
from django.utils import timezone

from notices import reading, requests, tidying
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
