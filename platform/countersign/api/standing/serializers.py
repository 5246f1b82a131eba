"""What the API takes and gives about standing grants; no rules here."""

from __future__ import annotations

import json
from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from approvals.models import Standing, StandingGrant
from approvals.models.standing import MAX_HITS
from approvals.standing.granting import HITS, HOURS, MOST_HOURS, Asked
from approvals.standing.patterns import MAX_PATTERN, Kind, Pattern
from countersign.api.fields import Chosen, Flag, Input, Object, Text, Whole
from countersign.api.paging import PageQuery
from countersign.api.tasks.serializers import STRINGS, PersonShape

MOST_ARGUMENTS = 200
_OBJECT: dict[str, Any] = {"type": "object", "additionalProperties": True}


class StandingQuery(PageQuery):
    """Which standing grants."""

    project = serializers.CharField(max_length=60, required=False)
    in_force = serializers.BooleanField(
        required=False, allow_null=True, default=None, help_text="false: only those that ended."
    )


class PatternInput(Input):
    """What an argument may be."""

    kind = Chosen(choices=Kind.choices)
    value = Text(
        max_length=MAX_PATTERN, required=False, default=None, help_text="Of a prefix or a glob."
    )


class RememberInput(Input):
    """Further calls to let through, like the one you allow; what you do not widen stays exact."""

    widened = Object(
        required=False,
        default=dict,
        help_text="By the name of an argument: {kind, value}. In a glob `*` and `?` stop at any of "
        "`/?#@:` and what becomes one of them in a host's name, as `\uff0f` does, `**` does not; brackets are themselves. "
        "What is an address, `//host` and `https:host` too, fits only what says its whole host. "
        "Longer texts, hidden or confusable characters, `..` and backslashes fit no prefix and no glob. Arguments the call does not have are never let through.",
    )
    only_this_agent = Flag(default=True)
    hours = Whole(min_value=1, max_value=MOST_HOURS, default=HOURS)
    max_hits = Whole(min_value=1, max_value=MAX_HITS, default=HITS)

    def validate_widened(self, widened: dict[str, Any]) -> dict[str, Pattern]:
        """Read each as a pattern."""
        if len(widened) > MOST_ARGUMENTS:
            raise serializers.ValidationError(f"Name at most {MOST_ARGUMENTS} arguments.")
        return {str(name): _pattern(each) for name, each in widened.items()}

    def validate(self, attrs: dict[str, Any]) -> Any:
        """Return what is asked for."""
        return {"asked": Asked(**attrs)}


def _pattern(given: Any) -> Pattern:
    shape = PatternInput(data=given)
    shape.is_valid(raise_exception=True)
    return Pattern(kind=Kind(shape.validated_data["kind"]), value=shape.validated_data["value"])


class StandingShape(serializers.Serializer[Any]):
    """Calls that a tech lead let through beforehand."""

    id = serializers.UUIDField()
    project = serializers.CharField(source="project.slug")
    server = serializers.CharField()
    tool = serializers.CharField()
    definition = serializers.CharField(
        source="pin.definition", help_text="Of the pinned tool; once it changes, nothing fits."
    )
    agent = serializers.CharField(
        source="agent.slug", default=None, allow_null=True, help_text="null: any agent."
    )
    arguments = serializers.SerializerMethodField(
        help_text="By name: {kind, value}; a call has these and no others."
    )
    state = serializers.ChoiceField(choices=Standing.choices)
    granted_by = PersonShape()
    at = serializers.DateTimeField()
    begins_at = serializers.DateTimeField(
        allow_null=True,
        help_text="While the call it was made with can be undone, when it comes into force as things "
        "are, later with each moment of a hold; it lets nothing through before. null: it has.",
    )
    expires_at = serializers.DateTimeField()
    max_hits = serializers.IntegerField()
    hits = serializers.IntegerField()
    used_at = serializers.DateTimeField(allow_null=True, help_text="Last.")
    revoked_at = serializers.DateTimeField(allow_null=True)
    revoked_by = PersonShape(allow_null=True)
    call = serializers.UUIDField(source="origin_id", help_text="That it was made with.")
    links = serializers.SerializerMethodField()

    @extend_schema_field(_OBJECT)
    def get_arguments(self, grant: StandingGrant) -> Any:
        """Return what each argument may be."""
        return json.loads(grant.patterns)

    @extend_schema_field(STRINGS)
    def get_links(self, grant: StandingGrant) -> dict[str, str]:
        """Return where to look next."""
        request = self.context["request"]
        names = {"self": "api:standing_grant", "console": "console:standing_grant"}
        return {
            name: request.build_absolute_uri(reverse(route, args=[grant.pk]))
            for name, route in names.items()
        }
