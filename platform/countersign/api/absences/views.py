"""The endpoint of being out of office."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework import serializers
from rest_framework.response import Response

from approvals import absences
from countersign.api.authentication import NEVER
from countersign.api.endpoint import Endpoint
from countersign.api.fields import Input
from countersign.api.schema import operation
from countersign.api.tasks.serializers import PersonShape

if TYPE_CHECKING:
    from rest_framework.request import Request

_MOST = 200  # projects


class DelegateInput(Input):
    """Who stands in in one project."""

    project = serializers.UUIDField()
    delegate = serializers.UUIDField(help_text="Another tech lead of the project.")


class AbsenceInput(Input):
    """From when until when, and who stands in."""

    begins_at = serializers.DateTimeField(help_text="One that is over means now.")
    ends_at = serializers.DateTimeField()
    delegates = serializers.ListField(child=DelegateInput(), required=False, max_length=_MOST)


class DelegationShape(serializers.Serializer[Any]):
    """Who stands in in one project."""

    project = serializers.UUIDField(source="project_id")
    delegate = PersonShape()


class AbsenceShape(serializers.Serializer[Any]):
    """An absence that is, or is to come."""

    id = serializers.UUIDField()
    begins_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    delegates = DelegationShape(many=True, source="delegations.all")


class YourAbsenceShape(serializers.Serializer[Any]):
    """Null when you said nothing of the kind."""

    absence = AbsenceShape(allow_null=True)


class YourAbsence(Endpoint):
    """Say that you are out of office."""

    scopes = {"GET": "approvals:read", "PUT": NEVER, "DELETE": NEVER}

    @operation("Read your absence", answer=YourAbsenceShape, problems=(), tag="approvals")
    def get(self, request: Request) -> Response:
        """Return your absence, if there is one that is not over; not by a token for one project."""
        self.require_whole("you are away")
        return self._stated()

    @operation(
        "State your absence",
        request=AbsenceInput,
        answer=YourAbsenceShape,
        problems=(),
        tag="approvals",
    )
    def put(self, request: Request) -> Response:
        """Be out of office; where a rule names you, the signature of your delegate counts meanwhile."""
        body = self.body(AbsenceInput)
        chosen = {each["project"]: each["delegate"] for each in body.pop("delegates", [])}
        absences.leave(self.person, **body, delegates=chosen, address=self.address)
        return self._stated()

    @operation("End your absence", answer=None, status=204, problems=(), tag="approvals")
    def delete(self, request: Request) -> Response:
        """Be back at once, or stay."""
        absences.come_back(self.person, address=self.address)
        return Response(status=204)

    def _stated(self) -> Response:
        return Response(YourAbsenceShape({"absence": absences.stated(self.person)}).data)
