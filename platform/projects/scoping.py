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
        path: str = self.model.project_path  # type: ignore[attr-defined]
        from projects.models import Membership

        mine = Membership.objects.filter(user_id=user.pk).values("project_id")
        lookup = f"{path}__in" if path else "pk__in"
        return self.filter(**{lookup: mine})

    def in_project(self, project: Any) -> Self:
        """Keep only rows of one project."""
        path: str = self.model.project_path  # type: ignore[attr-defined]
        return self.filter(**{path or "pk": getattr(project, "pk", project)})
