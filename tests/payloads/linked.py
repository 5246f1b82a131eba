"""What pages show of two things at once: collisions, edits, signatures that hold, changed arguments."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from django.db import connection
from django.utils import timezone

from agents.lifecycle import TaskState
from agents.models import Task
from approvals import sealing
from approvals.models import Approval, CallApproval, Collision, Edit
from projects.ids import uuid7
from tests import call_fixtures
from tests import console_fixtures as fixtures
from tests.approval_fixtures import past_triggers
from tests.reviewing import decide

if TYPE_CHECKING:
    from projects.models import Project, User
    from tests.routes.world import World

_WHEN_HELD = "UPDATE approvals_approval SET follows_id = %s WHERE id = %s"


def link(world: World, project: Project, requester: User, lead: User) -> list[str]:
    """Write one of each beside what is there; return the pages that show them."""
    _collide(world)
    changed = _changed_call(project, requester, lead)
    edited, held = _edited(project, requester, lead), _held(project, requester, lead)
    world.names |= {"edited": edited.task.number, "held_again": held.task.number}
    return [
        f"/calls/{changed.pk}",
        f"/review/T-{edited.task.number}/r1",
        f"/inbox?tab=decided&at={edited.pk}",
        f"/review/T-{held.task.number}/r1",
        f"/tasks/T-{held.task.number}?tab=events",
    ]


def _collide(world: World) -> None:
    pair = (world.names["reviewed_id"], world.names["easy_id"])
    one, other = Approval.objects.filter(pk__in=pair).order_by("pk")
    Collision.objects.create(one=one, other=other, paths=["docs/rounding.md"])


def _changed_call(project: Project, requester: User, lead: User) -> CallApproval:
    """Return a call that was allowed with other arguments than the agent asked for."""
    row = call_fixtures.waiting_call(project, requester)
    return call_fixtures.decided(row, lead, edited=json.dumps({"invoice": "I-2", "cents": 1}))


def _edited(project: Project, requester: User, lead: User) -> Approval:
    """Return what somebody edited and what is checked anew."""
    made = fixtures.reviewed_task(project, requester)
    approval = made.approval
    facts = {"decided_at": timezone.now(), "reason": "Dana Kim edited docs/rounding.md."}
    approval.move("stale", **facts)
    Edit.objects.create(
        approval=approval,
        step=made.steps["writer"],
        person=lead,
        path="docs/rounding.md",
        head_commit=made.proposal.head_commit,
        result_commit="b" * 40,
    )
    return approval


def _held(project: Project, requester: User, lead: User) -> Approval:
    """Return what waits for one more signature on a main that moved; the first one holds."""
    made = fixtures.reviewed_task(project, requester)
    first = made.approval
    sealed = {"digest": first.digest, "nonce": first.nonce, "note": "The same as before."}
    signature = decide(first.pk, by=lead, verdict="approve", **sealed)
    first.refresh_from_db()
    first.move("stale", reason="Main moved.", main_moved=True)
    Task.objects.filter(pk=made.task.pk).update(state=TaskState.REVIEW)
    made.task.refresh_from_db()
    proposal = fixtures.make_proposal(made.task, made.steps, version=2)
    fixtures.make_file(proposal, 0, "docs/rounding.md", "-old\n+new\n", made.steps["writer"])
    again = sealing.seal(proposal)
    past_triggers(_WHEN_HELD, first.pk, again.pk)
    with connection.cursor() as cursor:
        cursor.execute("SELECT carry_signature(%s, %s, %s)", [uuid7(), signature.pk, again.pk])
    return again
