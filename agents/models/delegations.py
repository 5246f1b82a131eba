"""Delegations: one agent's structured question to another, with its answer."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from agents.lifecycle import DelegationState
from agents.models.agents import Agent
from agents.models.steps import Step, ToolCall
from agents.models.tasks import Task
from projects.ids import uuid7
from projects.scoping import ScopedQuerySet

MAX_DEPTH = 2


class Delegation(models.Model):
    """`asker` waits until `answerer`, a step made for it, has answered."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    task = models.ForeignKey(Task, models.CASCADE, related_name="delegations")
    asker = models.ForeignKey(Step, models.CASCADE, related_name="questions")
    call = models.OneToOneField(
        ToolCall, models.CASCADE, help_text="The tool call that asked; its result is the answer."
    )
    answerer = models.OneToOneField(Step, models.CASCADE, related_name="delegation")
    from_agent = models.ForeignKey(Agent, models.PROTECT, related_name="+")
    to_agent = models.ForeignKey(Agent, models.PROTECT, related_name="+")
    depth = models.PositiveSmallIntegerField(help_text="1: asked by a step of the plan.")
    goal = models.CharField(max_length=300, help_text="What the answer is for, in a sentence.")
    question = models.TextField()
    goal_fingerprint = models.CharField(max_length=64, help_text="SHA-256 of the normalised goal.")
    tree = models.CharField(
        max_length=64, blank=True, help_text="The asker's files when it asked: the newest artifact."
    )
    state = models.CharField(max_length=9, choices=DelegationState, default=DelegationState.ASKED)
    answer = models.JSONField(null=True, help_text="As agents.messages defines it.")
    asked_at = models.DateTimeField(db_default=Now())
    answered_at = models.DateTimeField(null=True)

    project_path = "task__project"
    objects: ClassVar[ScopedQuerySet[Delegation]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["task", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=DelegationState.values), name="delegation_state_known"
            ),
            models.CheckConstraint(
                condition=Q(depth__gte=1, depth__lte=MAX_DEPTH), name="delegation_not_too_deep"
            ),
            models.UniqueConstraint(
                fields=["asker"],
                condition=Q(state=DelegationState.ASKED),
                name="one_open_question_per_step",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.from_agent} asks {self.to_agent}: {self.goal}"
