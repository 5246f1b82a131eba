"""The endpoints of calls of tools; the decision itself is approvals.calls.deciding."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from django.db.models.fields.json import KT
from rest_framework.response import Response

from approvals.calls.deciding import decide
from approvals.calls.undoing import undo
from approvals.models import CallApproval
from countersign.api import routed
from countersign.api.approvals.routing import (
    AssignmentInput,
    AssignmentShape,
    SnoozedShape,
    SnoozeInput,
)
from countersign.api.approvals.serializers import (
    EmptyInput,
)
from countersign.api.authentication import NEVER
from countersign.api.calls.serializers import (
    CallDecidedShape,
    CallDecisionInput,
    CallDetailShape,
    CallQuery,
    CallShape,
)
from countersign.api.endpoint import Endpoint
from countersign.api.paging import page_across
from countersign.api.schema import listed, operation

if TYPE_CHECKING:
    import uuid

    from django.db import models
    from rest_framework.request import Request

_READ = {"GET": "approvals:read"}


class Calls(Endpoint):
    """Calls that need, or needed, permission."""

    scopes = _READ

    @operation(
        "List calls of tools",
        answer=listed("CallPage", CallShape),
        problems=(),
        parameters=[CallQuery],
        tag="calls",
    )
    def get(self, request: Request) -> Response:
        """Return calls of your projects that needed permission, newest first."""
        query = self.query(CallQuery)
        states = [query["state"]] if "state" in query else ()
        found, following = page_across(
            self.listed(_asked(), project=query.get("project"), states=states),
            _in_list,
            limit=query["limit"],
            cursor=query.get("cursor"),
            request=request,
        )
        answer = CallShape(found, many=True, context={"request": request}).data
        return Response({"results": answer, "next": following})


class OneCall(Endpoint):
    """One call."""

    scopes = _READ

    @operation("Read a call of a tool", answer=CallDetailShape, tag="calls")
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        """Return exactly what would be called, and what became of it."""
        return Response(CallDetailShape(_call(self, pk), context={"request": request}).data)


class CallDecision(Endpoint):
    """Decide on a call."""

    scopes = {"POST": NEVER}

    @operation(
        "Allow or refuse a call",
        request=CallDecisionInput,
        answer=CallDecidedShape,
        status=201,
        problems=(404, 409, 422),
        tag="calls",
    )
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Allow it once, with other arguments if you send some, or refuse it; in person only.

        Where the policy asks for several, the first who allows it may send other arguments, and may
        still refuse it while it waits for the others. Where its sealed policy says
        `typed_confirmation`, who allows it sends the task's label, as they typed it.
        With `remember` a standing grant is made as well, or nothing is decided.
        """
        call, body = _call(self, pk), self.body(CallDecisionInput)
        edited = json.dumps(body.pop("arguments")) if "arguments" in body else ""
        remember = body.pop("remember", None)
        signature = decide(
            call.pk,
            by=self.person,
            edited=edited,
            remember=remember["asked"] if remember else None,
            address=self.address,
            via="token" if self.token else "session",
            **body,
        )
        return Response(CallDecidedShape(signature).data, status=201)


class CallUndo(Endpoint):
    """Take the permission of a call back."""

    scopes = {"POST": NEVER}

    @operation(
        "Undo the permission of a call",
        request=EmptyInput,
        answer=CallDetailShape,
        problems=(404, 409),
        tag="calls",
    )
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Withdraw it inside its undo window; it waits for permission again, as `asked_again`.

        A standing grant made with it is revoked. Whoever may decide on it may undo; in person only.
        """
        call = _call(self, pk)
        self.body(EmptyInput)
        via = "token" if self.token else "session"
        undo(call.pk, by=self.person, address=self.address, via=via)
        return Response(CallDetailShape(_call(self, pk), context={"request": request}).data)


class CallSnoozes(Endpoint):
    """Calls you have put off."""

    scopes = {"POST": NEVER, "DELETE": NEVER}

    @operation(
        "Put a call off",
        request=SnoozeInput,
        answer=SnoozedShape,
        problems=(404, 409),
        tag="calls",
    )
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Be asked later, an hour before the deadline at the latest; others are asked meanwhile."""
        return routed.put_off(self, _call(self, pk))

    @operation("Wake a call", answer=None, status=204, problems=(404,), tag="calls")
    def delete(self, request: Request, pk: uuid.UUID) -> Response:
        """Be asked at once; one that was not put off stays as it is."""
        return routed.wake(self, _call(self, pk))


class CallAssignments(Endpoint):
    """Who sees to a call."""

    scopes = {"POST": NEVER, "DELETE": NEVER}

    @operation(
        "Assign a call",
        request=AssignmentInput,
        answer=AssignmentShape,
        problems=(404, 409),
        tag="calls",
    )
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Say who sees to it, or claim it; others may decide still. 409 when somebody was faster."""
        return routed.assign(self, _call(self, pk))

    @operation("Release a call", answer=None, status=204, problems=(404,), tag="calls")
    def delete(self, request: Request, pk: uuid.UUID) -> Response:
        """Give it back; one you do not see to stays as it is."""
        return routed.release(self, _call(self, pk))


def _in_list(rows: models.QuerySet[CallApproval]) -> models.QuerySet[CallApproval]:
    """Load what a list tells: never the seal, nor the long texts of a task."""
    long = ("snapshot", "edited", "task__request", "task__context")
    return _named(rows).select_related("task", "project", "decided_by").defer(*long)


def _named(rows: models.QuerySet[CallApproval]) -> models.QuerySet[CallApproval]:
    return rows.annotate(server=KT("snapshot__call__server"), tool=KT("snapshot__call__tool"))


def _asked() -> models.QuerySet[CallApproval]:
    return CallApproval.objects.filter(free=False)


def _call(view: Endpoint, pk: uuid.UUID) -> CallApproval:
    rows = _named(_asked()).select_related("project", "task", "requester", "decided_by", "call")
    return view.find(rows, pk, what="call")
