"""The endpoints of the bell: a person's own lines and choices, nobody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework import serializers
from rest_framework.response import Response

from countersign.api.endpoint import Endpoint
from countersign.api.notifications.serializers import (
    NotificationQuery,
    NotificationShape,
    PreferencesInput,
    PreferencesShape,
    ReadInput,
    ReadShape,
)
from countersign.api.paging import page_across
from countersign.api.schema import listed, operation
from notices import bell, choosing
from notices.choosing import DEFAULTS, Chosen, QuietHours, Wish
from notices.models import Choice, Hours, Notification
from projects.models import Project

if TYPE_CHECKING:
    from rest_framework.request import Request

READ, WRITE = "notifications:read", "notifications:write"


class Notifications(Endpoint):
    """List."""

    scopes = {"GET": READ}

    @operation(
        "List notifications",
        answer=listed("NotificationPage", NotificationShape),
        problems=(),
        parameters=[NotificationQuery],
        tag="notifications",
    )
    def get(self, request: Request) -> Response:
        """Return what you were told, newest first."""
        query = self.query(NotificationQuery)
        rows = Notification.objects.filter(person=self.person)
        if query["unread"]:
            rows = rows.filter(read_at=None)
        found, following = page_across(
            self.listed(rows, project=query.get("project")),
            bell.loaded,
            limit=query["limit"],
            cursor=query.get("cursor"),
            request=request,
        )
        return Response({"results": NotificationShape(found, many=True).data, "next": following})


class NotificationsRead(Endpoint):
    """Mark as read."""

    scopes = {"POST": WRITE}

    @operation(
        "Mark notifications as read",
        request=ReadInput,
        answer=ReadShape,
        problems=(),
        tag="notifications",
    )
    def post(self, request: Request) -> Response:
        """Mark some of yours, or all; others' are not found and nothing happens to them."""
        body = self.body(ReadInput)
        projects = self.listed(Notification.objects.all()).projects
        count = bell.mark_read(self.person, projects, body.get("ids"), address=self.address)
        return Response({"read": count})


class Preferences(Endpoint):
    """What you want to be told of, and how."""

    scopes = {"GET": READ, "PUT": WRITE}

    @operation(
        "Read notification preferences",
        answer=PreferencesShape,
        problems=(),
        tag="notifications",
    )
    def get(self, request: Request) -> Response:
        """Return your choices and quiet hours."""
        self.require_whole("what you are told of is set")
        return Response(_shown(self))

    @operation(
        "Choose notification preferences",
        request=PreferencesInput,
        answer=PreferencesShape,
        problems=(),
        tag="notifications",
    )
    def put(self, request: Request) -> Response:
        """Replace your choices and quiet hours by these."""
        self.require_whole("what you are told of is set")
        body = self.body(PreferencesInput)
        chosen = _chosen(self, body["choices"])
        quiet = QuietHours(**body["quiet"]) if body["quiet"] else None
        choosing.replace(self.person, chosen, quiet, address=self.address)
        return Response(_shown(self))


def _projects(view: Endpoint) -> dict[str, Project]:
    return {row.slug: row for row in view.visible(Project.objects.all())}


def _chosen(view: Endpoint, given: list[dict[str, Any]]) -> list[Chosen]:
    mine = _projects(view)
    for each in given:
        if each["project"] is not None and each["project"] not in mine:
            said = f"There is no project {each['project']!r} among yours."
            raise serializers.ValidationError({"choices": [said]})
    return [
        Chosen(
            project=mine[each["project"]].pk if each["project"] is not None else None,
            kind=each["kind"],
            wish=Wish(bell=each["bell"], email=each["email"]),
        )
        for each in given
    ]


def _shown(view: Endpoint) -> dict[str, Any]:
    rows = Choice.objects.filter(person=view.person).select_related("project")
    slugs = set(_projects(view))
    kept = [row for row in rows if row.project is None or row.project.slug in slugs]
    shown = [
        (row.project.slug if row.project else None, row.kind, row.bell, row.email) for row in kept
    ]
    defaults = [(None, kind, wish.bell, wish.email) for kind, wish in DEFAULTS.items()]
    names = ("project", "kind", "bell", "email")
    shape = {
        "email": choosing.email_is_on(),
        "quiet": Hours.objects.filter(person=view.person).first(),
        "choices": [dict(zip(names, row, strict=True)) for row in sorted(shown, key=_order)],
        "defaults": [dict(zip(names, row, strict=True)) for row in defaults],
    }
    return dict(PreferencesShape(shape).data)


def _order(row: tuple[str | None, str, bool, bool]) -> tuple[str, str]:
    return (row[0] or "", row[1])
