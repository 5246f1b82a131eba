"""Which agent the task page shows: the one picked, else who works now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Max

from agents.lifecycle import StepState
from agents.models import Event

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agents.models import Step


def focus_of(steps: Sequence[Step], query: Mapping[str, str]) -> Step | None:
    """Return the step in the live pane.

    `agent` is the one a person picked and stays. `focus` is the one the page follows by itself: it
    stays while its agent works, so that no pane changes under a reader at every turn of another.
    """
    known = {str(step.pk): step for step in steps}
    picked, followed = known.get(query.get("agent", "")), known.get(query.get("focus", ""))
    if picked:
        return picked
    if followed and followed.state == StepState.LEASED:
        return followed
    return most_active(steps) or _last(steps)


def most_active(steps: Sequence[Step]) -> Step | None:
    """Return the running step that did something last, else one that waits for a person."""
    running = [step for step in steps if step.state == StepState.LEASED]
    if len(running) > 1:
        newest = _newest_seqs(running)
        return max(running, key=lambda step: newest.get(step.pk, 0))
    stopped = [step for step in steps if step.state == StepState.WAITING_HUMAN]
    return next(iter(running or stopped), None)


def _last(steps: Sequence[Step]) -> Step | None:
    begun = [(step.started_at, step) for step in steps if step.started_at]
    if begun:
        return max(begun, key=lambda pair: pair[0])[1]
    return next(iter(steps[:1]), None)


def _newest_seqs(steps: Sequence[Step]) -> dict[object, int]:
    rows = Event.objects.filter(task=steps[0].task_id, step__in=steps).order_by()
    return dict(rows.values_list("step").annotate(Max("seq")))
