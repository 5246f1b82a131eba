"""The endpoints of approvals; the decision itself is approvals.deciding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework.response import Response

from approvals import bulk, editing, reproposing, reverting, undoing, viewing
from approvals.deciding import decide
from approvals.decisions import HunkDecision, LineComment
from approvals.models import SEAL, Approval
from countersign.api import routed
from countersign.api.approvals.routing import (
    AssignmentInput,
    AssignmentShape,
    SnoozedShape,
    SnoozeInput,
)
from countersign.api.approvals.serializers import (
    ApprovalDetailShape,
    ApprovalQuery,
    ApprovalShape,
    BulkInput,
    BulkShape,
    EditedShape,
    EditInput,
    EmptyInput,
    RevertInput,
    RevertShape,
    SignatureInput,
    SignedShape,
    ViewedInput,
    ViewedShape,
)
from countersign.api.authentication import NEVER
from countersign.api.endpoint import Endpoint
from countersign.api.paging import page_across
from countersign.api.schema import listed, operation

if TYPE_CHECKING:
    import uuid

    from django.db import models
    from rest_framework.request import Request

READ = {"GET": "approvals:read"}
PERSON = {"POST": NEVER}


class Approvals(Endpoint):
    """What waits, and what was decided."""

    scopes = READ

    @operation(
        "List approvals",
        answer=listed("ApprovalPage", ApprovalShape),
        problems=(),
        parameters=[ApprovalQuery],
        tag="approvals",
    )
    def get(self, request: Request) -> Response:
        """Return approvals of your projects, newest first."""
        query = self.query(ApprovalQuery)
        states = [query["state"]] if "state" in query else ()
        found, following = page_across(
            self.listed(Approval.objects.all(), project=query.get("project"), states=states),
            _in_list,
            limit=query["limit"],
            cursor=query.get("cursor"),
            request=request,
        )
        answer = ApprovalShape(found, many=True, context={"request": request}).data
        return Response({"results": answer, "next": following})


class OneApproval(Endpoint):
    """The sealed snapshot."""

    scopes = READ

    @operation("Read an approval", answer=ApprovalDetailShape, tag="approvals")
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        """Return what would be signed, whole."""
        return _shown(_approval(self, pk), request)


class Signatures(Endpoint):
    """Decide."""

    scopes = PERSON

    @operation(
        "Sign",
        request=SignatureInput,
        answer=SignedShape,
        status=201,
        problems=(404, 409, 422),
        tag="approvals",
    )
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Approve, request changes or reject; in person only, and once.

        While it waits for others, who has approved may still request changes or reject: that ends it.
        """
        approval, body = _approval(self, pk), self.body(SignatureInput)
        hunks = [HunkDecision(**hunk) for hunk in body.pop("hunks", [])]
        comments = [LineComment(**comment) for comment in body.pop("comments", [])]
        said: dict[str, Any] = {"hunks": hunks, "comments": comments, **body}
        via = "token" if self.token else "session"
        signature = decide(approval.pk, by=self.person, address=self.address, via=via, **said)
        return Response(SignedShape(signature).data, status=201)


class BulkApproval(Endpoint):
    """Approve several at once."""

    scopes = PERSON

    @operation(
        "Approve several",
        request=BulkInput,
        answer=BulkShape,
        problems=(404, 409),
        tag="approvals",
    )
    def post(self, request: Request) -> Response:
        """Approve up to 20 that do the same: low risk, reversible, green, one signature left.

        Each is signed by itself, those due first; 409, with nothing signed, when they cannot be
        approved together.
        """
        body = self.body(BulkInput)
        items = [bulk.Seen(**item) for item in body.pop("items")]
        via = "token" if self.token else "session"
        results = bulk.approve(items, by=self.person, address=self.address, via=via, **body)
        return Response(BulkShape({"results": results}).data)


class ViewedFiles(Endpoint):
    """Files you have looked at."""

    scopes = PERSON

    @operation(
        "Mark a file as viewed",
        request=ViewedInput,
        answer=ViewedShape,
        problems=(404,),
        tag="approvals",
    )
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Note that you have looked at a file, or take it back; it holds while the file stays so."""
        approval, body = _approval(self, pk), self.body(ViewedInput)
        viewing.mark(approval, by=self.person, address=self.address, **body)
        left = viewing.left_for(self.person, approval)
        paths = [file["path"] for file in approval.snapshot["files"]]
        told = {"viewed": [path for path in paths if path not in left], "left": left}
        return Response(ViewedShape(told).data)


class Edits(Endpoint):
    """Edit, then approve."""

    scopes = PERSON

    @operation(
        "Edit a file",
        request=EditInput,
        answer=EditedShape,
        status=202,
        problems=(404, 409, 422),
        tag="approvals",
    )
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Put your edit on top of what is sealed: this approval ends, a new one is sealed once checked."""
        approval, body = _approval(self, pk), self.body(EditInput)
        via = "token" if self.token else "session"
        done = editing.edit(approval, by=self.person, address=self.address, via=via, **body)
        return Response(EditedShape(done, context={"request": request}).data, status=202)


class Snoozes(Endpoint):
    """What you have put off."""

    scopes = {"POST": NEVER, "DELETE": NEVER}

    @operation(
        "Put an approval off",
        request=SnoozeInput,
        answer=SnoozedShape,
        problems=(404, 409),
        tag="approvals",
    )
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Be asked later, an hour before the deadline at the latest; others are asked meanwhile."""
        return routed.put_off(self, _approval(self, pk))

    @operation("Wake an approval", answer=None, status=204, problems=(404,), tag="approvals")
    def delete(self, request: Request, pk: uuid.UUID) -> Response:
        """Be asked at once; one that was not put off stays as it is."""
        return routed.wake(self, _approval(self, pk))


class Assignments(Endpoint):
    """Who sees to an approval."""

    scopes = {"POST": NEVER, "DELETE": NEVER}

    @operation(
        "Assign an approval",
        request=AssignmentInput,
        answer=AssignmentShape,
        problems=(404, 409),
        tag="approvals",
    )
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Say who sees to it, or claim it; others may sign it still. 409 when somebody was faster."""
        return routed.assign(self, _approval(self, pk))

    @operation("Release an approval", answer=None, status=204, problems=(404,), tag="approvals")
    def delete(self, request: Request, pk: uuid.UUID) -> Response:
        """Give it back; one you do not see to stays as it is."""
        return routed.release(self, _approval(self, pk))


class Undo(Endpoint):
    """Take an approval back."""

    scopes = PERSON

    @operation(
        "Undo an approval",
        request=EmptyInput,
        answer=ApprovalDetailShape,
        problems=(404, 409),
        tag="approvals",
    )
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Withdraw the effects before they begin: inside the undo window only."""
        approval = _approval(self, pk)
        self.body(EmptyInput)
        undoing.undo(approval, by=self.person, address=self.address)
        return _shown(_approval(self, pk), request)


class Revert(Endpoint):
    """Take back what was merged."""

    scopes = PERSON

    @operation(
        "Revert a merged change",
        request=RevertInput,
        answer=RevertShape,
        status=201,
        problems=(404, 409),
        tag="approvals",
    )
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Put a change up that takes it back; it is checked, and waits for a signature, as any other."""
        approval = _approval(self, pk)
        reason = self.body(RevertInput)["reason"]
        made = reverting.revert(approval, by=self.person, reason=reason, address=self.address)
        return Response(RevertShape(made, context={"request": request}).data, status=201)


class ProposeAgain(Endpoint):
    """Go on after main moved, or nobody decided."""

    scopes = PERSON

    @operation(
        "Propose again",
        request=EmptyInput,
        answer=ApprovalDetailShape,
        problems=(404, 409),
        tag="approvals",
    )
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Put the same work up on main as it is now."""
        approval = _approval(self, pk)
        self.body(EmptyInput)
        reproposing.propose_again(approval, by=self.person, address=self.address)
        return _shown(_approval(self, pk), request)


def _in_list(rows: models.QuerySet[Approval]) -> models.QuerySet[Approval]:
    """Load what a list tells: never the seal, nor the long texts of task and proposal."""
    long = ("task__request", "task__context", "proposal__summary", "proposal__report")
    found = rows.select_related("task", "proposal").defer(*SEAL, *long, "proposal__checks")
    return found.prefetch_related("project", "requester", "decided_by")


def _approvals() -> models.QuerySet[Approval]:
    return Approval.objects.select_related(
        "project", "task", "proposal", "requester", "decided_by", "policy"
    )


def _approval(view: Endpoint, pk: uuid.UUID) -> Approval:
    return view.find(_approvals(), pk, what="approval")


def _shown(approval: Approval, request: Request) -> Response:
    return Response(ApprovalDetailShape(approval, context={"request": request}).data)
