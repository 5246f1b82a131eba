"""Keeps the addresses and secrets of webhooks unreadable in the database and its backups."""

from __future__ import annotations

import base64
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

_PURPOSE = b"countersign: addresses and secrets of webhooks"


class Unreadable(Exception):
    """What was kept cannot be read: SECRET_KEY is another one now. Enter it again in the admin."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def lock(text: str) -> str:
    """Return the text encrypted; each time it looks different."""
    return _box(settings.SECRET_KEY).encrypt(text.encode()).decode("ascii")


def unlock(locked: str) -> str:
    """Return the text; raises Unreadable."""
    try:
        return _box(settings.SECRET_KEY).decrypt(locked.encode("ascii")).decode()
    except (InvalidToken, ValueError) as error:
        raise Unreadable from error


@lru_cache(maxsize=4)
def _box(secret: str) -> Fernet:
    derived = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=_PURPOSE)
    return Fernet(base64.urlsafe_b64encode(derived.derive(secret.encode())))
