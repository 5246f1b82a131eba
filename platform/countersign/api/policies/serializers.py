"""What the API takes and gives about policies; no rules here."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from approvals.models import (
    AtExpiry,
    EffectKind,
    Policy,
    PolicyRule,
    ReadWhole,
    Remember,
    Remind,
    Risk,
)
from approvals.policies import ASKED, out_of_reach
from countersign.api.fields import Chosen, Flag, Input, Text, Whole
from countersign.api.tasks.serializers import PersonShape

MAX_RULES = 50
_MAX_PATHS = 200
_MAX_PEOPLE = 100
_LONGEST = 2_160  # hours


def _paths(**options: Any) -> serializers.ListField:
    return serializers.ListField(child=Text(max_length=300), max_length=_MAX_PATHS, **options)


def _people(**options: Any) -> serializers.ListField:
    options.setdefault("help_text", "Tech leads of the project, by id.")
    return serializers.ListField(child=serializers.UUIDField(), max_length=_MAX_PEOPLE, **options)


def _chosen(choices: Any, **options: Any) -> serializers.ListField:
    return serializers.ListField(child=Chosen(choices=choices), max_length=len(choices), **options)


class RuleInput(Input):
    """What is asked besides, of proposals and calls of tools it applies to; a list that is empty leaves
    nothing out. Of calls it asks for signatures, signers, an undo window and an earlier end."""

    name = Text(max_length=80)
    risks = _chosen(Risk.choices, default=list)
    paths = _paths(default=list, help_text="Globs of which one is changed.")
    kinds = _chosen(EffectKind.choices, default=list)
    tools = _paths(default=list, help_text="Globs of server/tool of which one is called, as pay/*.")
    signatures_needed = Whole(min_value=1, max_value=5, allow_null=True, default=None)
    signers = _people(default=list, help_text="One of these tech leads must be among who signs.")
    every_file_viewed = Flag(default=False)
    bulk_forbidden = Flag(default=False)
    undo_seconds = Whole(min_value=0, max_value=300, allow_null=True, default=None)
    expires_hours = Whole(min_value=1, max_value=_LONGEST, allow_null=True, default=None)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a rule that asks for nothing."""
        if not any(attrs[name] for name in (*ASKED, "signers")):
            raise serializers.ValidationError(
                "This rule asks for nothing: set signatures, signers, files or times."
            )
        return attrs


class PolicyInput(Input):
    """The whole policy as it is to be; the rules take the place of all there are."""

    version = Whole(min_value=1, help_text="The one in force that you looked at.")
    signatures_needed = Whole(min_value=1, max_value=5)
    undo_seconds = Whole(min_value=0, max_value=300)
    expires_hours = Whole(min_value=1, max_value=_LONGEST)
    call_undo_seconds = Whole(
        min_value=0,
        max_value=300,
        help_text="How long a call of a tool waits after its last permission and can be undone.",
    )
    call_at_expiry = Chosen(
        choices=AtExpiry.choices,
        help_text="What follows when nobody decides on a call of a tool in time. It is never made.",
    )
    bulk_allowed = Flag()
    signatures_hold = Flag(help_text="When main moved in other files, signatures hold.")
    editors_alone = Flag(
        help_text="Above low risk, too, who edited a change in its review may be the only signer."
    )
    typed_confirmation = Flag(
        help_text="Who approves a change, or allows a call, of high risk types the task's label, where "
        "one signature is enough."
    )
    every_file_from = Chosen(
        choices=ReadWhole.choices,
        help_text="Of which risk each who approves has viewed every file.",
    )
    remind_half = Chosen(choices=Remind.choices)
    extend_hours = Whole(
        min_value=1, max_value=_LONGEST, allow_null=True, help_text="null: it expires."
    )
    remind_people = _people()
    standing_grants = Chosen(
        choices=Remember.choices, help_text="Which tools a standing grant may be for."
    )
    money_paths = _paths()
    protected_paths = _paths()
    rules = serializers.ListField(child=RuleInput(), max_length=MAX_RULES)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse to remind people when nobody is named."""
        if attrs["remind_half"] == Remind.PEOPLE and not attrs["remind_people"]:
            raise serializers.ValidationError({"remind_people": "Name at least one person."})
        return attrs


class RuleShape(serializers.ModelSerializer[PolicyRule]):
    """A rule, as it is taken."""

    signers: Any = serializers.PrimaryKeyRelatedField(many=True, read_only=True)

    class Meta:
        model = PolicyRule
        fields = tuple(RuleInput().fields)


class PolicyOfProjectShape(serializers.ModelSerializer[Policy]):
    """The policy in force, and who may be named in it."""

    in_force_since = serializers.DateTimeField(source="created_at")
    changed_by = PersonShape(source="created_by", allow_null=True)
    remind_people: Any = serializers.PrimaryKeyRelatedField(many=True, read_only=True)
    rules = RuleShape(many=True)
    leads = serializers.SerializerMethodField(help_text="The people who can be named, by id.")
    warnings = serializers.SerializerMethodField(
        help_text="What it asks for that nobody here could give as things are, in words."
    )

    class Meta:
        model = Policy
        fields = ("in_force_since", "changed_by", *PolicyInput().fields, "leads", "warnings")

    @extend_schema_field(PersonShape(many=True))
    def get_leads(self, policy: Policy) -> Any:
        """Return the tech leads of the project."""
        return PersonShape(self.context["leads"], many=True).data

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_warnings(self, policy: Policy) -> list[str]:
        """Return them."""
        return out_of_reach(policy)
