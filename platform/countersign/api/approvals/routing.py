"""What the API takes and gives about who is asked, and when; no rules here."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from approvals import snoozing
from approvals.models import CallSnooze, Snooze
from countersign.api.fields import Chosen, Input
from countersign.api.tasks.serializers import PersonShape


class SnoozeInput(Input):
    """Until when you are not asked: a moment, or one of the spans the page offers."""

    until = serializers.DateTimeField(
        required=False,
        help_text="It ends an hour before the deadline at the latest; the answer says when.",
    )
    span = Chosen(
        choices=list(snoozing.SPANS.items()),
        required=False,
        help_text="In place of `until`. tomorrow: 9:00 by the time zone of your quiet hours, else by the "
        "server's. main: until main moves, at half of the time to decide at the latest; only of a "
        "change.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse both, and neither."""
        if len(attrs) != 1:
            raise serializers.ValidationError({"until": "Send either until or span."})
        return attrs


class SnoozedShape(serializers.Serializer[Any]):
    """Until when you are not asked."""

    until = serializers.DateTimeField()
    main_moves = serializers.SerializerMethodField(
        help_text="Main moving ends it, if that is earlier."
    )

    def get_main_moves(self, kept: Snooze | CallSnooze) -> bool:
        """Return whether it waits for main; a call never does."""
        return isinstance(kept, Snooze) and kept.main_moves


class AssignmentInput(Input):
    """Who is to see to it."""

    to = serializers.UUIDField(
        required=False, help_text="A tech lead who may decide on it; left out, you claim it."
    )


class AssignmentShape(serializers.Serializer[Any]):
    """Who sees to it: routing, not a right."""

    holder = PersonShape()
    at = serializers.DateTimeField()
    alone_until = serializers.DateTimeField(
        allow_null=True,
        help_text="Until then nobody else is asked; null when others must sign too.",
    )
