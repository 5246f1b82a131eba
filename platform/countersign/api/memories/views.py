"""The endpoints of memory; what may become active is memory.lessons' rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Q
from rest_framework.exceptions import PermissionDenied
from rest_framework.response import Response

from countersign.api.endpoint import Endpoint
from countersign.api.memories.serializers import (
    FoundShape,
    MemoryInput,
    MemoryQuery,
    MemoryShape,
    SearchInput,
    SearchShape,
)
from countersign.api.paging import page_across
from countersign.api.problems import not_found
from countersign.api.schema import listed, operation
from memory import lessons, recall
from memory.lifecycle import MemoryState
from memory.models import Memory
from projects.models import Project

if TYPE_CHECKING:
    import uuid

    from django.db import models
    from rest_framework.request import Request

    from projects.models import User

READ = {"GET": "memory:read"}
WRITE = {"PATCH": "memory:write", "DELETE": "memory:write"}


class Memories(Endpoint):
    """List."""

    scopes = READ

    @operation(
        "List memories",
        answer=listed("MemoryPage", MemoryShape),
        problems=(),
        parameters=[MemoryQuery],
        tag="memory",
    )
    def get(self, request: Request) -> Response:
        """Return the memories you may see, newest first."""
        query = self.query(MemoryQuery)
        rows = Memory.objects.filter(Q(owner=None) | Q(owner=self.person))
        if "kind" in query:
            rows = rows.filter(kind=query["kind"])
        states = [query["state"]] if "state" in query else MemoryState.values
        found, following = page_across(
            self.listed(rows, project=query.get("project"), states=states),
            lambda memories: memories.select_related("project").defer("search", "evidence"),
            limit=query["limit"],
            cursor=query.get("cursor"),
            request=request,
        )
        return Response({"results": MemoryShape(found, many=True).data, "next": following})


class OneMemory(Endpoint):
    """Read, change, forget."""

    scopes = READ | WRITE

    @operation("Read a memory", answer=MemoryShape, tag="memory")
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        """Return one memory."""
        return Response(MemoryShape(_memory(self, pk)).data)

    @operation(
        "Change a memory",
        request=MemoryInput,
        answer=MemoryShape,
        problems=(404, 409),
        tag="memory",
    )
    def patch(self, request: Request, pk: uuid.UUID) -> Response:
        """Edit (an active one becomes a new version), pin, keep or retire."""
        memory, changes = _memory(self, pk), self.body(MemoryInput)
        if self.token and changes != {"state": MemoryState.RETIRED}:
            raise PermissionDenied(
                "A token may retire a memory; what agents recall is decided by a person. "
                "Sign in to the console and do it there."
            )
        return Response(
            MemoryShape(_changed(memory, changes, by=self.person, address=self.address)).data
        )

    @operation("Forget a memory", answer=None, status=204, problems=(404, 409), tag="memory")
    def delete(self, request: Request, pk: uuid.UUID) -> Response:
        """Erase its content and vectors for good."""
        lessons.forget(_memory(self, pk), by=self.person, address=self.address)
        return Response(status=204)


class MemorySearch(Endpoint):
    """Search by meaning and words."""

    scopes = {"POST": "memory:read"}

    @operation(
        "Search memory", request=SearchInput, answer=SearchShape, problems=(404,), tag="memory"
    )
    def post(self, request: Request) -> Response:
        """Return active memories that fit, best first."""
        body = self.body(SearchInput)
        found = recall.search(
            self.person, body["query"], project=self._project(body), limit=body["limit"]
        )
        return Response({"results": FoundShape(found, many=True).data})

    def _project(self, body: dict[str, Any]) -> Project | None:
        """Return the project asked for; a token for one project searches that one."""
        if "project" not in body:
            return self.token.project if self.token else None
        found = self.visible(Project.objects.all()).filter(slug=body["project"]).first()
        if found is None:
            raise not_found("project")
        return found


def _memories(view: Endpoint) -> models.QuerySet[Memory]:
    return view.visible(Memory.objects.select_related("project"))


def _memory(view: Endpoint, pk: uuid.UUID) -> Memory:
    return view.find(_memories(view), pk, what="memory")


@transaction.atomic
def _changed(memory: Memory, changes: dict[str, Any], *, by: User, address: str | None) -> Memory:
    """Make all changes or none: each is a right of its own."""
    state, pinned = changes.pop("state", None), changes.pop("pinned", None)
    if changes:
        memory = lessons.edit(memory, by=by, address=address, **changes)
    if state == MemoryState.ACTIVE:
        memory = lessons.keep(memory, by=by, address=address)
    elif state == MemoryState.RETIRED:
        lessons.retire(memory, by=by, address=address)
    if pinned is not None:
        lessons.pin(memory, pinned=pinned, by=by, address=address)
    return memory
