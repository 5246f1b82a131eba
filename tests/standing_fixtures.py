"""Standing grants, made as a tech lead makes them: with a decision on a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from approvals import policies
from approvals.calls.deciding import decide
from approvals.models import CallApproval, Remember, StandingGrant
from approvals.standing.granting import Asked
from approvals.standing.patterns import Kind, Pattern
from tests.approval_fixtures import past_triggers
from tests.call_fixtures import park, working_step

if TYPE_CHECKING:
    from projects.models import Project, User

BEGINS = {"invoice": Pattern(kind=Kind.PREFIX, value="I-")}


def let_any(project: Project, by: User) -> None:
    """Let the policy allow standing grants for every tool, as the one that pays."""
    policies.change(project, by=by, standing_grants=Remember.ANY)


def remembered(row: CallApproval, by: User, **asked: Any) -> StandingGrant:
    """Allow a call and remember it: further invoices that begin with I-, whoever asks."""
    given = {"widened": BEGINS, "only_this_agent": False, **asked}
    seal = {"digest": row.digest, "nonce": row.nonce, "confirmation": row.task.label}
    decide(row.pk, by=by, verdict="allow", remember=Asked(**given), **seal)
    return StandingGrant.objects.with_state().get(origin=row)


def standing_grant(
    project: Project, requester: User, lead: User, invoice: str = "I-1", **asked: Any
) -> StandingGrant:
    """Return a grant made from a call of its own, which waits to be made."""
    let_any(project, lead)
    (row,) = park(working_step(project, requester), invoice)
    return remembered(row, lead, **asked)


def plant(grant: StandingGrant, count: int) -> None:
    """Put so many more like it in force, as rows: each of a call that is not there."""
    own = {"id": "uuidv7()", "origin_id": "gen_random_uuid()"}
    names = [field.column for field in StandingGrant._meta.concrete_fields]
    values = ", ".join(own.get(name, f'kept."{name}"') for name in names)
    past_triggers(
        f"INSERT INTO approvals_standinggrant ({', '.join(names)}) SELECT {values}"  # noqa: S608
        " FROM approvals_standinggrant kept, generate_series(1, %s) WHERE kept.id = %s",
        count,
        grant.pk,
    )


def asks(project: Project, requester: User, *invoices: str) -> list[CallApproval]:
    """Let an agent ask for calls in a task of its own, and seal them."""
    return park(working_step(project, requester), *invoices)
