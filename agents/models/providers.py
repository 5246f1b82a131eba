"""The circuit breaker of each model provider, in a row so that every worker sees the same."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from agents.lifecycle import BreakerState


class ProviderBreaker(models.Model):
    """One provider, or one OpenAI-compatible server, as calls see it."""

    provider = models.CharField(
        primary_key=True, max_length=300, help_text="provider, or provider@base URL."
    )
    state = models.CharField(max_length=9, choices=BreakerState, default=BreakerState.CLOSED)
    failures = ArrayField(
        models.DateTimeField(), default=list, help_text="When it failed lately, oldest first."
    )
    error = models.TextField(blank=True, help_text="What it said last.")
    open_until = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=BreakerState.values), name="breaker_state_known"
            ),
            models.CheckConstraint(
                condition=Q(state=BreakerState.CLOSED, open_until__isnull=True)
                | (~Q(state=BreakerState.CLOSED) & Q(open_until__isnull=False)),
                name="breaker_open_until_iff_not_closed",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider}: {self.state}"
