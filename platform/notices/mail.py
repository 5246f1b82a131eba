"""Sends one e-mail: plain text and a link."""

from __future__ import annotations

import smtplib
from email.utils import parseaddr
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.mail import EmailMessage, get_connection

from notices import messages
from notices.posting import NotTaken

if TYPE_CHECKING:
    from notices.models import Delivery


class NeverTaken(NotTaken):
    """The server refuses this message or this person for good."""


def send(delivery: Delivery) -> None:
    """Send it; raises NotTaken, or NeverTaken. Sent again it has the same Message-ID."""
    if delivery.person is None:
        raise ValueError("This delivery goes to no person.")
    subject, text = messages.email(delivery.notice)
    message = EmailMessage(
        subject,
        text,
        to=[delivery.person.email],
        headers={"Message-ID": f"<{delivery.pk}@{_domain()}>", "Auto-Submitted": "auto-generated"},
        connection=get_connection(settings.EMAIL_BACKEND),
    )
    try:
        message.send()
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        raise _refusal(max(codes, default=0)) from error
    except _NOT_OF_THE_MESSAGE as error:
        raise NotTaken(_ANSWERED.format(error.smtp_code)) from error
    except smtplib.SMTPResponseException as error:
        raise _refusal(error.smtp_code) from error
    except (OSError, smtplib.SMTPException) as error:
        raise NotTaken(f"The mail server cannot be used: {type(error).__name__}.") from error
    except ValueError as error:  # an address with a line break in it
        raise NeverTaken("This is no e-mail address.") from error


def _refusal(code: int) -> NotTaken:
    said = _ANSWERED.format(code)
    return NeverTaken(said) if code in _FOR_GOOD else NotTaken(said)


_ANSWERED = "The mail server answered {}."
# About us or the whole server, whatever the code: an admin mends that, and what waits is sent then.
_NOT_OF_THE_MESSAGE = (
    smtplib.SMTPConnectError,
    smtplib.SMTPHeloError,
    smtplib.SMTPSenderRefused,
)
# Not 530 or 535: those are about our login, which an admin mends.
_FOR_GOOD = frozenset({550, 551, 552, 553, 554, 555})


def _domain() -> str:
    return parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
