"""The one manager that keeps every query inside the projects a person belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar

from django.db import models

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from projects.models import User

Row = TypeVar("Row", bound=models.Model)


class ScopedQuerySet(models.QuerySet[Row]):
    """A queryset that knows how its rows reach a project.

    The model names the path in `project_path` ("project", "task__project", "" for Project).
    """

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Keep only rows of projects this active person is a member of."""
        if not user.is_active or not user.is_authenticated:
            return self.none()
        from projects.models import Membership

        return self._of(Membership.objects.filter(user_id=user.pk))

    def visible_to_given(self) -> Self:
        """Keep what `visible_to` keeps, of the `people` who are given when it is read (see `Prepared`)."""
        from projects.models import Membership
        from projects.prepared import Given

        return self._of(Membership.objects.filter(user__any=Given("people"), user__is_active=True))

    def _of(self, memberships: Any) -> Self:
        path: str = self.model.project_path  # type: ignore[attr-defined]
        return self.filter(**{f"{path or 'pk'}__in": memberships.values("project_id")})

    def in_project(self, project: Any) -> Self:
        """Keep only rows of one project."""
        path: str = self.model.project_path  # type: ignore[attr-defined]
        return self.filter(**{path or "pk": getattr(project, "pk", project)})
