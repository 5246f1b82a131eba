"""What the API takes and gives about approvals; no rules here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from agents.editing import MAX_BYTES
from agents.workspace.paths import MAX_PATH
from approvals import bulk, collisions, confirming, counting, deadlines, reverting, routing
from approvals.decisions import MAX_LESSON, MAX_NOTE
from approvals.lifecycle import ApprovalState, SignatureVerdict
from approvals.models import Approval, Edit, HunkVerdict, Side, Signature
from approvals.rights import why_not
from countersign.api import links
from countersign.api.approvals.routing import AssignmentShape
from countersign.api.approvals.terms import PolicyShape
from countersign.api.fields import Chosen, Flag, Input, Text, Whole
from countersign.api.paging import PageQuery
from countersign.api.tasks.serializers import STRINGS, PersonShape

if TYPE_CHECKING:
    from agents.models import Task

COUNTS = "False for one that agrees, while it waits, of a person who may not sign any more."


class ApprovalQuery(PageQuery):
    """Which approvals."""

    state = serializers.ChoiceField(choices=ApprovalState.choices, required=False)
    project = serializers.CharField(max_length=60, required=False)


class HunkInput(Input):
    """What you say of one hunk."""

    id = Text(max_length=64)
    verdict = Chosen(choices=HunkVerdict.choices, required=False, default="")
    note = Text(
        max_length=MAX_NOTE,
        required=False,
        allow_blank=True,
        default="",
        help_text="What must change there. Who refuses it without one says so in a comment on a line "
        "of it, or in the general note. It is sent when you request changes and do not accept the hunk, "
        "and kept in any case.",
    )
    goes_to = Text(
        max_length=60,
        required=False,
        allow_blank=True,
        default="",
        help_text="Slug of an agent of the task; absent: the author of the hunk.",
    )


class CommentInput(Input):
    """What you say of one line that a hunk shows."""

    hunk = Text(max_length=64)
    side = Chosen(
        choices=Side.choices, required=False, default=Side.NEW, help_text="old: as it was."
    )
    line = Whole(help_text="Its number on that side.")
    note = Text(max_length=MAX_NOTE)
    goes_to = Text(
        max_length=60,
        required=False,
        allow_blank=True,
        default="",
        help_text="Slug of an agent of the task; absent: the author of the hunk. It is sent when you "
        "request changes, and kept in any case.",
    )


class SignatureInput(Input):
    """A decision: on what you saw, by its digest and nonce."""

    verdict = Chosen(choices=SignatureVerdict.choices)
    digest = Text(max_length=64)
    nonce = Text(max_length=64)
    note = Text(max_length=MAX_NOTE, required=False, allow_blank=True, default="")
    hunks = HunkInput(many=True, required=False)
    comments = CommentInput(many=True, required=False)
    agents = serializers.ListField(
        child=Text(max_length=60),
        max_length=20,
        required=False,
        help_text="Slugs of those the general note goes to; absent: everybody concerned.",
    )
    lesson = Text(max_length=MAX_LESSON, required=False, allow_blank=True, default="")
    keep_lesson = Flag(required=False, default=False)
    confirmation = Text(
        max_length=confirming.MOST,
        required=False,
        allow_blank=True,
        default="",
        help_text="To approve where the sealed policy says typed_confirmation: the task's label, as "
        "T-12, typed by the person.",
    )


class SeenInput(Input):
    """One approval as you saw it."""

    id = serializers.UUIDField()
    digest = Text(max_length=64)
    nonce = Text(max_length=64)


class BulkInput(Input):
    """Several approvals to give at once."""

    items = SeenInput(many=True, min_length=1, max_length=bulk.MOST)  # type: ignore[call-arg]  # of the list
    note = Text(max_length=MAX_NOTE, required=False, allow_blank=True, default="")


class BulkResultShape(serializers.Serializer[Any]):
    """What became of one."""

    approval = serializers.UUIDField(source="approval.pk")
    task = serializers.CharField(source="approval.task.label")
    outcome = serializers.ChoiceField(
        choices=["approved", "over", "changed", "refused", "failed", "left"],
        help_text="over: decided meanwhile; changed: not as you saw it; left: not tried.",
    )
    detail = serializers.CharField(source="said", help_text="Why, when it is not approved.")


class BulkShape(serializers.Serializer[Any]):
    """What became of each, those due first."""

    results = BulkResultShape(many=True)


class ViewedInput(Input):
    """A file of the change, by its path."""

    path = Text(max_length=MAX_PATH)
    viewed = Flag(required=False, default=True)


class ViewedShape(serializers.Serializer[Any]):
    """Which files of the change you have looked at."""

    viewed = serializers.ListField(child=serializers.CharField())
    left = serializers.ListField(child=serializers.CharField())


class EditInput(Input):
    """A file of the change as you want it: the whole of its text."""

    digest = Text(max_length=64)
    path = Text(max_length=MAX_PATH)
    text = Text(max_length=MAX_BYTES, allow_blank=True)


class EditedShape(serializers.Serializer[Any]):
    """An edit, while the new version is checked; the task's events say when it can be signed."""

    id = serializers.UUIDField()
    approval = serializers.UUIDField(source="approval_id")
    path = serializers.CharField()
    commit = serializers.CharField(source="result_commit")
    links = serializers.SerializerMethodField()

    @extend_schema_field(STRINGS)
    def get_links(self, edit: Edit) -> dict[str, str]:
        """Return where to look next."""
        return links.of_approval(edit.approval, self.context["request"])


class EmptyInput(Input):
    """Nothing is asked."""


class RevertInput(Input):
    """Why a change is taken back."""

    reason = Text(max_length=reverting.MAX_REASON, required=False, allow_blank=True, default="")


class RevertShape(serializers.Serializer[Any]):
    """The task that takes a merged change back."""

    id = serializers.UUIDField()
    number = serializers.IntegerField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field, not the attribute
    state = serializers.CharField()
    links = serializers.SerializerMethodField()

    @extend_schema_field(STRINGS)
    def get_links(self, task: Task) -> dict[str, str]:
        """Return where to look next."""
        return links.of_task(task, self.context["request"])


class TaskOfApprovalShape(serializers.Serializer[Any]):
    """The task it belongs to."""

    id = serializers.UUIDField()
    number = serializers.IntegerField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field, not the attribute
    title = serializers.CharField()
    rehearsal = serializers.BooleanField()


class ApprovalShape(serializers.Serializer[Any]):
    """An approval in a list."""

    id = serializers.UUIDField()
    project = serializers.CharField(source="project.slug")
    task = TaskOfApprovalShape()
    round = serializers.IntegerField(source="proposal.round")
    state = serializers.ChoiceField(
        choices=ApprovalState.choices,
        help_text="stale: main moved, what was signed does not hold, or a person edited it; each"
        " waits again under a new seal.",
    )
    risk = serializers.CharField()
    requester = PersonShape()
    requested_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True)
    decided_by = PersonShape(allow_null=True)
    links = serializers.SerializerMethodField()

    @extend_schema_field(STRINGS)
    def get_links(self, approval: Approval) -> dict[str, str]:
        """Return where to look next."""
        return links.of_approval(approval, self.context["request"])


class StoodForShape(serializers.Serializer[Any]):
    """Somebody who was away, and the delegation by which the signer stood in."""

    person = serializers.UUIDField()
    name = serializers.CharField()
    delegation = serializers.UUIDField()


class SignatureShape(serializers.Serializer[Any]):
    """One person's decision."""

    id = serializers.UUIDField()
    verdict = serializers.CharField()
    signer = PersonShape()
    note = serializers.CharField()
    digest = serializers.CharField()
    at = serializers.DateTimeField()
    on_behalf_of = StoodForShape(many=True, help_text="Absent people it counts for, too.")
    counts = serializers.SerializerMethodField(help_text=COUNTS)
    carried_from = serializers.UUIDField(
        source="carried_from_id",
        allow_null=True,
        help_text="The signature it copies, given to the same change before main moved.",
    )

    def get_counts(self, signature: Signature) -> bool:
        """Tell it."""
        return signature.pk not in self.context.get("lapsed", ())


class CommentShape(serializers.Serializer[Any]):
    """What a reviewer said of the whole, of a hunk, or of a line of it."""

    id = serializers.UUIDField()
    author = PersonShape()
    hunk = serializers.UUIDField(source="hunk_id", allow_null=True)
    side = serializers.CharField(help_text="old, new, or empty when it is on no line.")
    line = serializers.IntegerField(allow_null=True)
    verdict = serializers.CharField()
    note = serializers.CharField()
    goes_to = serializers.CharField(
        source="goes_to.slug", default="", help_text="The agent it was sent to, if any."
    )


class SignedShape(SignatureShape):
    """The receipt of a decision, with what became of the approval."""

    approval = serializers.UUIDField(source="approval_id")
    state = serializers.CharField(source="approval.state")


class EffectShape(serializers.Serializer[Any]):
    """What is carried out, and how far it is."""

    id = serializers.UUIDField()
    kind = serializers.CharField()
    state = serializers.CharField()
    not_before = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    result = serializers.JSONField()
    error = serializers.CharField()


class CollisionShape(serializers.Serializer[Any]):
    """Another change that waits and cannot land together with this one."""

    approval = serializers.UUIDField(source="approval.pk")
    task = serializers.CharField(source="approval.task.label")
    title = serializers.CharField()
    paths = serializers.ListField(child=serializers.CharField())


class ApprovalDetailShape(ApprovalShape):
    """The sealed snapshot, what a signature must name, and what was signed."""

    digest = serializers.CharField()
    nonce = serializers.CharField()
    reason = serializers.CharField()
    single_person = serializers.BooleanField()
    follows = serializers.UUIDField(
        source="follows_id",
        allow_null=True,
        help_text="The same change on an earlier main, whose signatures hold for this one.",
    )
    policy = PolicyShape(source="snapshot.policy")
    snapshot = serializers.JSONField(
        help_text="In `claims`, `verdict` is on `evidence`, our own sentence of what was checked "
        "and found; `text` is what the agent says, which nobody has proven."
    )
    signatures = serializers.SerializerMethodField()
    comments = serializers.SerializerMethodField()
    carried_out = EffectShape(many=True, source="effects")
    collisions = serializers.SerializerMethodField(
        help_text="Looked for while it waits, some seconds after it was sealed; due first."
    )
    assignment = serializers.SerializerMethodField(help_text="Who sees to it, if anybody.")
    decide_by = serializers.SerializerMethodField(
        help_text="Until when it can be decided as things are: later by holds and an extension."
    )
    refusal = serializers.SerializerMethodField(
        help_text="Why you may not sign; empty when you may."
    )

    @extend_schema_field(SignatureShape(many=True))
    def get_signatures(self, approval: Approval) -> Any:
        """Return the signatures, oldest first."""
        found = list(approval.signatures.select_related("signer").order_by("at"))
        context = {"lapsed": counting.lapsed(approval, found)}
        return SignatureShape(found, many=True, context=context).data

    @extend_schema_field(CollisionShape(many=True))
    def get_collisions(self, approval: Approval) -> Any:
        """Return what else waits and would conflict if this landed."""
        return CollisionShape(collisions.of(approval), many=True).data

    @extend_schema_field(AssignmentShape(allow_null=True))
    def get_assignment(self, approval: Approval) -> Any:
        """Return who sees to it."""
        held = routing.holder_of(approval)
        return AssignmentShape(held).data if held else None

    @extend_schema_field(serializers.DateTimeField())
    def get_decide_by(self, approval: Approval) -> Any:
        """Return the deadline that holds now."""
        rows = deadlines.with_deadline(Approval.objects.filter(pk=approval.pk).only("pk"))
        return serializers.DateTimeField().to_representation(rows.get().until)

    @extend_schema_field(CommentShape(many=True))
    def get_comments(self, approval: Approval) -> Any:
        """Return what was said with the signatures, oldest first."""
        said = approval.comments.select_related("author", "goes_to").order_by("created_at", "pk")
        return CommentShape(said, many=True).data

    @extend_schema_field(serializers.CharField())
    def get_refusal(self, approval: Approval) -> str:
        """Return the sentence the signer would be refused with."""
        request = self.context["request"]
        return why_not(approval, request.user, via="token" if request.auth else "session")
