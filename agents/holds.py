"""Places and lifts holds: a person stops a task, an agent, a project or everything, and lets it go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, Subquery
from django.db.models.functions import Now

from agents import dispatch, storable
from agents.events import Kind
from agents.lifecycle import TASK_TERMINAL
from agents.models import Hold, HoldScope, Step, Task
from projects import audit
from projects.across import Mine
from projects.exceptions import InvalidInput, NotAllowed, TransitionRefused
from projects.failpoints import failpoint

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from agents.models import Agent
    from projects.models import Project, User

MAX_REASON = 4_000  # characters

# SQL: an open hold covers the row named `step` of agents_step.
STEP_IS_HELD = """EXISTS (
    SELECT FROM agents_hold hold WHERE hold.lifted_at IS NULL AND (
        hold.scope = 'everything' OR hold.task_id = step.task_id
        OR hold.project_id = step.project_id OR hold.agent_id = step.agent_id))"""


def place(
    *,
    by: User,
    task: Task | None = None,
    agent: Agent | None = None,
    project: Project | None = None,
    reason: str = "",
    address: str | None = None,
) -> Hold:
    """Hold what is named, or everything; within two seconds nothing it covers runs any more.

    Running attempts are given back with all they finished. Twice: the open hold, whoever placed it.
    Raises NotAllowed, InvalidInput, TransitionRefused when the task is over.
    """
    reason = _reason(reason)
    scope = _scope(task, agent, project)
    _check_right(by, scope, task, project)
    with transaction.atomic():
        now = _locked(task)
        facts = {"placed_by": by, "reason": reason}
        hold, placed = Hold.objects.get_or_create(
            scope=scope, task=task, agent=agent, project=project, lifted_at=None, defaults=facts
        )
        if not placed:
            return hold
        if now is not None:
            _tell(now, Kind.TASK_PAUSED, hold, by, reason)
        failpoint("hold.placed")
        _audit("placed", hold, by, address, reason)
    return hold


def lift(hold: Hold, *, by: User, reason: str = "", address: str | None = None) -> Hold:
    """End a hold; what it covered goes on from where it was, its deadlines later by that time.

    Twice: nothing more happens. Raises NotAllowed, InvalidInput.
    """
    reason = _reason(reason)
    _check_right(by, hold.scope, hold.task, hold.project)
    with transaction.atomic():
        tasks = Task.objects.select_for_update(no_key=True)
        now = tasks.get(pk=hold.task_id) if hold.task_id else None
        still = Hold.objects.filter(pk=hold.pk, lifted_at=None)
        lifted = still.update(lifted_at=Now(), lifted_by=by)
        hold.refresh_from_db()
        if not lifted:
            return hold
        if now is not None and not now.over:
            _tell(now, Kind.TASK_RESUMED, hold, by, reason)
        failpoint("hold.lifted")
        _audit("lifted", hold, by, address, reason)
        transaction.on_commit(dispatch.ring, robust=True)
    return hold


def resume(task: Task, *, by: User, reason: str = "", address: str | None = None) -> Hold | None:
    """Lift the task's own hold; not paused: nothing happens, after the same check of rights."""
    _check_right(by, HoldScope.TASK, task, None)
    hold = pause_of(task)
    return lift(hold, by=by, reason=reason, address=address) if hold else None


def pause_of(task: Task) -> Hold | None:
    """Return the open hold of this task alone."""
    return (
        Hold.objects.select_related("placed_by", "task__project").open().filter(task=task).first()
    )


def over_task(task: Task) -> QuerySet[Hold]:
    """Return the open holds that stop this task as a whole, the widest first."""
    wide = Q(scope=HoldScope.EVERYTHING) | Q(project=task.project_id) | Q(task=task.pk)
    return Hold.objects.open().filter(wide).select_related("placed_by", "project").order_by("scope")


def held(task: Task) -> bool:
    """Tell whether an open hold stops this task as a whole: its own, its project's or everything's."""
    return over_task(task).exists()


def holds_step(step: Step) -> bool:
    """Tell whether an open hold covers this step."""
    wide = Q(scope=HoldScope.EVERYTHING) | Q(project=step.project_id)
    return Hold.objects.open().filter(wide | Q(task=step.task_id) | Q(agent=step.agent_id)).exists()


def is_held(*, task: str, project: str, agent: str = "") -> Exists:
    """Return the condition "an open hold stops its task", by the paths to its task and project.

    With the path to its agent: or its step.
    """
    return Exists(Hold.objects.filter(_over(task, project, agent), lifted_at=None))


def scope_over(*, task: str, project: str, agent: str = "") -> Subquery:
    """Return the scope of the open hold that stops its task, by the same paths, or NULL.

    Its own pause comes before what is wider: when that is lifted, it is paused still.
    """
    found = Hold.objects.filter(_over(task, project, agent), lifted_at=None)
    # In this order: task, project, everything, agent.
    return Subquery(found.order_by("-scope").values("scope")[:1])


def _over(task: str, project: str, agent: str) -> Q:
    wide = Q(scope=HoldScope.EVERYTHING) | Q(task=OuterRef(task)) | Q(project=OuterRef(project))
    return wide | Q(agent=OuterRef(agent)) if agent else wide


def seen_by(user: User, *, lifted: bool = False) -> QuerySet[Hold]:
    """Return the open holds a person may know of: those over their projects, and all wide ones.

    With `lifted` those that were lifted instead. Newest first.
    """
    mine = Mine.of(user).projects
    wide = Q(scope__in=[HoldScope.EVERYTHING, HoldScope.AGENT])
    seen = wide | Q(project__in=mine) | Q(task__project__in=mine)
    if user.is_staff:
        seen |= Q(scope=HoldScope.PROJECT)
    found = Hold.objects.filter(seen, lifted_at__isnull=not lifted)
    if not lifted:
        found = found.filter(Q(task=None) | ~Q(task__state__in=sorted(TASK_TERMINAL)))
    people = ("placed_by", "lifted_by")
    rows = found.select_related("task").prefetch_related(*people, "project", "agent")
    return rows.defer("task__request", "task__context").order_by("-id")


def may_act(user: User, hold: Hold, mine: Mine | None = None) -> bool:
    """Tell whether this person may lift (or could have placed) the hold."""
    return _may(user, mine or Mine.of(user), hold.task, hold.project)


def _may(by: User, mine: Mine, task: Task | None, project: Project | None) -> bool:
    if not by.is_active:
        return False
    if task is not None:
        asked = by.pk == task.requester_id and task.project_id in mine.projects
        return asked or task.project_id in mine.led
    if project is not None:
        return by.is_staff or project.pk in mine.led
    return by.is_staff


def _check_right(by: User, scope: str, task: Task | None, project: Project | None) -> None:
    if not _may(by, Mine.of(by), task, project):
        raise NotAllowed(_WHO[HoldScope(scope)])


_WHO = {
    HoldScope.TASK: "Only who asked for it or a tech lead of the project can pause a task.",
    HoldScope.PROJECT: "Only a tech lead of the project or an admin can hold it.",
    HoldScope.AGENT: "Only an admin can hold an agent.",
    HoldScope.EVERYTHING: "Only an admin can hold everything.",
}


def _scope(task: Task | None, agent: Agent | None, project: Project | None) -> HoldScope:
    named = {HoldScope.TASK: task, HoldScope.AGENT: agent, HoldScope.PROJECT: project}
    aims = [scope for scope, row in named.items() if row is not None]
    if len(aims) > 1:
        raise InvalidInput("scope", "Hold one thing: a task, an agent, a project or everything.")
    return aims[0] if aims else HoldScope.EVERYTHING


def _reason(text: str) -> str:
    reason = storable.text(text.strip())
    if len(reason) > MAX_REASON:
        raise InvalidInput("reason", f"A reason has at most {MAX_REASON:,} characters.")
    return reason


def _locked(task: Task | None) -> Task | None:
    """Lock the task of a pause: against one that finishes at this moment, one of them comes first."""
    if task is None:
        return None
    now = Task.objects.select_for_update(no_key=True).get(pk=task.pk)
    if now.over:
        raise TransitionRefused(f"{now.label} is over ({now.state}); there is nothing to pause.")
    return now


def _tell(task: Task, kind: Kind, hold: Hold, by: User, reason: str) -> None:
    task.record(kind, {"hold": str(hold.pk), "by": by.display_name, "reason": reason})


def _audit(act: str, hold: Hold, by: User, address: str | None, reason: str) -> None:
    about: dict[str, Any] = {"scope": hold.scope, "reason": reason}
    if hold.task is not None:
        about["task"] = hold.task.label
    if hold.agent is not None:
        about["agent"] = hold.agent.slug
    project = hold.task.project if hold.task is not None else hold.project
    audit.record(f"hold.{act}", subject=hold, actor=by, project=project, address=address, **about)
