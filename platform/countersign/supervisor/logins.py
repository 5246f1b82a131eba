"""Which database login may write what: the web decides, agents work, effects carry out, and the
sink reads events and notes how far it got.

Only the owner alters tables; nobody else changes or empties the audit log, or removes an event.
Granted again at every start, so that tables of new migrations are covered.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from psycopg import sql

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper

CARRY = "carry_signature(uuid, uuid, uuid)"
WRITE = ("INSERT", "UPDATE", "DELETE")


@dataclass(frozen=True, kw_only=True)
class Login:
    """What one kind of process may do; the first pattern a table fits decides."""

    name: str
    rights: tuple[tuple[str, tuple[str, ...]], ...]
    may_carry: bool = False  # have the database copy signatures to the same change on another main

    def on(self, table: str) -> tuple[str, ...]:
        """Return the rights on one table."""
        return next((rights for fits, rights in self.rights if fnmatchcase(table, fits)), ())


# Facts that are written once, whoever writes them.
_FACTS = (("projects_auditentry", ("SELECT", "INSERT")),)
_SECRETS = (("projects_apitoken", ()), ("django_session", ()))
# Who took a step over does not sign its task: that is changed once (a trigger holds it), removed never.
_ANSWERS = (("agents_escalation", ("SELECT", "INSERT", "UPDATE")),)
# An agent must not change what agents may do, nor lift the hold that stops it.
_AGENT_CONFIGURATION = tuple(
    (f"agents_{table}", ("SELECT",))
    for table in ("agent", "agentversion", "modelprofile", "toolserver", "tool", "grant", "hold")
)

WEB = Login(
    name="web",
    rights=(
        *_FACTS,
        ("approvals_signature", ("SELECT", "INSERT")),
        ("approvals_edit", ("SELECT", "INSERT")),
        ("approvals_delegation", ("SELECT", "INSERT")),
        ("approvals_absence", ("SELECT", "INSERT", "UPDATE")),
        ("approvals_collision", ("SELECT",)),
        ("approvals_callsignature", ("SELECT", "INSERT")),
        ("approvals_standinggrant", ("SELECT", "INSERT", "UPDATE")),
        ("approvals_standinguse", ("SELECT",)),
        ("agents_event", ("SELECT", "INSERT")),
        ("django_migrations", ("SELECT",)),
        ("countersign_sinkcursor", ("SELECT",)),
        ("*", ("SELECT", *WRITE)),
    ),
)
AGENTS = Login(
    name="agents",
    rights=(
        *_FACTS,
        *_SECRETS,
        *_AGENT_CONFIGURATION,
        *_ANSWERS,
        ("agents_event", ("SELECT", "INSERT")),
        ("agents_*", ("SELECT", *WRITE)),
        ("memory_*", ("SELECT", *WRITE)),
        ("notices_*", ()),  # where messages go is none of an agent's business
        ("*", ("SELECT",)),  # approvals too: an agent can look, never decide
    ),
)
EFFECTS = Login(
    name="effects",
    may_carry=True,
    rights=(
        *_FACTS,
        *_SECRETS,
        *_AGENT_CONFIGURATION,
        ("approvals_signature", ("SELECT",)),
        ("approvals_callsignature", ("SELECT",)),
        ("approvals_standinggrant", ("SELECT", "UPDATE (hits, used_at)")),
        ("approvals_standinguse", ("SELECT", "INSERT")),
        ("approvals_delegation", ("SELECT",)),
        ("approvals_absence", ("SELECT",)),
        ("approvals_comment", ("SELECT",)),
        ("approvals_policyrule*", ("SELECT",)),
        ("approvals_policy_remind_people", ("SELECT",)),
        ("approvals_viewed", ("SELECT",)),
        ("approvals_edit", ("SELECT",)),
        ("approvals_savedview", ("SELECT",)),
        ("approvals_*", ("SELECT", *WRITE)),
        *_ANSWERS,
        ("agents_event", ("SELECT", "INSERT")),
        ("agents_*", ("SELECT", *WRITE)),
        ("memory_*", ("SELECT", *WRITE)),
        *((f"notices_{table}", ("SELECT",)) for table in ("choice", "hours")),
        ("notices_*", ("SELECT", *WRITE)),  # it tells people what happened
        ("*", ("SELECT",)),
    ),
)
SINK = Login(
    name="sink",
    rights=(
        *((table, ("SELECT",)) for table in ("agents_event", "agents_task", "projects_project")),
        ("countersign_sinkcursor", ("SELECT", "INSERT", "UPDATE")),
    ),
)
LOGINS = (WEB, AGENTS, EFFECTS, SINK)


def role_name(login: Login) -> str:
    """Return the login's name in the embedded database."""
    return f"countersign_{login.name}"


def create(cursor: CursorWrapper, login: Login, password: str) -> None:
    """Make the login in the embedded database, or give it this run's password."""
    role = sql.Identifier(role_name(login))
    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role_name(login)])
    verb = sql.SQL("ALTER" if cursor.fetchone() else "CREATE")
    cursor.execute(
        sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, role, sql.Literal(password))
    )


def grant(cursor: CursorWrapper, login: Login, role: str) -> None:
    """Give `role` exactly the rights of `login` on every table there is now."""
    execute = cursor.execute
    who = sql.Identifier(role)
    execute(sql.SQL("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {}").format(who))
    execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(who))
    execute(sql.SQL("GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {}").format(who))
    execute(sql.SQL("REVOKE ALL ON FUNCTION {} FROM {}").format(sql.SQL(CARRY), who))
    if login.may_carry:
        execute(sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(sql.SQL(CARRY), who))
    execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
    for (table,) in cursor.fetchall():
        if rights := login.on(table):
            execute(
                sql.SQL("GRANT {} ON {} TO {}").format(
                    sql.SQL(", ").join(map(sql.SQL, rights)), sql.Identifier(table), who
                )
            )
