"""`/healthz` says the process lives; `/readyz` says work handed over now will be done."""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from approvals import signing
from approvals.exceptions import CannotSign
from countersign import migrated
from countersign.celery import app

if TYPE_CHECKING:
    from django.http import HttpRequest

logger = logging.getLogger(__name__)

# Each worker keeps `cs:worker:<kind>:<name>` alive for 15 s at a time.
WORKER_KINDS = ("agents", "effects")
_MIGRATE = "The database is older than this process: run `manage.py migrate`."


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Answer: the process can."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 when every part works, else 503, in both cases part by part."""
    parts = {
        "database": _database_answers(),
        "migrations": migrated.applied(),
        "redis": _redis_answers(),
        "broker": _broker_answers(),
        "signing key": _may_sign(),
        **{f"{kind} worker": here for kind, here in workers_alive().items()},
    }
    ready = all(parts.values())
    status = 200 if ready else 503
    said = {"status": "ready" if ready else "not ready", "parts": parts}
    if parts["database"] and not parts["migrations"]:
        said["detail"] = _MIGRATE
    answer = JsonResponse(said, status=status)
    # Asked every second by who waits for it: Django would log an error each time.
    answer._has_been_logged = True  # type: ignore[attr-defined]
    return answer


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        logger.warning("not ready: database: %s", error)
        return False
    return True


def _may_sign() -> bool:
    try:
        signing.require_key()
    except CannotSign as error:
        logger.warning("not ready: %s", error)
        return False
    return True


def _redis_answers() -> bool:
    try:
        return bool(_redis().ping())
    except (redis.RedisError, OSError) as error:
        logger.warning("not ready: Redis: %s", error)
        return False


def _broker_answers() -> bool:
    try:
        with app.connection_for_write() as broker:
            broker.ensure_connection(max_retries=1, interval_start=0, timeout=2)
    except Exception as error:  # noqa: BLE001  # whatever the broker's client raises
        logger.warning("not ready: broker: %s", error)
        return False
    return True


def workers_alive() -> dict[str, bool]:
    """Tell of each kind of worker whether at least one was heard of lately."""
    try:
        return {kind: _heard_of(kind) for kind in _kinds()}
    except (redis.RedisError, OSError):
        return dict.fromkeys(_kinds(), False)


def _kinds() -> tuple[str, ...]:
    """Return the kinds there should be; a Kafka that is away makes none of them missing."""
    return (*WORKER_KINDS, "sink") if settings.KAFKA_OPTIONS else WORKER_KINDS


def _heard_of(kind: str) -> bool:
    return any(True for _ in _redis().scan_iter(match=f"cs:worker:{kind}:*", count=1000))


@cache
def _redis() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=1)
