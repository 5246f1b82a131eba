"""What the API takes and gives about memory; no rules here."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from countersign.api.fields import Chosen, Flag, Input, Text, Whole
from countersign.api.paging import PageQuery
from memory.lifecycle import MemoryState
from memory.models import Kind

SETTABLE = (MemoryState.ACTIVE, MemoryState.RETIRED)


class MemoryQuery(PageQuery):
    """Which memories."""

    project = serializers.CharField(max_length=60, required=False)
    state = serializers.ChoiceField(choices=MemoryState.choices, required=False)
    kind = serializers.ChoiceField(choices=Kind.choices, required=False)


class MemoryInput(Input):
    """What should be different."""

    content = Text(max_length=600, required=False)
    subject = Text(max_length=200, required=False, allow_blank=True)
    agent = Text(max_length=60, required=False, allow_blank=True, source="agent_slug")
    paths = serializers.ListField(child=Text(max_length=300), max_length=50, required=False)
    pinned = Flag(required=False)
    state = Chosen(
        choices=[(state.value, state.label) for state in SETTABLE],
        required=False,
        help_text="active: keep it, as a tech lead in person; retired: stop recalling it.",
    )


class SearchInput(Input):
    """What you look for."""

    query = Text(max_length=2_000, allow_blank=True)
    project = Text(max_length=60, required=False)
    limit = Whole(min_value=1, max_value=50, required=False, default=20)


class MemoryShape(serializers.Serializer[Any]):
    """One memory with where it came from."""

    id = serializers.UUIDField()
    project = serializers.CharField(source="project.slug")
    kind = serializers.ChoiceField(choices=Kind.choices)
    content = serializers.CharField()
    subject = serializers.CharField()
    agent = serializers.CharField(source="agent_slug")
    paths = serializers.ListField(child=serializers.CharField())
    state = serializers.ChoiceField(choices=MemoryState.choices)
    source = serializers.CharField()  # type: ignore[assignment]  # a field, not the attribute
    source_label = serializers.CharField()
    source_task = serializers.UUIDField(allow_null=True)
    source_approval = serializers.UUIDField(allow_null=True)
    pinned = serializers.BooleanField()
    used_count = serializers.IntegerField()
    last_used_at = serializers.DateTimeField(allow_null=True)
    recorded_at = serializers.DateTimeField()
    approved_at = serializers.DateTimeField(allow_null=True)
    superseded_by = serializers.UUIDField(source="superseded_by_id", allow_null=True)


class FoundShape(serializers.Serializer[Any]):
    """A memory that fits, and how well."""

    memory = MemoryShape()
    score = serializers.FloatField()
    parts = serializers.JSONField()


class SearchShape(serializers.Serializer[Any]):
    """What was found, best first."""

    results = FoundShape(many=True)
