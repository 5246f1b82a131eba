"""Ed25519 keys made of a secret text: who has the text signs, who has the public half verifies."""

from __future__ import annotations

import base64
import binascii
import hashlib
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

LEAST = 32  # characters of the secret
_PURPOSE = b"countersign signatures 1"


@lru_cache(maxsize=8)
def private_key(secret: str) -> Ed25519PrivateKey:
    """Return the key of a secret, always the same; raises ValueError when that is too short."""
    if len(secret) < LEAST:
        raise ValueError(f"A signing key needs at least {LEAST} characters.")
    derived = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=_PURPOSE)
    return Ed25519PrivateKey.from_private_bytes(derived.derive(secret.encode()))


def public_half(secret: str) -> str:
    """Return the public key of a secret, as text."""
    return base64.b64encode(private_key(secret).public_key().public_bytes_raw()).decode()


def name_of(public: str) -> str:
    """Return the name by which a signature says its key: 16 hexadecimal digits."""
    return hashlib.sha256(public.encode()).hexdigest()[:16]


def sign(secret: str, said: bytes) -> str:
    """Return the mark of a statement, as text."""
    return base64.b64encode(private_key(secret).sign(said)).decode()


def is_genuine(public: str, mark: str, said: bytes) -> bool:
    """Tell whether the mark of this statement was made with the other half of the key."""
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public, validate=True))
        key.verify(base64.b64decode(mark, validate=True), said)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
