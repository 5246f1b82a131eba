"""What the API takes and gives about calls of tools; no rules here."""

from __future__ import annotations

import json
import uuid  # noqa: TC003 - the schema is made of annotations
from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from approvals import confirming, counting, deadlines, routing
from approvals.calls import windows
from approvals.calls.deciding import waits
from approvals.calls.sealing import covered
from approvals.decisions import MAX_NOTE
from approvals.lifecycle import CallState, CallVerdict
from approvals.models import (
    AtExpiry,
    CallApproval,
    CallReminder,
    CallSignature,
    Risk,
    StandingGrant,
    StandingUse,
)
from approvals.rights import why_not
from countersign.api.approvals.routing import AssignmentShape
from countersign.api.approvals.serializers import (
    COUNTS,
    StoodForShape,
)
from countersign.api.approvals.terms import RemindersShape, SignersShape
from countersign.api.fields import Chosen, Input, Text
from countersign.api.paging import PageQuery
from countersign.api.standing.serializers import RememberInput
from countersign.api.tasks.serializers import STRINGS, PersonShape

_OBJECT: dict[str, Any] = {"type": "object", "additionalProperties": True}


class CallQuery(PageQuery):
    """Which calls."""

    state = serializers.ChoiceField(choices=CallState.choices, required=False)
    project = serializers.CharField(max_length=60, required=False)


@extend_schema_field(_OBJECT)
class ArgumentsField(serializers.JSONField):
    """Arguments of a call: one object."""


class CallDecisionInput(Input):
    """A decision: on what you saw, by its digest and nonce."""

    verdict = Chosen(choices=CallVerdict.choices)
    digest = Text(max_length=64)
    nonce = Text(max_length=64)
    note = Text(
        max_length=MAX_NOTE,
        required=False,
        allow_blank=True,
        default="",
        help_text="Told to the agent; needed to refuse.",
    )
    arguments = ArgumentsField(
        required=False,
        help_text="Allow it with these in place of the agent's; they must fit the tool's schema.",
    )
    remember = RememberInput(
        required=False,
        help_text="Allow it, and make a standing grant: further calls like it go through without asking.",
    )
    confirmation = Text(
        max_length=confirming.MOST,
        required=False,
        allow_blank=True,
        default="",
        help_text="To allow where the sealed policy says typed_confirmation: the task's label, as "
        "T-12, typed by the person.",
    )


class TaskOfCallShape(serializers.Serializer[Any]):
    """The task it belongs to."""

    id = serializers.UUIDField()
    number = serializers.IntegerField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field, not the attribute
    title = serializers.CharField()


class CallShape(serializers.Serializer[Any]):
    """A call in a list."""

    id = serializers.UUIDField()
    project = serializers.CharField(source="project.slug")
    task = TaskOfCallShape()
    server = serializers.CharField()
    tool = serializers.CharField()
    agent = serializers.CharField()
    risk = serializers.ChoiceField(
        choices=Risk.choices, help_text="By what the tool says of itself, as it was sealed."
    )
    state = serializers.ChoiceField(choices=CallState.choices)
    requested_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True)
    decided_by = PersonShape(allow_null=True)
    links = serializers.SerializerMethodField()

    @extend_schema_field(STRINGS)
    def get_links(self, call: CallApproval) -> dict[str, str]:
        """Return where to look next."""
        request = self.context["request"]
        return {
            "self": request.build_absolute_uri(reverse("api:call", args=[call.pk])),
            "console": request.build_absolute_uri(reverse("console:call", args=[call.pk])),
        }


class CallPolicyShape(serializers.Serializer[Any]):
    """What the policy and those of its rules that apply ask of a call, as it was sealed."""

    id = serializers.UUIDField()
    version = serializers.IntegerField()
    signatures_needed = serializers.IntegerField(default=1)
    undo_seconds = serializers.IntegerField(
        default=0, help_text="How long it waits after its last permission and can be undone."
    )
    at_expiry = serializers.ChoiceField(
        choices=AtExpiry.choices,
        default=AtExpiry.GO_ON,
        help_text="What follows when nobody decides in time. It is never made.",
    )
    typed_confirmation = serializers.BooleanField(
        default=False,
        help_text="Who allows it types the task's label: high risk, one permission.",
    )
    rules = serializers.ListField(
        child=serializers.CharField(), default=list, help_text="Those that apply, by name."
    )
    signers = SignersShape(many=True, default=list)
    reminders = RemindersShape(required=False)


class CallSignatureShape(serializers.Serializer[Any]):
    """One person's decision."""

    id = serializers.UUIDField()
    verdict = serializers.ChoiceField(choices=CallVerdict.choices)
    signer = PersonShape()
    note = serializers.CharField()
    digest = serializers.CharField(
        help_text="Of what is called: with the arguments a person put in place of the agent's, if any."
    )
    at = serializers.DateTimeField()
    on_behalf_of = StoodForShape(many=True, help_text="Absent people it counts for, too.")
    counts = serializers.SerializerMethodField(help_text=COUNTS)

    def get_counts(self, signature: CallSignature) -> bool:
        """Tell it."""
        return signature.pk not in self.context.get("lapsed", ())


class CallDetailShape(CallShape):
    """One call, whole: what is sealed, and what a decision names."""

    digest = serializers.SerializerMethodField(
        help_text="Of what would be called: with the arguments the first signer put in place of the "
        "agent's, if several must allow it."
    )
    nonce = serializers.CharField()
    snapshot = serializers.JSONField()
    policy = CallPolicyShape(source="snapshot.policy")
    signatures = serializers.SerializerMethodField(help_text="Oldest first.")
    arguments = serializers.SerializerMethodField(help_text="As the agent asked for them.")
    edited = serializers.SerializerMethodField(help_text="As a person changed them, or null.")
    reason = serializers.CharField()
    result = serializers.CharField(
        source="told",
        help_text="What the agent was told; empty when it was asked again, whose result it is then.",
    )
    standing_grant = serializers.SerializerMethodField(
        help_text="The standing grant that let it through, or null."
    )
    assignment = serializers.SerializerMethodField(help_text="Who sees to it, if anybody.")
    decide_by = serializers.SerializerMethodField(
        help_text="Until when it can be decided as things are: later by holds and an extension."
    )
    undo_until = serializers.SerializerMethodField(
        help_text="Until when its permission can be undone, as things are; null when it cannot."
    )
    asked_again = serializers.UUIDField(
        allow_null=True,
        help_text="The request that took the place of this one when its permission was undone, or null.",
    )
    you_may_decide = serializers.SerializerMethodField(
        help_text="Whether you may decide on it now, in person; who has allowed it may refuse it while it "
        "waits for others."
    )
    you_may_allow = serializers.SerializerMethodField(
        help_text="Whether you may allow it now, in person: once, but for one that has enough permissions "
        "since others lost theirs."
    )

    def get_digest(self, call: CallApproval) -> str:
        """Return it."""
        return covered(call)

    @extend_schema_field(CallSignatureShape(many=True))
    def get_signatures(self, call: CallApproval) -> Any:
        """Return the decisions."""
        found = list(call.signatures.select_related("signer").order_by("id"))
        context = {"lapsed": counting.lapsed(call, found)}
        return CallSignatureShape(found, many=True, context=context).data

    @extend_schema_field(_OBJECT)
    def get_arguments(self, call: CallApproval) -> dict[str, Any]:
        """Return what the agent asked for."""
        return call.original

    @extend_schema_field({**_OBJECT, "nullable": True})
    def get_edited(self, call: CallApproval) -> dict[str, Any] | None:
        """Return what is called in its place."""
        return json.loads(call.edited) if call.edited else None

    @extend_schema_field(serializers.DateTimeField())
    def get_decide_by(self, call: CallApproval) -> Any:
        """Return the deadline that holds now."""
        rows = CallApproval.objects.filter(pk=call.pk).only("pk")
        until = deadlines.with_deadline(rows, CallReminder).get().until
        return serializers.DateTimeField().to_representation(until)

    @extend_schema_field(AssignmentShape(allow_null=True))
    def get_assignment(self, call: CallApproval) -> Any:
        """Return who sees to it."""
        held = routing.holder_of(call)
        return AssignmentShape(held).data if held else None

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_undo_until(self, call: CallApproval) -> Any:
        """Return it."""
        rows = windows.with_window(CallApproval.objects.filter(pk=call.pk).only("pk"))
        until = rows.filter(may_be_undone=True).values_list("undo_until", flat=True).first()
        return serializers.DateTimeField().to_representation(until) if until else None

    def get_standing_grant(self, call: CallApproval) -> uuid.UUID | None:
        """Return it."""
        return StandingUse.objects.filter(approval=call).values_list("grant", flat=True).first()

    def get_you_may_decide(self, call: CallApproval) -> bool:
        """Tell whether the caller may decide on it, in person."""
        request = self.context["request"]
        via = "token" if request.auth else "session"
        return waits(call) and not why_not(call, request.user, via=via)

    def get_you_may_allow(self, call: CallApproval) -> bool:
        """Tell whether the caller may allow it, in person."""
        if not self.get_you_may_decide(call):
            return False
        signed = call.signatures.filter(signer=self.context["request"].user).exists()
        return not signed or not counting.of(call).missing(call)


class CallDecidedShape(CallSignatureShape):
    """The receipt of a decision; `pending` when others must allow it, too."""

    call = serializers.UUIDField(source="approval_id")
    state = serializers.ChoiceField(choices=CallState.choices, source="approval.state")
    standing_grant = serializers.SerializerMethodField(help_text="Made with it, or null.")

    def get_standing_grant(self, signature: CallSignature) -> uuid.UUID | None:
        """Return it."""
        made = StandingGrant.objects.filter(origin=signature.approval_id)
        return made.values_list("pk", flat=True).first()
