"""What every endpoint of the API shares: who may call, which rows they see, what they may send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from rest_framework.exceptions import PermissionDenied
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.permissions import IsAuthenticated
from rest_framework.views import APIView

from countersign.api.authentication import TokenScope
from countersign.api.problems import not_found
from projects.across import Across, Mine
from projects.models import ApiToken, Project

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Sequence

    from django.db import models
    from rest_framework.parsers import BaseParser
    from rest_framework.renderers import BaseRenderer
    from rest_framework.request import Request
    from rest_framework.serializers import Serializer

    from projects.models import User

Row = TypeVar("Row", bound="models.Model")


class AlwaysJSON(BaseContentNegotiation):
    """JSON whatever Accept says: there is nothing else to choose."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        """Return the parser of the body's media type, None for 415."""
        sent = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == sent), None)

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        """Return the first renderer."""
        first = next(iter(renderers))
        return first, str(first.media_type)


class Endpoint(APIView):
    """A view of the API: `scopes` names what a token needs for each method."""

    permission_classes = [IsAuthenticated, TokenScope]
    content_negotiation_class = AlwaysJSON
    scopes: ClassVar[dict[str, str]] = {}
    subject: models.Model | None = None  # a 409 tells its current state

    @property
    def person(self) -> User:
        """The person who calls, in person or by token."""
        return self.request.user  # type: ignore[return-value]

    @property
    def token(self) -> ApiToken | None:
        """The token of the call, None for a session."""
        return self.request.auth if isinstance(self.request.auth, ApiToken) else None

    @property
    def address(self) -> str | None:
        """The network address of the call, for the audit log."""
        return self.request.META.get("REMOTE_ADDR") or None

    def require_whole(self, what: str) -> None:
        """Refuse a token for one project where what is asked for is of all of a person's projects."""
        if self.token and self.token.project_id:
            raise PermissionDenied(
                f"This token is for one project; {what} for all of yours. "
                "Use a token for all projects, or sign in."
            )

    def visible(self, rows: models.QuerySet[Row]) -> models.QuerySet[Row]:
        """Keep the rows this caller may see: their projects, and only the token's."""
        seen = rows.visible_to(self.person)  # type: ignore[attr-defined]
        if self.token and self.token.project_id:
            seen = seen.in_project(self.token.project_id)
        return seen  # type: ignore[no-any-return]

    def listed(
        self, rows: models.QuerySet[Any], *, project: str | None = None, states: Sequence[str] = ()
    ) -> Across:
        """Return these rows across the caller's projects, and only the token's or the named one."""
        projects = Mine.of(self.person).projects
        if self.token and self.token.project_id:
            projects = tuple(key for key in projects if key == self.token.project_id)
        if project is not None:
            named = Project.objects.filter(slug=project, pk__in=projects)
            projects = tuple(named.values_list("pk", flat=True))
        return Across(rows=rows, projects=projects, states=tuple(states))

    def find(self, rows: models.QuerySet[Row], pk: uuid.UUID, *, what: str) -> Row:
        """Return one visible row and remember it as the subject; raises Problem 404."""
        row = self.visible(rows).filter(pk=pk).first()
        if row is None:
            raise not_found(what)
        self.subject = row
        return row

    def body(self, shape: type[Serializer[Any]]) -> dict[str, Any]:
        """Return the validated body; raises a 400 naming the fields."""
        return self._checked(shape(data=self.request.data))

    def query(self, shape: type[Serializer[Any]]) -> dict[str, Any]:
        """Return the validated query parameters; raises a 400 naming them."""
        return self._checked(shape(data=self.request.query_params.dict()))

    def _checked(self, serializer: Serializer[Any]) -> dict[str, Any]:
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)
