"""Asks the services that are needed whether they answer; also a short-lived process of its own.

As a process it asks those named as arguments and prints one JSON line: `{}` or `{"error": …}`.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import redis
from django.core.exceptions import ImproperlyConfigured

from countersign.supervisor.choices import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable


def main(names: list[str]) -> int:
    """Ask each service named; report the first that does not answer."""
    report, sys.stdout = sys.stdout, sys.stderr  # nothing else may reach the supervisor
    result: dict[str, Any] = {}
    try:
        for name in names:
            CHECKS[name]()
    except (SetupError, ImproperlyConfigured) as error:
        result = {"error": str(error)}
    print(json.dumps(result), file=report, flush=True)
    return 1 if result else 0


def first_line(error: BaseException) -> str:
    """Return the first line of an error, for a sentence of ours."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].strip().rstrip(".")


def _check_redis() -> None:
    from django.conf import settings

    try:
        redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=3, socket_timeout=3).ping()
    except (redis.RedisError, ValueError, OSError) as error:
        raise SetupError(
            f"Redis at {_shown(settings.REDIS_URL)} does not answer ({first_line(error)}); start "
            "it, correct REDIS_URL, or unset REDIS_URL to use the embedded one."
        ) from error


def _check_broker() -> None:
    from django.conf import settings

    from countersign.celery import app

    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=4)
    except Exception as error:  # whatever the broker's client raises: a refused login is another
        raise SetupError(
            f"The broker at {_shown(settings.CELERY_BROKER_URL)} cannot be used "
            f"({first_line(error)}); start it, correct CELERY_BROKER_URL, or unset it to use Redis."
        ) from error


def _check_database() -> None:
    from django.conf import settings
    from django.db import DatabaseError, NotSupportedError, connection

    where = _shown(settings.DATABASE_URL)
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT installed_version FROM pg_available_extensions WHERE name='vector'"
            )
            found = cursor.fetchone()
    except NotSupportedError as error:
        raise SetupError(f"The database at {where} is too old: {first_line(error)}.") from error
    except DatabaseError as error:
        raise SetupError(
            f"The database at {where} cannot be used ({first_line(error)}); start it, correct "
            "DATABASE_URL, or unset DATABASE_URL to use the embedded one."
        ) from error
    if found is None:
        raise SetupError(
            f"The database server at {where} does not have pgvector; install its package for that "
            "PostgreSQL (e.g. postgresql-17-pgvector), or unset DATABASE_URL to use the embedded one."
        )


CHECKS: dict[str, Callable[[], None]] = {
    "redis": _check_redis,
    "broker": _check_broker,
    "database": _check_database,
}


def _shown(url: str) -> str:
    """Return a URL as it may be printed: without its password."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    folder = dict(parse_qsl(parts.query)).get("host", "")
    return f"{parts.scheme}://{host or folder}{parts.path}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
