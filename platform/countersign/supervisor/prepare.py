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
from urllib.parse import urlsplit

import django
from django.core.exceptions import ImproperlyConfigured

from countersign.supervisor import services
from countersign.supervisor.choices import SetupError
from countersign.supervisor.services import first_line

logger = logging.getLogger(__name__)

LOGIN_SETTINGS = {
    "agents": "DATABASE_URL_AGENTS",
    "effects": "DATABASE_URL_EFFECTS",
    "sink": "DATABASE_URL_SINK",
}


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
    for check in services.CHECKS.values():
        check()
    _migrate()
    _grant(logins)
    return _seed()


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
            f"The tables could not be made ({first_line(error)}); DATABASE_URL must name a login "
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
            f"The database logins could not be given their rights ({first_line(error)}); name "
            "existing logins in DATABASE_URL_AGENTS, _EFFECTS and _SINK, or unset them."
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


if __name__ == "__main__":
    sys.exit(main())
