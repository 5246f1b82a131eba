"""Webhooks over real HTTP: signed, tried again, given up, the same message after a crash."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from notices import delivering, reading, requests, webhooks
from notices.lifecycle import DeliveryState
from notices.lockbox import lock
from notices.models import Delivery, Kind, Webhook, WebhookStyle
from notices.notifier import Notifier
from projects.exceptions import TransitionRefused
from projects.models import AuditEntry, Project
from tests.notice_fixtures import (
    SECRET,
    at_once,
    deliver_due,
    happens,
    make_webhook,
    read_all,
    sealed,
    time_comes,
)
from tests.receivers import a_receiver
from tests.worker_fixtures import until

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _begun(db, settings):
    settings.WEBHOOK_HOSTS = ["127.0.0.1"]
    reading.begin()


@pytest.fixture
def receiver():
    with a_receiver() as receiver:
        yield receiver


def by_openssl(secret: str, content: bytes) -> str:
    """Sign as the specification says, with a program that shares no code with ours."""
    key = base64.b64decode(secret.removeprefix("whsec_")).hex()
    done = subprocess.run(
        ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key}", "-binary"],
        input=content,
        capture_output=True,
        check=True,
    )
    return base64.b64encode(done.stdout).decode()


def test_a_signature_is_that_of_the_libraries_of_standard_webhooks():
    # As standardwebhooks 1.1.0 signs it, the specification's library for Python.
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    made = webhooks.signature(
        SECRET,
        key="msg_p5jXN8AQM9LWM0D4loKWxJek",
        at=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert made == expected


def test_a_webhook_is_sent_signed_json(project, requester, lead, receiver):
    make_webhook(project, receiver.url)
    approval = sealed(project, requester)
    read_all()
    deliver_due()
    (got,) = receiver.got
    delivery = Delivery.objects.get()
    key, at = got.headers["webhook-id"], got.headers["webhook-timestamp"]
    assert (delivery.state, delivery.status, delivery.attempts) == ("sent", 200, 1)
    assert key == f"msg_{delivery.pk}"
    assert abs(int(at) - time.time()) < 60
    signed = by_openssl(SECRET, f"{key}.{at}.".encode() + got.body)
    assert got.headers["webhook-signature"] == f"v1,{signed}"
    sent = json.loads(got.body)
    assert sent.pop("timestamp")
    assert sent == {
        "type": "approval.requested",
        "data": {
            "project": "acme-billing",
            "task": {
                "id": str(approval.task_id),
                "number": approval.task.number,
                "title": "Fix the billing bug",
            },
            "approval": str(approval.pk),
            "call": None,
            "said": "Waits for your signature",
            "url": f"http://localhost:8000/review/{approval.task.label}/r1",
        },
    }


def test_a_machine_is_told_of_each_event_and_a_chat_once_of_one_act(
    project, requester, lead, receiver
):
    machine = make_webhook(project, receiver.url)
    chat = make_webhook(project, receiver.url, style=WebhookStyle.CHAT, secret="")
    from tests.reviewing import decide

    approval = sealed(project, requester)
    facts = {"by": lead, "verdict": "reject", "digest": approval.digest, "nonce": approval.nonce}
    decide(approval.pk, note="Not this way, please.", **facts)
    read_all()

    def types(webhook):
        rows = webhook.deliveries.exclude(notice__type="approval.requested")
        return sorted(rows.values_list("notice__type", flat=True))

    assert types(machine) == ["approval.decided", "task.finished"]
    assert types(chat) == ["approval.decided"]


def test_only_the_kinds_and_the_project_of_a_webhook_count(project, requester, lead, receiver):
    other = Project.objects.create(slug="other", name="other", repository="/nowhere.git")
    make_webhook(project, receiver.url, kinds=[Kind.STUCK])
    make_webhook(other, receiver.url)
    make_webhook(project, receiver.url, enabled=False)
    task = sealed(project, requester).task
    happens(task, "escalation.raised", rule="blocked")
    read_all()
    assert Delivery.objects.get().notice.type == "escalation.raised"


def test_a_failure_is_tried_again_later_each_time_and_then_given_up(
    project, requester, lead, receiver
):
    receiver.answers = [500]
    make_webhook(project, receiver.url)
    sealed(project, requester)
    read_all()
    for number, wait in enumerate(delivering.WAITS, 1):
        deliver_due()
        delivery = Delivery.objects.get()
        assert (delivery.state, delivery.attempts) == (DeliveryState.WAITING, number)
        assert (delivery.status, delivery.error) == (500, "It answered 500.")
        left = (delivery.next_at - timezone.now()).total_seconds()
        assert 0.79 * wait - 5 < left < 1.21 * wait
        deliver_due()  # its time has not come
        assert len(receiver.got) == number
        time_comes()
    deliver_due()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts) == (DeliveryState.GIVEN_UP, delivering.MOST)
    assert delivery.finished_at
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1


def test_one_that_answers_again_is_sent(project, requester, lead, receiver):
    receiver.answers = [503, 200]
    make_webhook(project, receiver.url)
    sealed(project, requester)
    read_all()
    deliver_due()
    time_comes()
    deliver_due()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.status, delivery.error) == ("sent", 200, "")


def test_what_else_waits_for_a_receiver_that_is_away_waits_with_it(
    project, requester, lead, receiver
):
    receiver.answers = [503]
    make_webhook(project, receiver.url)
    for _ in range(5):
        sealed(project, requester)
    read_all()
    deliver_due()
    deliver_due()
    assert len(receiver.got) == 1
    assert Delivery.objects.filter(next_at__gt=timezone.now()).count() == 5


def test_one_message_that_is_refused_keeps_no_other_from_being_sent(
    project, requester, lead, receiver
):
    receiver.answers = [400, 200]
    make_webhook(project, receiver.url)
    sealed(project, requester)
    sealed(project, requester)
    read_all()
    deliver_due()
    deliver_due()
    assert Delivery.objects.filter(state=DeliveryState.SENT).count() == 1


def test_gone_switches_the_webhook_off(project, requester, lead, receiver):
    receiver.answers = [410]
    make_webhook(project, receiver.url)
    sealed(project, requester)
    sealed(project, requester)
    read_all()
    deliver_due()
    deliver_due()
    assert not Webhook.objects.get().enabled
    assert len(receiver.got) == 1
    states = sorted(Delivery.objects.values_list("state", "error"))
    assert states == [
        ("given_up", "It answered 410, gone: the webhook was switched off."),
        ("withdrawn", "The webhook is switched off."),
    ]
    entry = AuditEntry.objects.get(action="webhook.switched_off")
    assert (entry.actor_label, entry.project) == ("system", project)
    assert entry.object_id == str(Webhook.objects.get().pk)


def test_a_redirect_is_not_followed(project, requester, lead, receiver):
    with a_receiver() as elsewhere:
        receiver.answers, receiver.headers = [307], {"Location": elsewhere.url}
        make_webhook(project, receiver.url)
        sealed(project, requester)
        read_all()
        deliver_due()
        assert elsewhere.got == []
    assert Delivery.objects.get().status == 307


def test_no_proxy_of_the_environment_is_asked(project, requester, lead, receiver, monkeypatch):
    with a_receiver() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        make_webhook(project, receiver.url)
        sealed(project, requester)
        read_all()
        deliver_due()
        assert proxy.got == []
    assert len(receiver.got) == 1


def test_an_endless_answer_is_not_read(project, requester, lead, receiver):
    receiver.body = b"x" * 50_000_000
    make_webhook(project, receiver.url)
    sealed(project, requester)
    read_all()
    began = time.monotonic()
    deliver_due()
    assert time.monotonic() - began < 5
    assert Delivery.objects.get().state == DeliveryState.SENT


def test_nobody_listening_is_a_failure_that_says_so(project, requester, lead):
    with a_receiver() as receiver:
        url = receiver.url
    make_webhook(project, url)
    sealed(project, requester)
    read_all()
    deliver_due()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.status) == (DeliveryState.WAITING, None)
    assert delivery.error == "It could not be reached: Connection refused."


def test_a_receiver_that_hangs_holds_nobody_else_up(
    project, requester, lead, receiver, monkeypatch
):
    monkeypatch.setattr("notices.posting.SECONDS", 4.0)
    with a_receiver(hangs=True) as hanging:
        make_webhook(project, hanging.url)
        make_webhook(project, receiver.url)
        notifier = Notifier()
        notifier.start()
        try:
            for _ in range(4):
                sealed(project, requester)
            until(lambda: len(receiver.got) == 4, 30)
            until(lambda: hanging.got, 30)
            assert len(hanging.got) == 1  # one at a time
            until(lambda: Delivery.objects.filter(error__startswith="No answer").exists(), 30)
        finally:
            hanging.released.set()
            assert notifier.stop(seconds=20)


def test_two_at_once_send_one_message_once(project, requester, lead, receiver):
    make_webhook(project, receiver.url)
    sealed(project, requester)
    read_all()
    key = Delivery.objects.get().pk
    assert at_once(*[lambda: delivering.carry_out(key)] * 6) == []
    assert len(receiver.got) == 1


def test_a_process_killed_between_sending_and_noting_it_sends_the_same_message_again(
    project, requester, lead, receiver
):
    make_webhook(project, receiver.url)
    sealed(project, requester)
    read_all()
    key = Delivery.objects.get().pk
    name = connection.settings_dict["NAME"]
    code = (
        "import django; django.setup();"
        "from notices import delivering; import uuid;"
        f"delivering.carry_out(uuid.UUID('{key}'))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": f"{ROOT / 'platform'}:{ROOT}",
            "DJANGO_SETTINGS_MODULE": "countersign.settings",
            "COUNTERSIGN_WEBHOOK_HOSTS": "127.0.0.1",
            "DATABASE_URL": os.environ["DATABASE_URL"].replace("/countersign?", f"/{name}?"),
        },
    )
    receiver.on_request = lambda: child.send_signal(signal.SIGKILL)
    assert child.wait(60) == -signal.SIGKILL
    receiver.on_request = lambda: None
    assert Delivery.objects.get().state == DeliveryState.SENDING
    deliver_due()
    assert len(receiver.got) == 1  # its lease is not over: it might still be at it
    time_comes()
    deliver_due()
    first, second = receiver.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == f"msg_{key}"
    assert Delivery.objects.get().state == DeliveryState.SENT


def test_a_try_whose_lease_was_lost_notes_nothing(project, requester, lead, receiver):
    make_webhook(project, receiver.url)
    sealed(project, requester)
    read_all()
    key = Delivery.objects.get().pk

    def another_takes_it() -> None:
        Delivery.objects.filter(pk=key).update(attempts=7)
        connection.close()  # of the receiver's thread

    receiver.on_request = another_takes_it
    delivering.carry_out(key)
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts) == (DeliveryState.SENDING, 7)


def test_an_admin_sends_a_test_and_one_message_again(project, requester, admin, receiver):
    webhook = make_webhook(project, receiver.url)
    delivery = requests.send_test(webhook, by=admin)
    with pytest.raises(TransitionRefused):
        requests.send_again(delivery, by=admin)
    deliver_due()
    delivery = Delivery.objects.get()
    requests.send_again(delivery, by=admin)
    deliver_due()
    first, second = receiver.got
    assert json.loads(first.body)["type"] == "test"
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_a_fault_of_ours_is_a_failure_that_is_tried_again_and_then_given_up(
    project, requester, lead, receiver, caplog
):
    make_webhook(project, receiver.url, secret=lock("whsec_a"))  # no key is spelt like this
    sealed(project, requester)
    read_all()
    deliver_due()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts) == (DeliveryState.WAITING, 1)
    assert delivery.error == "Countersign could not carry this out; its log says why."
    assert f"delivery {delivery.pk} could not be carried out" in caplog.text
    Delivery.objects.update(attempts=delivering.MOST - 1)
    time_comes()
    deliver_due()
    assert Delivery.objects.get().state == DeliveryState.GIVEN_UP
    assert receiver.got == []


def test_what_waits_is_not_posted_to_another_project(project, requester, lead, receiver):
    webhook = make_webhook(project, receiver.url)
    sealed(project, requester)
    read_all()
    other = Project.objects.create(slug="other", name="other", repository="/nowhere.git")
    Webhook.objects.filter(pk=webhook.pk).update(project=other)
    deliver_due()
    assert receiver.got == []
    assert Delivery.objects.get().state == DeliveryState.WITHDRAWN
