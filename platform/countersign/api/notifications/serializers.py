"""What the API takes and gives about notifications; no rules here."""

from __future__ import annotations

from datetime import time
from typing import Any

from rest_framework import serializers

from countersign.api.fields import Chosen, Flag, Input, Text
from countersign.api.paging import PageQuery
from notices import words
from notices.models import Kind

MOST = 500  # choices at once


class NotificationQuery(PageQuery):
    """Which notifications."""

    project = serializers.CharField(max_length=60, required=False)
    unread = serializers.BooleanField(required=False, default=False)


class TaskRefShape(serializers.Serializer[Any]):
    """The task it is about."""

    id = serializers.UUIDField(source="pk")
    number = serializers.IntegerField()
    title = serializers.CharField()


class NotificationShape(serializers.Serializer[Any]):
    """One line under your bell."""

    id = serializers.UUIDField()
    type = serializers.CharField(source="notice.type", help_text="The kind of the event.")
    kind = serializers.ChoiceField(source="notice.kind", choices=Kind.choices)
    project = serializers.CharField(source="project.slug")
    task = TaskRefShape(source="notice.task")
    said = serializers.SerializerMethodField(help_text="What happened, in words.")
    url = serializers.SerializerMethodField(help_text="The page that shows it.")
    at = serializers.DateTimeField(source="notice.at")
    read_at = serializers.DateTimeField(allow_null=True)

    def get_said(self, row: Any) -> str:
        """Say it."""
        return words.sentence(row.notice)

    def get_url(self, row: Any) -> str:
        """Lead to it."""
        return words.address(row.notice)


class ReadInput(Input):
    """Which to mark as read: some, or all."""

    ids = serializers.ListField(child=serializers.UUIDField(), max_length=200, required=False)
    all = Flag(required=False, default=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Ask for one of both."""
        if ("ids" in attrs) == attrs["all"]:
            raise serializers.ValidationError({"ids": ["Give ids, or all as true."]})
        return attrs


class ReadShape(serializers.Serializer[Any]):
    """How many were unread."""

    read = serializers.IntegerField()


class ChoiceInput(Input):
    """How you are told of one kind."""

    project = Text(max_length=60, allow_null=True, help_text="null: in every project.")
    kind = Chosen(choices=Kind.choices)
    bell = Flag()
    email = Flag()


class ClockTime(serializers.TimeField):
    """A time of day, as 22:00."""

    def __init__(self, **options: Any) -> None:
        super().__init__(format="%H:%M", input_formats=["%H:%M"], **options)

    def to_internal_value(self, value: Any) -> time:
        """Refuse what is no string."""
        if not isinstance(value, str):
            self.fail("invalid", format="HH:MM")
        found = super().to_internal_value(value)
        return time(found.hour, found.minute)


class QuietInput(Input):
    """When you get no e-mail."""

    begins = ClockTime()
    ends = ClockTime()
    zone = Text(max_length=64, help_text="As Europe/Berlin.")
    unless_due = Flag(required=False, default=False)


class PreferencesInput(Input):
    """All you choose; what is left out goes back to what holds without a choice."""

    quiet = QuietInput(allow_null=True)
    choices = serializers.ListField(child=ChoiceInput(), max_length=MOST)


class ChoiceShape(serializers.Serializer[Any]):
    """How you are told of one kind, everywhere or in one project."""

    project = serializers.CharField(allow_null=True)
    kind = serializers.ChoiceField(choices=Kind.choices)
    bell = serializers.BooleanField()
    email = serializers.BooleanField()


class QuietShape(serializers.Serializer[Any]):
    """When you get no e-mail."""

    begins = ClockTime()
    ends = ClockTime()
    zone = serializers.CharField()
    unless_due = serializers.BooleanField()


class PreferencesShape(serializers.Serializer[Any]):
    """What you chose, and what holds without a choice."""

    email = serializers.BooleanField(help_text="Whether this installation sends e-mail.")
    quiet = QuietShape(allow_null=True)
    choices = ChoiceShape(many=True)
    defaults = ChoiceShape(many=True)
