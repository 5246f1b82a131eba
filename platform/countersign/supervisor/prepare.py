"""Brings database and demo up to date in a short-lived process of its own, then reports in JSON.

It imports while the services start, and reads one line when they run:
`{"logins": {"web": password, …}}`, empty with an external database.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import django
import redis
from django.core.exceptions import ImproperlyConfigured

from countersign.supervisor.choices import SetupError

logger = logging.getLogger(__name__)

LOGIN_SETTINGS = {"agents": "DATABASE_URL_AGENTS", "effects": "DATABASE_URL_EFFECTS"}


def main() -> int:
    """Do the work of this module; print one JSON line for the supervisor."""
    report, sys.stdout = sys.stdout, sys.stderr  # nothing else may reach the supervisor
    try:
        result = _prepare()
    except (SetupError, ImproperlyConfigured) as error:
        result = {"error": str(error)}
    print(json.dumps(result), file=report, flush=True)
    return 1 if "error" in result else 0


def _prepare() -> dict[str, Any]:
    django.setup()
    logins: dict[str, str] = json.loads(sys.stdin.readline() or "{}").get("logins", {})
    _check_redis()
    _check_broker()
    _check_database()
    _migrate()
    _grant(logins)
    return _seed()


def _check_redis() -> None:
    from django.conf import settings

    try:
        redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=3, socket_timeout=3).ping()
    except (redis.RedisError, ValueError, OSError) as error:
        raise SetupError(
            f"Redis at {_shown(settings.REDIS_URL)} does not answer ({_first_line(error)}); start "
            "it, correct REDIS_URL, or unset REDIS_URL to use the embedded one."
        ) from error


def _check_broker() -> None:
    from django.conf import settings
    from kombu.exceptions import OperationalError

    from countersign.celery import app

    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=4)
    except (OperationalError, OSError, ValueError, KeyError, ImportError) as error:
        raise SetupError(
            f"The broker at {_shown(settings.CELERY_BROKER_URL)} does not answer "
            f"({_first_line(error)}); start it, correct CELERY_BROKER_URL, or unset it to use Redis."
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
        raise SetupError(f"The database at {where} is too old: {_first_line(error)}.") from error
    except DatabaseError as error:
        raise SetupError(
            f"The database at {where} cannot be used ({_first_line(error)}); start it, correct "
            "DATABASE_URL, or unset DATABASE_URL to use the embedded one."
        ) from error
    if found is None:
        raise SetupError(
            f"The database server at {where} does not have pgvector; install its package for that "
            "PostgreSQL (e.g. postgresql-17-pgvector), or unset DATABASE_URL to use the embedded one."
        )


def _migrate() -> None:
    from django.core.management import call_command
    from django.db import ProgrammingError, connection

    with connection.cursor() as cursor:
        # Two starts against one external database: the second waits, then finds nothing to do.
        cursor.execute("SELECT pg_advisory_lock(%s)", [_MIGRATING])
    try:
        call_command("migrate", interactive=False, verbosity=0)
    except ProgrammingError as error:
        raise SetupError(
            f"The tables could not be made ({_first_line(error)}); DATABASE_URL must name a login "
            "that owns its database and may create the extension vector."
        ) from error
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_MIGRATING])


_MIGRATING = 0x0C5A0B07


def _grant(passwords: dict[str, str]) -> None:
    """Give each login its rights: our own in the embedded database, named ones in another."""
    from django.db import DatabaseError, connection, transaction

    from countersign.supervisor import logins

    try:
        with transaction.atomic(), connection.cursor() as cursor:
            for login in logins.LOGINS:
                if password := passwords.get(login.name):
                    logins.create(cursor, login, password)
                    logins.grant(cursor, login, logins.role_name(login))
                elif role := _named_role(login.name):
                    logins.grant(cursor, login, role)
    except DatabaseError as error:
        raise SetupError(
            f"The database logins could not be given their rights ({_first_line(error)}); name "
            "existing logins in DATABASE_URL_AGENTS and DATABASE_URL_EFFECTS, or unset both."
        ) from error


def _named_role(kind: str) -> str:
    url = os.environ.get(LOGIN_SETTINGS.get(kind, ""), "")
    return urlsplit(url).username or "" if url != os.environ.get("DATABASE_URL") else ""


def _seed() -> dict[str, Any]:
    from django.conf import settings

    from agents.workspace import sandbox
    from countersign import demo

    demo.seed()
    return {
        "model": settings.COUNTERSIGN_MODEL,
        "sandbox": sandbox.available(),
        "accounts": demo.read_accounts(),
    }


def _shown(url: str) -> str:
    """Return a URL as it may be printed: without its password."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    folder = dict(parse_qsl(parts.query)).get("host", "")
    return f"{parts.scheme}://{host or folder}{parts.path}"


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].strip().rstrip(".")


if __name__ == "__main__":
    sys.exit(main())
