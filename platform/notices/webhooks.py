"""Signs and sends what a project's webhooks are told.

Signatures are those of the Standard Webhooks specification, version 1 (standardwebhooks.com): HMAC
with SHA-256 over id, time and body. Its Python library would bring an HTTP client of its own.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING

from notices import messages, posting
from notices.lockbox import unlock
from notices.models import WebhookStyle

if TYPE_CHECKING:
    from notices.models import Delivery
    from notices.posting import Answer

PREFIX = "whsec_"


def new_secret() -> str:
    """Return a new secret, as receivers are given it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode("ascii")


def signature(secret: str, *, key: str, at: int, body: bytes) -> str:
    """Return the signature of one message."""
    signed = f"{key}.{at}.".encode() + body
    shared = base64.b64decode(secret.removeprefix(PREFIX))
    mark = hmac.new(shared, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(mark).decode('ascii')}"


def send(delivery: Delivery) -> Answer:
    """Send one message; raises Refused, NotTaken or Unreadable.

    Sent again it has the same id, so that a receiver recognises it.
    """
    webhook = delivery.webhook
    if webhook is None:
        raise ValueError("This delivery goes to no webhook.")
    address = unlock(webhook.address)
    headers = {"Content-Type": "application/json", "User-Agent": posting.AGENT}
    if webhook.style == WebhookStyle.CHAT:
        return posting.post(address, messages.chat(delivery.notice), headers)
    body = messages.standard(delivery.notice)
    return posting.post(address, body, headers | _marks(unlock(webhook.secret), delivery, body))


def _marks(secret: str, delivery: Delivery, body: bytes) -> dict[str, str]:
    key, at = f"msg_{delivery.pk}", int(time.time())
    mark = signature(secret, key=key, at=at, body=body)
    return {"webhook-id": key, "webhook-timestamp": str(at), "webhook-signature": mark}
