"""Makes text from models and tools safe to store: no secrets, no characters Postgres refuses."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings

# NUL cannot be stored in a Postgres text; a lone surrogate cannot be encoded as UTF-8 at all.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")  # escaped in JSON, whole pairs too
_SECRET_HEADER = re.compile("auth|key|token|secret|password", re.IGNORECASE)
_ARGUMENT_CHARACTERS = 2_000
_ARGUMENTS_CHARACTERS = 40_000  # of all of them: more than those of a call a person may be shown
_SHORTEST_SECRET = 8  # a placeholder key such as "x" must not blank out every x


def clean(text: str) -> str:
    """Return the text without known secrets and with U+FFFD for what cannot be stored."""
    text = _UNSTORABLE.sub("\ufffd", text)
    for name, value in known_secrets():
        text = text.replace(value, f"[{name} removed]")
    return text


def cleaned(value: Any) -> Any:
    """Return JSON-like data with every text in it cleaned, keys included."""
    match value:
        case str():
            return clean(value)
        case dict():
            return {clean(str(key)): cleaned(item) for key, item in value.items()}
        case list() | tuple():
            return [cleaned(item) for item in value]
        case _:
            return value


def is_clean_json(text: str) -> bool:
    """Tell whether a JSON text may be stored as it is; in doubt, no."""
    if "\\u0000" in text or _UNSTORABLE.search(text) or _SURROGATE.search(text):
        return False
    return not any(json.dumps(value)[1:-1] in text or value in text for _, value in known_secrets())


def capped(text: str, limit: int) -> str:
    """Return at most `limit` characters, saying how many are left out."""
    if len(text) <= limit:
        return text
    note = f"\n[… {len(text) - limit} characters left out …]"
    return text[: max(0, limit - len(note))] + note


def excerpt(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return what an event says of the arguments of a call: long texts cut, what is huge left out."""
    short = {
        name: capped(value, _ARGUMENT_CHARACTERS) if isinstance(value, str) else value
        for name, value in arguments.items()
    }
    size = len(json.dumps(short, ensure_ascii=False))
    return short if size <= _ARGUMENTS_CHARACTERS else {"left out": f"{size} characters"}


def known_secrets() -> list[tuple[str, str]]:
    """Return every secret of ours that must not be kept anywhere, by name; the longest first."""
    known = {
        "OPENAI_API_KEY": settings.OPENAI_API_KEY,
        "ANTHROPIC_API_KEY": settings.ANTHROPIC_API_KEY,
        "SECRET_KEY": settings.SECRET_KEY,
        "database password": str(settings.DATABASES["default"].get("PASSWORD") or ""),
        "Redis password": _password_in(settings.REDIS_URL),
        "broker password": _password_in(settings.CELERY_BROKER_URL),
        **_in_headers(settings.OTEL_HEADERS),
    }
    # The longest first: a secret may contain another.
    found = [(name, value) for name, value in known.items() if len(value) >= _SHORTEST_SECRET]
    return sorted(found, key=lambda item: -len(item[1]))


@cache
def _in_headers(headers: str) -> dict[str, str]:
    """Return what `name=value,…` keeps secret: keys and tokens, these without their scheme too."""
    pairs = [pair.partition("=") for pair in headers.split(",")]
    secret = [pair for pair in pairs if _SECRET_HEADER.search(pair[0])]
    values = [unquote(pair[2]).strip() for pair in secret]
    tokens = [value.partition(" ")[2] for value in values]
    found = dict.fromkeys([*values, *tokens])
    return {f"collector's header {n}": value for n, value in enumerate(found, 1)}


@cache
def _password_in(url: str) -> str:
    try:
        return unquote(urlsplit(url).password or "")
    except ValueError:
        return ""
