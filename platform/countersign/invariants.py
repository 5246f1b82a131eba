"""Every invariant of the house, collected from its floors, and how they are checked."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import DatabaseError, connection

import agents.invariants
import approvals.invariants
import memory.invariants
import projects.invariants
from countersign.supervisor.logins import AGENTS, CARRY, EFFECTS, WRITE, role_name
from projects.invariants import Check, Found, NotChecked, Offence, collect, one_moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

logger = logging.getLogger(__name__)

# What nobody but the web may write: a worker that could would sign what it made.
_RULES = (
    "approvals_policyrule",
    "approvals_policyrule_signers",
    "approvals_absence",
    "approvals_delegation",
    "approvals_viewed",
    "approvals_edit",
    "approvals_policy_remind_people",
    "approvals_standinggrant",
)
_DECIDING = {
    AGENTS: (
        "approvals_approval",
        "approvals_signature",
        "approvals_callapproval",
        "approvals_callsignature",
        "approvals_standinguse",
        "approvals_policy",
        *_RULES,
        "approvals_effect",
    ),
    EFFECTS: ("approvals_signature", "approvals_callsignature", *_RULES, "projects_membership"),
}
_FINAL = ("projects_auditentry", "agents_event")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one check found; `fault` when it could not be made."""

    check: Check
    found: Found
    seconds: float
    fault: str = ""

    @property
    def holds(self) -> bool:
        """Tell whether the invariant is known to hold."""
        return not self.found.count and not self.fault


def checks() -> tuple[Check, ...]:
    """Return every check of the house, from the ground up."""
    floors = (projects.invariants, memory.invariants, agents.invariants, approvals.invariants)
    return (*(check for floor in floors for check in floor.CHECKS), *CHECKS)


def verify(chosen: Sequence[Check] = ()) -> list[Result]:
    """Make the chosen checks, or all; each sees the database at one moment. Changes nothing."""
    return [_made(check) for check in chosen or checks()]


def _made(check: Check) -> Result:
    began = time.monotonic()
    fault, found = "", Found(count=0, shown=())
    try:
        with one_moment():
            found = check.find()
    except DatabaseError as error:
        fault = f"The database did not answer: {error}"
    except NotChecked as error:
        fault = str(error)
    except Exception as error:
        # A row nobody foresaw must not hide what the other checks find.
        logger.exception("the check %s failed", check.name)
        fault = f"A fault in the check itself: {type(error).__name__}: {error}"
    return Result(check=check, found=found, seconds=time.monotonic() - began, fault=fault)


def _logins_too_mighty() -> Iterator[Offence]:
    """Ask the database what the workers' logins may write."""
    with connection.cursor() as cursor:
        for login, tables in _DECIDING.items():
            role = role_name(login)
            cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = %s", [role])
            if (row := cursor.fetchone()) is None:
                continue  # this database has logins of its own; its owner answers for them
            if row[0]:
                yield _may(role, "do everything: it is a superuser")
            for table, right in _rights(tables):
                cursor.execute("SELECT has_table_privilege(%s, %s, %s)", [role, table, right])
                if cursor.fetchone()[0]:
                    yield _may(role, f"{right} {table}")
            if not login.may_carry:
                cursor.execute("SELECT has_function_privilege(%s, %s, 'EXECUTE')", [role, CARRY])
                if cursor.fetchone()[0]:
                    yield _may(role, "carry signatures over")


def _rights(tables: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    yield from ((table, right) for table in tables for right in (*WRITE, "TRUNCATE"))
    yield from ((table, right) for table in _FINAL for right in ("UPDATE", "DELETE", "TRUNCATE"))


def _may(role: str, what: str) -> Offence:
    return Offence(table="", pk=f"login {role}", said=f"may {what}")


CHECKS = (
    Check(
        name="worker-cannot-sign",
        sentence="No login of a worker may decide, sign, or change what is on record.",
        find=lambda: collect(_logins_too_mighty()),
    ),
)
