"""What a policy asks of one approval, as it was sealed and as the API shows it."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from approvals.models import Remind


class NamedShape(serializers.Serializer[Any]):
    """Somebody a rule names."""

    id = serializers.UUIDField()
    name = serializers.CharField()


class SignersShape(serializers.Serializer[Any]):
    """One of these people must be among those who sign."""

    rule = serializers.CharField()
    anyone_of = NamedShape(many=True)


class RemindersShape(serializers.Serializer[Any]):
    """Who is reminded at half of the time, and whether its end is put off once."""

    half = serializers.ChoiceField(choices=Remind.choices)
    extend_hours = serializers.IntegerField(help_text="0: it expires.")
    people = NamedShape(many=True)


class PolicyShape(serializers.Serializer[Any]):
    """What the policy and those of its rules that apply ask, as it was sealed."""

    id = serializers.UUIDField()
    version = serializers.IntegerField()
    signatures_needed = serializers.IntegerField()
    undo_seconds = serializers.IntegerField()
    every_file_viewed = serializers.BooleanField(default=False)
    bulk_allowed = serializers.BooleanField(default=False)
    signatures_hold = serializers.BooleanField(
        default=False, help_text="When main moved in other files."
    )
    typed_confirmation = serializers.BooleanField(
        default=False, help_text="Who approves types the task's label: high risk, one signature."
    )
    rules = serializers.ListField(
        child=serializers.CharField(), default=list, help_text="Those that apply, by name."
    )
    signers = SignersShape(many=True, default=list)
    reminders = RemindersShape(required=False)
