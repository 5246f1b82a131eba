"""Finds what no transaction should leave behind: stuck tasks, and folders of attempts that ended."""

from __future__ import annotations

import contextlib
import time
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from agents import delegating, escalations, fan_in
from agents.lifecycle import StepState, TaskState
from agents.models import Arrival, Event, Step, Task
from agents.models.tasks import Rule
from agents.runtime.database import in_db
from agents.runtime.files import in_files
from agents.workspace.files import remove_folder
from projects.connections import planned_anew

if TYPE_CHECKING:
    from pathlib import Path

_QUIET = timedelta(seconds=60)
_MOVING = (StepState.READY, StepState.LEASED, StepState.WAITING_HUMAN)
_AT_WORK = (TaskState.QUEUED, TaskState.PLANNING, TaskState.WORKING, TaskState.ASSEMBLING)


def help_stuck_tasks() -> int:
    """Count anew what steps of a still task wait for; if nothing becomes ready, ask a person.

    Asks about every blocked or failed step nobody was asked about, too.
    """
    with planned_anew():
        escalations.ask_for_settled()
        stuck = _stuck()
        for task in stuck:
            _help(task)
    return len(stuck)


def _stuck() -> list[Task]:
    moving = Step.objects.filter(task=OuterRef("pk"), state__in=_MOVING)
    arrived = Arrival.objects.filter(task=OuterRef("pk"))  # its first step is still to come
    # Its last event alone: a task may have thousands.
    newest = Event.objects.filter(task=OuterRef("pk"), seq=OuterRef("last_seq"))
    lately = newest.filter(at__gt=Now() - _QUIET)
    still = Task.objects.filter(
        ~Exists(moving), ~Exists(lately), ~Exists(arrived), state__in=_AT_WORK
    )
    return list(still[:50])


async def remove_leftovers() -> None:
    """Remove the workspaces of attempts that no longer hold their step, and then empty folders."""
    if folders := await in_files(_folders):
        wanted = await in_db(_wanted, list(folders))
        for name, found in folders.items():
            if name not in wanted:
                await in_files(_remove, found)
    await in_files(_remove_empty)


def _help(task: Task) -> None:
    with transaction.atomic():
        if fan_in.recount(task):
            return
        locked = Task.objects.select_for_update(no_key=True).get(pk=task.pk)
        if locked.state != task.state:
            return
        if circle := delegating.deadlock(locked):
            _raise_deadlock(locked, circle)
            return
        escalations.raise_on(
            locked,
            rule=Rule.FAULT,
            detail="No step of this task can go on. What was finished is kept.",
            evidence={"state": task.state},
        )


def _raise_deadlock(task: Task, circle: list[Step]) -> None:
    names = " → ".join(f"“{step.title}”" for step in [*circle, circle[0]])
    escalations.raise_on(
        task,
        rule=Rule.DEADLOCK,
        detail=f"Steps wait for each other in a circle: {names}. What was finished is kept.",
        evidence={
            "steps": [step.key for step in circle],
            "last_results": {step.key: step.result for step in circle},
        },
    )


def _root() -> Path:
    root: Path = settings.DATA_DIR / "workspaces"
    return root


def _folders() -> dict[tuple[uuid.UUID, int], list[Path]]:
    """Return what lies about, by step and attempt; names we did not make are left alone."""
    found: dict[tuple[uuid.UUID, int], list[Path]] = {}
    for path in _root().glob("*/*"):
        step, _, rest = path.name.partition(".")
        attempt = rest.partition(".")[0]  # what lies beside the folder ends in .json or .draft
        try:
            key = uuid.UUID(step), int(attempt)
        except ValueError:
            continue
        found.setdefault(key, []).append(path)
    return found


def _wanted(keys: list[tuple[uuid.UUID, int]]) -> set[tuple[uuid.UUID, int]]:
    steps = Step.objects.filter(pk__in=[step for step, _ in keys], state=StepState.LEASED)
    return set(steps.values_list("pk", "attempt"))


def _remove(paths: list[Path]) -> None:
    for path in paths:
        if path.is_dir():
            remove_folder(path)
        else:
            path.unlink(missing_ok=True)


def _remove_empty() -> None:
    """Remove task folders that have held nothing for a while: a new one is about to be filled."""
    before = time.time() - _QUIET.total_seconds()
    for folder in _root().glob("*"):
        with contextlib.suppress(OSError):  # not empty, or gone already
            if folder.stat().st_mtime < before:
                folder.rmdir()
