"""The answers of models: what each took and used. What was said is in the attempt's checkpoint."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from agents.models.steps import Attempt
from projects.ids import uuid7
from projects.scoping import ScopedQuerySet


class ModelCall(models.Model):
    """One answer of a model, written with the turn it is; a call without an answer has no row."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    attempt = models.ForeignKey(
        Attempt, models.CASCADE, related_name="model_calls", db_index=False
    )  # the constraint below begins with it
    response = models.PositiveSmallIntegerField(
        help_text="Index of the answer in the conversation; its tool calls carry the same."
    )
    model = models.CharField(max_length=200, help_text="The model that answered.")
    input_tokens = models.PositiveBigIntegerField(default=0)
    output_tokens = models.PositiveBigIntegerField(default=0)
    usd = models.DecimalField(
        max_digits=12, decimal_places=6, null=True, help_text="Empty: its price is not known."
    )
    repairs = models.PositiveSmallIntegerField(
        default=0, help_text="Answers before it that could not be used."
    )
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()

    project_path = "attempt__step__task__project"
    objects: ClassVar[ScopedQuerySet[ModelCall]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["attempt", "response"]
        constraints = [
            models.UniqueConstraint(fields=["attempt", "response"], name="one_model_call_per_turn")
        ]

    def __str__(self) -> str:
        return f"{self.model} in {self.attempt_id}"
