"""Who calls, and one row for each route to act on."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from agents import holds
from agents.lifecycle import StepState, TaskState
from agents.models import Escalation, Step, Task
from approvals import expiring, routing, saving, sealing, snoozing
from approvals.models import Effect
from memory import lessons
from notices.models import Notice, Notification
from projects import tokens
from projects.models import ApiToken, Membership, Project, Role, User
from tests import call_fixtures, console_fixtures, standing_fixtures
from tests.approval_fixtures import GREEN, end_time, make_report, past_triggers
from tests.reviewing import decide

if TYPE_CHECKING:
    from approvals.models import Approval, CallApproval

# Everybody a route may meet; the first three are nobody to the console.
NOBODY = ("anonymous", "disabled", "token")
PEOPLE = ("requester", "member", "lead", "second", "outsider", "admin")
EVERYBODY = (*NOBODY, *PEOPLE)


@dataclass
class World:
    """The clients, what stands for `{…}` in addresses and forms, and the last audit entry of making it."""

    clients: dict[str, Client]
    names: dict[str, Any] = field(default_factory=dict)
    audited: int = 0


def make_world() -> World:
    """Write one of everything a route may name into one project, and everybody around it."""
    project = Project.objects.create(slug="acme", name="acme", repository="/nowhere.git")
    other = Project.objects.create(slug="other", name="other", repository="/nowhere.git")
    leads = [_member(project, name, Role.LEAD) for name in ("lead", "second", "disabled")]
    requester = _member(project, "requester", Role.REQUESTER)
    member = _member(project, "member", Role.REQUESTER)
    outsider = _member(other, "outsider", Role.LEAD)
    admin = User.objects.create(username="admin", is_staff=True, is_superuser=True)
    people = [*leads, requester, member, outsider, admin]
    clients = {"anonymous": Client(), "token": _by_token(leads[0])}
    clients |= {person.username: _signed_in(person) for person in people}
    User.objects.filter(pk=leads[2].pk).update(is_active=False)
    world = World(clients=clients)
    world.names = _rows(project, requester, leads[0]) | {
        "person": requester.pk,
        "session": Session.objects.order_by("pk")[0].pk,
    }
    return world


def _member(project: Project, name: str, role: str) -> User:
    user = User.objects.create(username=name)
    Membership.objects.create(project=project, user=user, role=role)
    return user


def _signed_in(user: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def _by_token(user: User) -> Client:
    token, text = tokens.issue(user, name="matrix", scopes=tokens.SCOPES)
    # That it was used is noted once a minute; here it is none of a route's doing.
    ApiToken.objects.filter(pk=token.pk).update(last_used_at=timezone.now() + timedelta(hours=1))
    return Client(raise_request_exception=False, headers={"authorization": f"Bearer {text}"})


def _rows(project: Project, requester: User, lead: User) -> dict[str, Any]:
    reviewed = console_fixtures.reviewed_task(project, requester)
    running, steps = _running(project, requester)
    paused = console_fixtures.queued_task(project, requester)
    hold = holds.place(by=lead, task=paused)
    names = {
        "project_id": project.pk,
        "project": project.slug,
        "lesson": lessons.propose(
            project, content="Round half to even.", source="user_stated", by=lead
        ).pk,
        "hold": hold.pk,
        "view": saving.save(name="High", query="risk:high", by=lead).pk,
        "running": running.number,
        "running_id": running.pk,
        "paused": paused.number,
        "paused_id": paused.pk,
        "step": steps["writer"].pk,
        "line": _line(running, lead).pk,
        "soon": (timezone.now() + timedelta(hours=1)).isoformat(),
        "later": (timezone.now() + timedelta(hours=2)).isoformat(),
        "today": timezone.now().date().isoformat(),
        "file": "docs/rounding.md",
    }
    names |= _stopped(project, requester) | _approval("reviewed", reviewed.approval)
    names |= _approval("approved", _approved(project, requester, lead))
    names |= _approval("expired", _expired(project, requester))
    names |= _approval("easy", _easy(project, requester))
    snoozed = sealing.seal(make_report(project, requester))
    snoozing.snooze(snoozed, by=lead, until=snoozing.after(snoozed, "hour"))
    call_fixtures.make_tool()
    call = call_fixtures.waiting_call(project, requester)
    put_off = call_fixtures.waiting_call(project, requester)
    snoozing.snooze(put_off, by=lead, until=snoozing.after(put_off, "hour"))
    held_call = call_fixtures.waiting_call(project, requester)
    routing.claim(held_call, by=lead)
    names |= {"put_off_call": put_off.pk, "held_call": held_call.pk}
    names["allowed_call"] = _allowed_call(project, requester, lead).pk
    names |= {"call": call.pk, "call_digest": call.digest, "call_nonce": call.nonce}
    names |= {"call_label": call.task.label}
    standing = standing_fixtures.standing_grant(project, requester, lead, "S-1", widened={})
    names["standing"] = standing.pk
    held = sealing.seal(make_report(project, requester))
    routing.claim(held, by=lead)
    return names | _approval("snoozed", snoozed) | _approval("held", held)


def _line(task: Task, lead: User) -> Notification:
    """Return what the lead's bell tells of a task."""
    facts = {"project": task.project, "task": task, "event": 1, "kind": "outcome"}
    notice = Notice.objects.create(type="task.finished", at=timezone.now(), **facts)
    return Notification.objects.create(notice=notice, person=lead, project=task.project)


def _running(project: Project, requester: User) -> tuple[Task, dict[str, Step]]:
    task = console_fixtures.make_task(project, requester, state=TaskState.WORKING)
    at_work, waits = StepState.LEASED, StepState.WAITING
    return task, console_fixtures.make_team(task, coder=at_work, tester=waits, aggregator=waits)


def _stopped(project: Project, requester: User) -> dict[str, Any]:
    task = console_fixtures.stopped_task(project, requester).task
    question = Escalation.objects.get(task=task)
    return {"stopped": task.number, "stopped_id": task.pk, "escalation": question.pk}


def _approved(project: Project, requester: User, lead: User) -> Approval:
    approval = sealing.seal(make_report(project, requester))
    decide(approval.pk, by=lead, verdict="approve", digest=approval.digest, nonce=approval.nonce)
    assert Task.objects.get(pk=approval.task_id).state == TaskState.EXECUTING
    # The window to undo stays open however long the tests take.
    Effect.objects.filter(approval=approval).update(not_before=timezone.now() + timedelta(hours=1))
    return approval


def _allowed_call(project: Project, requester: User, lead: User) -> CallApproval:
    """Return one that can be undone, however long the tests take."""
    row = call_fixtures.decided(call_fixtures.waiting_call(project, requester), lead)
    past_triggers(
        "UPDATE approvals_callapproval SET decided_at = now() + interval '1 hour' WHERE id = %s",
        row.pk,
    )
    return row


def _easy(project: Project, requester: User) -> Approval:
    """Return one of low risk, reversible and green, as may be approved together with others."""
    task = console_fixtures.make_task(project, requester, state=TaskState.REVIEW)
    steps = console_fixtures.make_team(task)
    facts = {"warnings": [], "checks": GREEN, "added": 1, "removed": 1}
    proposal = console_fixtures.make_proposal(task, steps, **facts)
    console_fixtures.make_file(proposal, 0, "docs/a.md", "-old\n+new\n", steps["writer"])
    return sealing.seal(proposal)


def _expired(project: Project, requester: User) -> Approval:
    approval = sealing.seal(make_report(project, requester))
    end_time(approval)
    expiring.expire_due()
    return approval


def _approval(name: str, approval: Approval) -> dict[str, Any]:
    return {
        name: approval.task.number,
        f"{name}_id": approval.pk,
        f"{name}_digest": approval.digest,
        f"{name}_nonce": approval.nonce,
        f"{name}_task": approval.task_id,
    }
