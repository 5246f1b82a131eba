"""E-mail over a real SMTP connection: who gets it, when, and what it holds."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from approvals import policies, reminding
from approvals.models import Reminder
from countersign.connections import email_settings
from notices import choosing, delivering, messages, reading, words
from notices.choosing import Chosen, QuietHours, Wish
from notices.lifecycle import DeliveryState
from notices.models import Delivery, Kind, Notice
from projects.exceptions import InvalidInput
from projects.models import Membership, User
from tests.notice_fixtures import deliver_due, happens, read_all, sealed, time_comes, told
from tests.receivers import a_mail_server
from tests.reviewing import decide

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _begun(db):
    reading.begin()


@pytest.fixture
def box(settings):
    with a_mail_server() as box:
        found = email_settings(f"smtp://127.0.0.1:{box.port}?from=cs@example.org")
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = found.host, found.port
        settings.DEFAULT_FROM_EMAIL = found.sender
        yield box


@pytest.fixture
def with_address(lead, requester):
    User.objects.filter(pk=lead.pk).update(email="dana@example.org")
    User.objects.filter(pk=requester.pk).update(email="mira@example.org")


def quiet_now(*, unless_due: bool = False) -> QuietHours:
    """Return quiet hours that began half an hour ago and end in three."""
    now = datetime.now(ZoneInfo("Asia/Tokyo"))
    return QuietHours(
        begins=(now - timedelta(minutes=30)).time().replace(tzinfo=None),
        ends=(now + timedelta(hours=3)).time().replace(tzinfo=None),
        zone="Asia/Tokyo",
        unless_due=unless_due,
    )


def test_who_is_asked_to_sign_is_written_to(project, requester, lead, box, with_address):
    approval = sealed(project, requester)
    read_all()
    deliver_due()
    (message,) = box.messages
    delivery = Delivery.objects.get()
    assert box.recipients == ["dana@example.org"]
    assert delivery.state == DeliveryState.SENT
    assert message["From"] == "cs@example.org"
    assert message["Message-ID"] == f"<{delivery.pk}@example.org>"
    assert message["Subject"] == f"[acme/billing] {approval.task.label}: Waits for your signature"
    assert message.get_content_type() == "text/plain"
    text = message.get_content()
    assert f"http://localhost:8000/review/{approval.task.label}/r1" in text
    assert approval.task.request not in text
    assert approval.nonce not in text
    assert approval.digest not in text


def test_without_a_mail_server_no_email_is_made(project, requester, lead, with_address, settings):
    settings.EMAIL_HOST = ""
    sealed(project, requester)
    read_all()
    assert told(lead)
    assert not Delivery.objects.exists()


def test_each_person_chooses_by_kind_and_for_a_project_otherwise(
    project, requester, lead, second_lead, box, with_address
):
    User.objects.filter(pk=second_lead.pk).update(email="ravi@example.org")
    no, bell = Wish(bell=False, email=False), Wish(bell=True, email=False)
    choosing.choose(lead, [Chosen(project=None, kind=Kind.ASKED, wish=no)])
    choosing.choose(second_lead, [Chosen(project=None, kind=Kind.ASKED, wish=no)])
    choosing.choose(second_lead, [Chosen(project=project.pk, kind=Kind.ASKED, wish=bell)])
    sealed(project, requester)
    read_all()
    assert told(lead) == []
    assert told(second_lead) == ["approval.requested"]
    assert not Delivery.objects.exists()


def test_email_waits_for_the_end_of_quiet_hours_and_the_bell_does_not(
    project, requester, lead, box, with_address
):
    choosing.keep_quiet(lead, quiet_now())
    sealed(project, requester)
    read_all()
    deliver_due()
    assert told(lead)
    assert box.messages == []
    left = Delivery.objects.get().next_at - timezone.now()
    assert timedelta(hours=2, minutes=58) < left < timedelta(hours=3, minutes=1)


def test_quiet_hours_that_are_set_later_count_too_and_no_try_is_lost(
    project, requester, lead, box, with_address
):
    sealed(project, requester)
    read_all()
    choosing.keep_quiet(lead, quiet_now())
    deliver_due()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts) == (DeliveryState.WAITING, 0)
    assert box.messages == []
    choosing.keep_quiet(lead, None)
    deliver_due()
    assert len(box.messages) == 1


def test_what_is_due_before_they_end_is_sent_at_once_to_who_said_so(
    project, requester, lead, box, with_address
):
    from tests.approval_fixtures import end_time

    choosing.keep_quiet(lead, quiet_now(unless_due=True))
    end_time(sealed(project, requester), in_seconds=3_600)
    read_all()
    deliver_due()
    assert len(box.messages) == 1


@pytest.mark.parametrize("quiet_first", [True, False])
def test_what_was_put_off_beyond_their_end_waits_for_it(
    project, requester, lead, box, with_address, quiet_first
):
    from tests.approval_fixtures import end_time

    policies.change(project, by=lead, extend_hours=24)
    approval = sealed(project, requester)
    end_time(approval, in_seconds=-600)
    if quiet_first:
        choosing.keep_quiet(lead, quiet_now(unless_due=True))
    read_all()
    choosing.keep_quiet(lead, quiet_now(unless_due=True))
    deliver_due()
    assert box.messages == []
    end_time(approval, in_seconds=-86_400 + 3_600)  # which leaves an hour
    choosing.keep_quiet(lead, quiet_now(unless_due=True))
    deliver_due()
    assert len(box.messages) == 1


def test_who_is_reminded_at_the_end_reads_until_when_it_was_put_off(
    project, requester, lead, box, with_address
):
    from tests.approval_fixtures import end_time

    policies.change(project, by=lead, extend_hours=24)
    approval = sealed(project, requester)
    end_time(approval)
    approval.refresh_from_db(fields=["expires_at"])
    Reminder.objects.filter(share=100).update(due_at=approval.expires_at)
    reminding.remind_due()
    read_all()
    notice = Notice.objects.get(type="approval.reminded")
    until = (approval.expires_at + timedelta(hours=24)).astimezone(UTC)
    said = f"The time to decide was extended once, to {until:%Y-%m-%d %H:%M} UTC"
    assert words.sentence(notice) == said
    assert said in str(messages.email(notice))
    assert f'"until": "{until.isoformat()}"' in messages.standard(notice).decode()


@pytest.mark.parametrize(
    "until", [None, 7, "soon", "2026-13-45T00:00:00+00:00", "2026-01-01T00:00"]
)
def test_a_reminder_whose_end_makes_no_sense_says_no_more_than_is_known(
    project, requester, lead, until
):
    approval = sealed(project, requester)
    data = {"approval": str(approval.pk), "share": 100, "to": [str(lead.pk)], "until": until}
    happens(approval.task, "approval.reminded", **data)
    read_all()
    notice = Notice.objects.get(type="approval.reminded")
    assert words.sentence(notice) == "The time to decide was extended once"


def test_nobody_is_written_to_about_what_was_decided_meanwhile(
    project, requester, lead, second_lead, box, with_address
):
    approval = sealed(project, requester)
    read_all()
    facts = {"verdict": "approve", "digest": approval.digest, "nonce": approval.nonce}
    decide(approval.pk, by=second_lead, **facts)
    deliver_due()
    assert box.messages == []
    delivery = Delivery.objects.get()
    assert delivery.state == DeliveryState.WITHDRAWN
    assert delivery.error == "It is no longer this person's to decide."


def test_who_has_signed_meanwhile_is_not_asked_to_sign(
    project, requester, lead, second_lead, box, with_address
):
    User.objects.filter(pk=second_lead.pk).update(email="ravi@example.org")
    policies.change(project, by=lead, signatures_needed=2)
    approval = sealed(project, requester)
    read_all()
    facts = {"verdict": "approve", "digest": approval.digest, "nonce": approval.nonce}
    decide(approval.pk, by=lead, **facts)
    deliver_due()
    assert box.recipients == ["ravi@example.org"]
    assert Delivery.objects.get(person=lead).state == DeliveryState.WITHDRAWN


def test_who_has_signed_is_asked_again_where_nobody_else_is_missing(
    project, requester, lead, second_lead, box, with_address
):
    policies.change(project, by=lead, signatures_needed=2)
    approval = sealed(project, requester)
    read_all()
    facts = {"verdict": "approve", "digest": approval.digest, "nonce": approval.nonce}
    decide(approval.pk, by=lead, **facts)
    Membership.objects.filter(user=lead).update(role="requester")
    decide(approval.pk, by=second_lead, **facts)
    Membership.objects.filter(user=lead).update(role="lead")
    deliver_due()
    assert box.recipients == ["dana@example.org"]


@pytest.mark.parametrize("lost", ["membership", "account", "role", "address", "wish"])
def test_a_right_or_a_wish_that_was_lost_before_it_leaves_counts(
    project, requester, lead, box, with_address, lost
):
    sealed(project, requester)
    read_all()
    member = Membership.objects.filter(user=lead)
    if lost == "membership":
        member.delete()
    elif lost == "role":
        member.update(role="requester")
    elif lost == "account":
        User.objects.filter(pk=lead.pk).update(is_active=False)
    elif lost == "address":
        User.objects.filter(pk=lead.pk).update(email="")
    else:
        wish = Wish(bell=True, email=False)
        choosing.choose(lead, [Chosen(project=None, kind=Kind.ASKED, wish=wish)])
    deliver_due()
    assert box.messages == []
    assert Delivery.objects.get().state == DeliveryState.WITHDRAWN


def test_a_server_that_is_full_is_asked_again_and_an_unknown_address_is_not(
    project, requester, lead, box, with_address
):
    box.to_recipient = b"452 full"
    sealed(project, requester)
    read_all()
    deliver_due()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.error) == ("waiting", "The mail server answered 452.")
    box.to_recipient = b"550 nobody here"
    time_comes()
    deliver_due()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.error) == ("given_up", "The mail server answered 550.")
    assert delivery.attempts == 2


@pytest.mark.parametrize("refused", ["at_first", "to_name", "to_sender"])
def test_a_server_that_refuses_us_and_not_the_message_is_asked_again(
    project, requester, lead, box, with_address, refused
):
    fine = getattr(box, refused)
    setattr(box, refused, b"554 not from you")
    sealed(project, requester)
    read_all()
    deliver_due()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.error) == ("waiting", "The mail server answered 554.")
    setattr(box, refused, fine)
    time_comes()
    deliver_due()
    assert len(box.messages) == 1


def test_a_server_that_is_away_is_a_failure_that_is_tried_again(
    project, requester, lead, box, with_address, settings
):
    with a_mail_server() as other:
        settings.EMAIL_PORT = other.port
    sealed(project, requester)
    read_all()
    deliver_due()
    delivery = Delivery.objects.get()
    assert delivery.state == DeliveryState.WAITING
    assert delivery.error == "The mail server cannot be used: ConnectionRefusedError."


def test_an_address_with_a_line_break_sends_nothing(project, requester, lead, box):
    User.objects.filter(pk=lead.pk).update(email="a@example.org\r\nBcc: b@evil.test")
    sealed(project, requester)
    read_all()
    deliver_due()
    assert box.messages == []
    assert Delivery.objects.get().state == DeliveryState.GIVEN_UP


def test_hours_that_make_no_sense_are_refused(lead):
    for hours, field in (
        (QuietHours(begins=time(22), ends=time(22), zone="UTC"), "ends"),
        (QuietHours(begins=time(22), ends=time(7), zone="../../etc/passwd"), "zone"),
        (QuietHours(begins=time(22), ends=time(7), zone="Mars/Olympus"), "zone"),
    ):
        with pytest.raises(InvalidInput) as caught:
            choosing.keep_quiet(lead, hours)
        assert caught.value.field == field


def test_after_a_crash_the_message_has_the_same_id(project, requester, lead, box, with_address):
    sealed(project, requester)
    read_all()
    key = Delivery.objects.get().pk
    delivering.carry_out(key)
    # As if the process had died before it noted it.
    Delivery.objects.update(state=DeliveryState.SENDING, finished_at=None)
    time_comes()
    deliver_due()
    assert len({message["Message-ID"] for message in box.messages}) == 1
    assert len(box.messages) == 2
