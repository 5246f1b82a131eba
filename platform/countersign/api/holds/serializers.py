"""What the API takes and gives about holds; no rules here."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from agents.holds import MAX_REASON
from agents.models import HoldScope
from countersign.api.fields import Chosen, Input, Text
from countersign.api.paging import PageQuery


class PauseInput(Input):
    """Why, if you want to say."""

    reason = Text(max_length=MAX_REASON, required=False, allow_blank=True, default="")


class HoldInput(PauseInput):
    """What to hold: name what the scope asks for, and nothing else."""

    scope = Chosen(choices=HoldScope.choices)
    task = serializers.UUIDField(required=False, help_text="For scope task.")
    agent = Text(max_length=60, required=False, help_text="For scope agent: its slug.")
    project = Text(max_length=60, required=False, help_text="For scope project: its slug.")


class HoldQuery(PageQuery):
    """Which holds."""

    scope = serializers.ChoiceField(choices=HoldScope.choices, required=False)


class HolderShape(serializers.Serializer[Any]):
    """Who placed or lifted it."""

    id = serializers.UUIDField()
    name = serializers.CharField(source="display_name")


class HoldShape(serializers.Serializer[Any]):
    """A hold: while it is open, nothing it covers runs and no deadline of it does."""

    id = serializers.UUIDField()
    scope = serializers.ChoiceField(choices=HoldScope.choices)
    task = serializers.UUIDField(source="task_id", allow_null=True)
    agent = serializers.CharField(source="agent.slug", default=None, allow_null=True)
    project = serializers.CharField(source="project.slug", default=None, allow_null=True)
    reason = serializers.CharField()
    placed_by = HolderShape()
    placed_at = serializers.DateTimeField()
    lifted_by = HolderShape(allow_null=True)
    lifted_at = serializers.DateTimeField(allow_null=True)
