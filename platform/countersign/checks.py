"""Refuses settings that would fail later and further away; `up` and every command ask it first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import ERROR, CheckMessage, Error, register
from django.core.checks import Warning as Caution

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.apps import AppConfig

BROKERS = {"redis", "rediss", "amqp", "amqps", "pyamqp"}
_LOCAL = {"localhost", "127.0.0.1", "[::1]"}


def faults() -> list[CheckMessage]:
    """Return what is wrong with the settings alone; needs no app to be loaded."""
    checks = (
        secret_key_is_long,
        model_is_readable,
        broker_is_known,
        sandbox_paths_are_there,
        collector_speaks_http,
    )
    found = [message for check in checks for message in check(None)]
    return [message for message in found if message.level >= ERROR]


@register
def secret_key_is_long(
    app_configs: Sequence[AppConfig] | None, **options: Any
) -> list[CheckMessage]:
    """Refuse a guessable key: it signs the sessions of people who sign off merges."""
    if len(settings.SECRET_KEY) >= 32:
        return []
    return [
        Error(
            "SECRET_KEY is shorter than 32 characters.",
            hint="give 50 random ones, or unset SECRET_KEY and Countersign makes its own.",
            id="countersign.E001",
        )
    ]


@register
def model_is_readable(
    app_configs: Sequence[AppConfig] | None, **options: Any
) -> list[CheckMessage]:
    """Refuse a model nobody can call."""
    model: str = settings.COUNTERSIGN_MODEL
    provider, _, name = model.partition(":")
    if model == "rehearsal" or (provider in {"openai", "anthropic", "ollama"} and name):
        return _key_is_there(provider)
    return [
        Error(
            f"COUNTERSIGN_MODEL is {model!r}, which names no model.",
            hint="set rehearsal, openai:NAME, anthropic:NAME or ollama:NAME.",
            id="countersign.E002",
        )
    ]


@register
def broker_is_known(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """Refuse a broker nobody has tried: Celery on Kafka acknowledges what it has not done."""
    scheme = settings.CELERY_BROKER_URL.partition("://")[0]
    if scheme in BROKERS or settings.CELERY_BROKER_URL == settings.REDIS_URL:
        return []
    return [
        Error(
            f"CELERY_BROKER_URL begins with {scheme}:, which is no broker Countersign knows.",
            hint=(
                "correct CELERY_BROKER_URL to redis://… or amqp://…, or unset it to use Redis; "
                "Kafka takes the event log, by KAFKA_URL."
            ),
            id="countersign.E004",
        )
    ]


@register
def collector_speaks_http(
    app_configs: Sequence[AppConfig] | None, **options: Any
) -> list[CheckMessage]:
    """Refuse a collector no span could be sent to."""
    url = urlsplit(settings.OTEL_ENDPOINT)
    if not settings.OTEL_ENDPOINT or (url.scheme in {"http", "https"} and url.hostname):
        return []
    return [
        Error(
            "OTEL_EXPORTER_OTLP_ENDPOINT is no http:// or https:// address.",
            hint="give the collector's OTLP/HTTP address, e.g. http://localhost:4318, or unset it.",
            id="countersign.E006",
        )
    ]


@register
def sandbox_paths_are_there(
    app_configs: Sequence[AppConfig] | None, **options: Any
) -> list[CheckMessage]:
    """Refuse folders that no check could read: a project's checks would fail without a word of it."""
    missing = [path for path in settings.SANDBOX_PATHS if not Path(path).is_dir()]
    if not missing:
        return []
    return [
        Error(
            f"COUNTERSIGN_SANDBOX_PATHS names {missing[0]}, and there is no such folder.",
            hint="correct the path, or take it out.",
            id="countersign.E005",
        )
    ]


@register
def cookies_are_safe_abroad(
    app_configs: Sequence[AppConfig] | None, **options: Any
) -> list[CheckMessage]:
    """Warn when other machines may sign in over plain HTTP."""
    if settings.SECURE_COOKIES or set(settings.ALLOWED_HOSTS) <= _LOCAL:
        return []
    return [
        Caution(
            "ALLOWED_HOSTS names other machines, but cookies are also sent over plain HTTP.",
            hint="serve over HTTPS and set COUNTERSIGN_SECURE_COOKIES=1.",
            id="countersign.W001",
        )
    ]


def _key_is_there(provider: str) -> list[CheckMessage]:
    missing = (provider == "anthropic" and not settings.ANTHROPIC_API_KEY) or (
        provider == "openai" and not settings.OPENAI_API_KEY and not settings.OPENAI_BASE_URL
    )
    if not missing:
        return []
    name = f"{provider.upper()}_API_KEY"
    return [
        Error(
            f"COUNTERSIGN_MODEL asks for {provider}, but {name} is not set.",
            hint=f"set {name}, or unset COUNTERSIGN_MODEL to rehearse without a model.",
            id="countersign.E003",
        )
    ]
