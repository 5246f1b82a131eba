"""The endpoints of standing grants; one is made with a decision on a call, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.response import Response

from approvals.models import StandingGrant
from approvals.standing.revoking import revoke
from approvals.standing.selectors import shown
from countersign.api.approvals.serializers import EmptyInput
from countersign.api.authentication import NEVER
from countersign.api.endpoint import Endpoint
from countersign.api.paging import page_across
from countersign.api.schema import listed, operation
from countersign.api.standing.serializers import StandingQuery, StandingShape

if TYPE_CHECKING:
    import uuid

    from rest_framework.request import Request

_READ = {"GET": "approvals:read"}


class StandingGrants(Endpoint):
    """Calls that tech leads let through beforehand."""

    scopes = _READ

    @operation(
        "List standing grants",
        answer=listed("StandingGrantPage", StandingShape),
        problems=(),
        parameters=[StandingQuery],
        tag="calls",
    )
    def get(self, request: Request) -> Response:
        """Return those of your projects, newest first."""
        query = self.query(StandingQuery)
        rows = StandingGrant.objects.all()
        if query["in_force"] is not None:
            rows = rows.in_force() if query["in_force"] else rows.ended()
        found, following = page_across(
            self.listed(rows, project=query.get("project")),
            lambda rows: shown(rows),  # type: ignore[arg-type]  # of that model
            limit=query["limit"],
            cursor=query.get("cursor"),
            request=request,
        )
        answer = StandingShape(found, many=True, context={"request": request}).data
        return Response({"results": answer, "next": following})


class OneStandingGrant(Endpoint):
    """One of them."""

    scopes = _READ

    @operation("Read a standing grant", answer=StandingShape, tag="calls")
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        """Return what it lets through, and how often it did."""
        return _shown(self, request, pk)


class StandingGrantRevoked(Endpoint):
    """Its end."""

    scopes = {"POST": NEVER}

    @operation("Revoke a standing grant", request=EmptyInput, answer=StandingShape, tag="calls")
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Let nothing more through, nor what is not sent yet; for tech leads, in person. Twice: no more."""
        self.find(StandingGrant.objects.all(), pk, what="standing grant")
        self.body(EmptyInput)
        self.subject = None
        revoke(pk, by=self.person, address=self.address)
        return _shown(self, request, pk)


def _shown(view: Endpoint, request: Request, pk: uuid.UUID) -> Response:
    grant = view.find(shown(StandingGrant.objects.all()), pk, what="standing grant")
    return Response(StandingShape(grant, context={"request": request}).data)
