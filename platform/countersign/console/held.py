"""What people have stopped, as pages say it: the banner, a task's word, the operations page."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.db.models import Q

from agents import holds
from agents.lifecycle import TaskState
from agents.models import Agent, Hold, HoldScope
from countersign.console import looks, signers
from projects import across
from projects.across import Mine
from projects.keyset import Order, cut
from projects.models import Project
from projects.prepared import within
from projects.together import Ready

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from django.db.models import QuerySet

    from agents.models import Task
    from projects.keyset import Page, Place
    from projects.models import User
    from projects.together import Found

# It waits for a person anyway: that stays its word, and the hold is told beside it.
_WAITS = frozenset({TaskState.REVIEW, TaskState.NEEDS_HUMAN})
_AT_ONCE = 30
_LATELY = 20
_LOOKED_AT = 500  # of all that were lifted
BY_TIME = Order()


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


def to_tell(user: User, mine: Mine) -> dict[str, Ready]:
    """Return what is read of the holds every page of this person tells of: all but of single tasks."""
    return _to_tell(() if user.is_staff else mine.projects, everything=user.is_staff)


@lru_cache(maxsize=across.PERSONS)
def _to_tell(projects: tuple[UUID, ...], *, everything: bool) -> dict[str, Ready]:
    seen = Q(scope=HoldScope.PROJECT) if everything else within("project", projects)
    wide = Hold.objects.open().filter(seen | Q(scope__in=[HoldScope.EVERYTHING, HoldScope.AGENT]))
    lists = {
        "holds": wide.order_by("-id"),
        "held_by": signers.people(wide.values("placed_by")),
        "held_projects": Project.objects.filter(pk__in=wide.values("project")).only("name"),
        "held_agents": Agent.objects.filter(pk__in=wide.values("agent")).only("name"),
    }
    return {name: Ready.of(rows) for name, rows in lists.items()}


def banners(found: Found, user: User, mine: Mine) -> list[Shown]:
    """Return those holds, of what was read, the newest first."""
    people, projects, agents = (
        {row.pk: row for row in found.rows(name)}
        for name in ("held_by", "held_projects", "held_agents")
    )
    for hold in found.rows("holds"):
        hold.placed_by = people[hold.placed_by_id]
        hold.project, hold.agent = projects.get(hold.project_id), agents.get(hold.agent_id)
    return [_shown(hold, user, mine) for hold in found.rows("holds")]


def listed(user: User, mine: Mine, place: Place | None) -> tuple[list[Shown], Page[Hold]]:
    """Return a page of the open holds this person may know of, newest first."""
    seen = holds.seen_by(user)
    rows = seen.filter(place.beyond(BY_TIME)) if place else seen
    found = list(rows.order_by(*BY_TIME.fields(back=bool(place and place.back)))[: _AT_ONCE + 1])
    page = cut(found, order=BY_TIME, place=place, limit=_AT_ONCE)
    return [_shown(hold, user, mine) for hold in page.rows], page


def _shown(hold: Hold, user: User, mine: Mine) -> Shown:
    return Shown(hold=hold, what=what_of(hold), may_lift=holds.may_act(user, hold, mine))


def what_of(hold: Hold) -> str:
    """Name what a hold stops."""
    if hold.task is not None:
        return f"{hold.task.label} {hold.task.title}"
    if hold.agent is not None:
        return hold.agent.name
    return hold.project.name if hold.project is not None else "Everything"


def over(task: Task) -> Hold | None:
    """Return the hold that keeps a task from going on: its own, else the widest."""
    return None if task.over else nearest(list(holds.over_task(task)))


def nearest(found: list[Hold]) -> Hold | None:
    """Return the hold to tell of, of those over a task, the widest first: its own, else the widest."""
    own = (hold for hold in found if hold.scope == HoldScope.TASK)
    return next(own, found[0] if found else None)


def beside(task: Task) -> bool:
    """Tell whether a hold is told beside the task's state, not instead of it."""
    return task.state in _WAITS


def over_each(tasks: Iterable[Task]) -> dict[Any, Hold]:
    """Return the pauses of many tasks in one query, by task; wider holds are on the banner."""
    standing = [task.pk for task in tasks if not task.over]
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


def until(hold: Hold) -> str:
    """Return when what it stops goes on, in words."""
    return until_of(hold.scope)


def until_of(scope: str | None) -> str:
    """Return when what a hold of this scope stops goes on; of none an empty text."""
    if not scope:
        return ""
    return "the task is resumed" if scope == HoldScope.TASK else "the hold is lifted"


def may_operate(user: User, mine: Mine) -> bool:
    """Tell whether this person may hold more than their own tasks."""
    return user.is_staff or bool(mine.led)


def targets(user: User, mine: Mine) -> list[Target]:
    """Return what this person may hold beside tasks."""
    led = [row for row in mine.named if row.pk in mine.led]
    rows = list(Project.objects.order_by("name")) if user.is_staff else led
    open_ = [row for row in rows if row.archived_at is None]
    found = [Target(value=f"project:{row.slug}", word=f"Project {row.name}") for row in open_]
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
    return rows.filter(pk__in=Mine.of(user).led)


def lately(user: User) -> list[Hold]:
    """Return the last holds that were lifted, of those this person would see open."""
    newest = Hold.objects.filter(lifted_at__isnull=False).order_by("-id")
    seen = holds.seen_by(user, lifted=True).filter(pk__in=newest.values("pk")[:_LOOKED_AT])
    named = seen.prefetch_related(None).select_related("task", "placed_by", "lifted_by")
    return list(named.prefetch_related("agent", "project")[:_LATELY])
