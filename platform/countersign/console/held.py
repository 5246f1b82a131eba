"""What people have stopped, as pages say it: the banner, a task's word, the operations page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Q

from agents import holds
from agents.lifecycle import TaskState
from agents.models import Agent, Hold, HoldScope
from countersign.console import looks
from projects.models import Membership, Project, Role

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import QuerySet

    from agents.models import Task
    from projects.models import User

# Elsewhere the task waits for a person anyway.
_STANDS = frozenset(
    {
        TaskState.QUEUED,
        TaskState.PLANNING,
        TaskState.WORKING,
        TaskState.ASSEMBLING,
        TaskState.EXECUTING,
    }
)
_LATELY = 20
_BANNERS = 20


@dataclass(frozen=True, kw_only=True)
class Shown:
    """An open hold, and whether this person may lift it."""

    hold: Hold
    what: str
    may_lift: bool


@dataclass(frozen=True, kw_only=True)
class Target:
    """Something this person may hold."""

    value: str
    word: str


def banners(user: User) -> list[Shown]:
    """Return the holds every page of this person tells of: all but those of single tasks."""
    mine = Q(scope=HoldScope.PROJECT) if user.is_staff else Q(project__in=_mine(user))
    wide = Hold.objects.open().filter(mine | Q(scope__in=[HoldScope.EVERYTHING, HoldScope.AGENT]))
    rows = wide.select_related("placed_by", "project", "agent").order_by("-id")
    return [shown(hold, user) for hold in rows[:_BANNERS]]


def _mine(user: User) -> QuerySet[Membership, Any]:
    return Membership.objects.filter(user=user).values_list("project_id", flat=True)


def shown(hold: Hold, user: User) -> Shown:
    """Return a hold with its words."""
    return Shown(hold=hold, what=what_of(hold), may_lift=holds.may_act(user, hold))


def what_of(hold: Hold) -> str:
    """Name what a hold stops."""
    if hold.task is not None:
        return f"{hold.task.label} {hold.task.title}"
    if hold.agent is not None:
        return hold.agent.name
    return hold.project.name if hold.project is not None else "Everything"


def over(task: Task) -> Hold | None:
    """Return the hold that keeps a task from going on: its own, else the widest."""
    found = list(holds.over_task(task)) if task.state in _STANDS else []
    own = (hold for hold in found if hold.scope == HoldScope.TASK)
    return next(own, found[0] if found else None)


def over_each(tasks: Iterable[Task]) -> dict[Any, Hold]:
    """Return the pauses of many tasks in one query, by task; wider holds are on the banner."""
    standing = [task.pk for task in tasks if task.state in _STANDS]
    if not standing:
        return {}
    open_ = Hold.objects.open().filter(task__in=standing)
    return {hold.task_id: hold for hold in open_.select_related("placed_by")}


def look(hold: Hold) -> looks.Look:
    """Return how a task looks that does not go on."""
    who = hold.placed_by.display_name
    if hold.scope == HoldScope.TASK:
        return looks.Look(word=f"Paused by {who}", icon="pause", tone="plain")
    return looks.Look(word=f"Held by {who}", icon="octagon-pause", tone="warn")


def may_operate(user: User) -> bool:
    """Tell whether this person may hold more than their own tasks."""
    return user.is_staff or Membership.objects.filter(user=user, role=Role.LEAD).exists()


def targets(user: User) -> list[Target]:
    """Return what this person may hold beside tasks."""
    found = [Target(value=f"project:{row.slug}", word=f"Project {row.name}") for row in led(user)]
    if user.is_staff:
        agents = Agent.objects.filter(enabled=True).order_by("role", "name")
        found += [Target(value=f"agent:{row.slug}", word=f"Agent {row.name}") for row in agents]
        found.append(Target(value="everything", word="Everything: all projects, all agents"))
    return found


def led(user: User) -> QuerySet[Project]:
    """Return the projects this person may hold."""
    rows = Project.objects.filter(archived_at=None).order_by("name")
    if user.is_staff:
        return rows
    leads = Membership.objects.filter(user=user, role=Role.LEAD).values("project_id")
    return rows.filter(pk__in=leads)


def lately(user: User) -> list[Hold]:
    """Return the last holds that were lifted, of those this person would see open."""
    return list(holds.seen_by(user, lifted=True)[:_LATELY])
