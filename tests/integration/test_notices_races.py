"""Two who change at once what people are told, and where: played in one order, each whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.admin import site
from django.db import connection, transaction

from notices import choosing, requests
from notices.choosing import Chosen, Wish
from notices.lockbox import lock
from notices.models import Choice, Delivery, Webhook
from projects import audit
from projects.models import AuditEntry
from tests.notice_fixtures import deliver_due, make_webhook
from tests.receivers import a_receiver
from tests.waiting_locks import until_somebody_waits

pytestmark = pytest.mark.django_db(transaction=True)


def closing(work):
    """Do it on a thread of a pool, whose connection nobody else closes."""
    try:
        return work()
    finally:
        connection.close()


def test_of_two_who_replace_them_at_once_the_later_counts(lead, project):
    wish = Wish(bell=False, email=False)
    first, second = ([Chosen(project=None, kind=kind, wish=wish)] for kind in ("due", "stuck"))
    with ThreadPoolExecutor() as pool:
        with transaction.atomic():
            choosing.replace(lead, first, None)
            later = pool.submit(closing, lambda: choosing.replace(lead, second, None))
            until_somebody_waits()
        later.result(30)
    assert list(Choice.objects.values_list("kind", flat=True)) == ["stuck"]


def test_gone_leaves_on_what_an_admin_has_given_another_address(project, settings):
    settings.WEBHOOK_HOSTS = ["127.0.0.1"]

    def moves() -> None:
        Webhook.objects.update(address=lock("https://hooks.example.org/new"))
        connection.close()  # of the receiver's thread

    with a_receiver(answers=[410], on_request=moves) as receiver:
        requests.send_test(make_webhook(project, receiver.url), by=None)
        deliver_due()
    assert Webhook.objects.get().enabled
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.error) == ("given_up", "It answered 410, gone.")
    assert not AuditEntry.objects.filter(action="webhook.switched_off").exists()


def test_a_webhook_is_deleted_while_a_message_of_it_is_sent_again(rf, admin, project):
    """As when the message came after the admin had looked: one that has messages is kept there."""
    webhook = make_webhook(project, "https://hooks.example.org/x")
    delivery = requests.send_test(webhook, by=admin)
    request, page = rf.post("/"), site.get_model_admin(Webhook)
    request.user = admin
    with ThreadPoolExecutor() as pool:
        with transaction.atomic():
            Delivery.objects.select_for_update().get()
            deletes = pool.submit(closing, lambda: page.delete_model(request, webhook))
            until_somebody_waits()
            audit.record("delivery.repeated", subject=delivery, actor=admin, project=project)
        deletes.result(30)
    assert not Webhook.objects.exists()
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.object_id) == ("webhook.deleted", str(webhook.pk))
    assert (entry.project, entry.detail) == (project, {"label": webhook.name})
