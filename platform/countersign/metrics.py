"""`/metrics` for Prometheus: counted from the rows, so that every process tells the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import DatabaseError
from django.http import HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from agents.eventlog import behind
from agents.lifecycle import EscalationState, StepState, TaskState
from agents.models import Escalation, Step, Task
from approvals.lifecycle import ApprovalState, EffectState
from approvals.models import Approval, Effect
from countersign import tallies
from countersign.health import workers_alive
from countersign.models import SinkCursor

if TYPE_CHECKING:
    from django.db import models
    from django.http import HttpRequest

# Numbers only: who may read them sees no project, person or text.
_BY_STATE: tuple[tuple[str, type[models.Model], type[models.TextChoices]], ...] = (
    ("tasks", Task, TaskState),
    ("steps", Step, StepState),
    ("approvals", Approval, ApprovalState),
    ("effects", Effect, EffectState),
    ("escalations", Escalation, EscalationState),
)


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer in Prometheus' text format; 503 when the database does not answer."""
    registry = CollectorRegistry()
    try:
        for name, model, states in _BY_STATE:
            _count(registry, name, model, states)
        _count_behind(registry)
    except DatabaseError:
        return HttpResponse(
            "The database does not answer.\n", status=503, content_type="text/plain"
        )
    workers = Gauge(
        "countersign_workers_alive",
        "1 while a worker of the kind reports.",
        ["kind"],
        registry=registry,
    )
    for kind, here in workers_alive().items():
        workers.labels(kind).set(here)
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _count_behind(registry: CollectorRegistry) -> None:
    gauge = Gauge(
        "countersign_events_behind",
        "Events not yet known to be in the sink; 100000 or more count as 100000.",
        ["sink"],
        registry=registry,
    )
    for cursor in SinkCursor.objects.all():
        gauge.labels(cursor.name).set(behind(cursor))


def _count(
    registry: CollectorRegistry,
    name: str,
    model: type[models.Model],
    states: type[models.TextChoices],
) -> None:
    said = f"{name.title()} by state; of a large table as the database's statistics estimate it."
    gauge = Gauge(f"countersign_{name}", said, ["state"], registry=registry)
    for state, count in tallies.by_state(model, states.values).items():
        gauge.labels(state).set(count)
