"""The endpoints of saved views; each person has their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.response import Response

from approvals import saving
from approvals.models import SavedView
from countersign.api.authentication import NEVER
from countersign.api.endpoint import Endpoint
from countersign.api.problems import not_found
from countersign.api.saved.serializers import ViewChangeInput, ViewInput, ViewShape
from countersign.api.schema import listed, operation

if TYPE_CHECKING:
    import uuid

    from rest_framework.request import Request


class Views(Endpoint):
    """Your saved views."""

    scopes = {"GET": "approvals:read", "POST": NEVER}

    @operation(
        "List your saved views", answer=listed("ViewPage", ViewShape), problems=(), tag="views"
    )
    def get(self, request: Request) -> Response:
        """Return all of them, nine at most, by their keys; not by a token for one project."""
        self.require_whole("views are")
        found = SavedView.objects.filter(person=self.person)
        return Response({"results": ViewShape(found, many=True).data, "next": None})

    @operation(
        "Save a view", request=ViewInput, answer=ViewShape, status=201, problems=(), tag="views"
    )
    def post(self, request: Request) -> Response:
        """Name a filter and an order; the first free key opens it."""
        view = saving.save(by=self.person, address=self.address, **self.body(ViewInput))
        return Response(ViewShape(view).data, status=201)


class OneView(Endpoint):
    """One saved view."""

    scopes = {"PATCH": NEVER, "DELETE": NEVER}

    @operation(
        "Change a view", request=ViewChangeInput, answer=ViewShape, problems=(404, 409), tag="views"
    )
    def patch(self, request: Request, pk: uuid.UUID) -> Response:
        """Give it another name, filter or order."""
        view, facts = self._view(pk), self.body(ViewChangeInput)
        saving.change(view, by=self.person, address=self.address, **facts)
        return Response(ViewShape(view).data)

    @operation("Delete a view", answer=None, status=204, problems=(404,), tag="views")
    def delete(self, request: Request, pk: uuid.UUID) -> Response:
        """Forget it."""
        saving.delete(self._view(pk), by=self.person, address=self.address)
        return Response(status=204)

    def _view(self, pk: uuid.UUID) -> SavedView:
        view = saving.find(self.person, pk)
        if view is None:
            raise not_found("view")
        return view
