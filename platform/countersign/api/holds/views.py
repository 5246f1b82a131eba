"""The endpoints of holds: pause and resume a task, hold an agent, a project or everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import Q
from rest_framework.response import Response

from agents import holds
from agents.models import Agent, Hold, HoldScope, Task
from countersign.api.endpoint import Endpoint
from countersign.api.holds.serializers import HoldInput, HoldQuery, HoldShape, PauseInput
from countersign.api.paging import page
from countersign.api.problems import Problem, not_found
from countersign.api.schema import listed, operation
from countersign.api.tasks.serializers import TaskDetailShape
from projects.models import Project

if TYPE_CHECKING:
    import uuid

    from django.db.models import QuerySet
    from rest_framework.request import Request

READ = {"GET": "tasks:read"}
WRITE = {"POST": "tasks:write", "DELETE": "tasks:write"}
_NAMED = {HoldScope.TASK: "task", HoldScope.AGENT: "agent", HoldScope.PROJECT: "project"}


class TaskPause(Endpoint):
    """Pause a task."""

    scopes = WRITE

    @operation("Pause a task", request=PauseInput, answer=TaskDetailShape, problems=(404, 409))
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Interrupt its agents within two seconds; what they finished is kept. Twice: nothing more."""
        task, body = _task(self, pk), self.body(PauseInput)
        holds.place(by=self.person, task=task, reason=body["reason"], address=self.address)
        return _shown(_task(self, pk), request)


class TaskResume(Endpoint):
    """Let a paused task go on."""

    scopes = WRITE

    @operation("Resume a task", request=PauseInput, answer=TaskDetailShape, problems=(404, 409))
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Go on from the last checkpoint; not paused: nothing happens."""
        task, body = _task(self, pk), self.body(PauseInput)
        holds.resume(task, by=self.person, reason=body["reason"], address=self.address)
        return _shown(_task(self, pk), request)


class Holds(Endpoint):
    """List and place."""

    scopes = READ | WRITE

    @operation(
        "List holds",
        answer=listed("HoldPage", HoldShape),
        problems=(),
        parameters=[HoldQuery],
        tag="holds",
    )
    def get(self, request: Request) -> Response:
        """Return the open holds you may know of, newest first."""
        query = self.query(HoldQuery)
        rows = _seen(self)
        if "scope" in query:
            rows = rows.filter(scope=query["scope"])
        found, following = page(
            rows, limit=query["limit"], cursor=query.get("cursor"), request=request
        )
        return Response({"results": HoldShape(found, many=True).data, "next": following})

    @operation(
        "Place a hold",
        request=HoldInput,
        answer=HoldShape,
        status=201,
        problems=(404, 409),
        tag="holds",
    )
    def post(self, request: Request) -> Response:
        """Stop what is named within two seconds; twice: the open hold."""
        body = self.body(HoldInput)
        reason = body.pop("reason")
        aim = _aim(self, body)
        hold = holds.place(by=self.person, reason=reason, address=self.address, **aim)
        return Response(HoldShape(hold).data, status=201)


class OneHold(Endpoint):
    """Look at one, or lift it."""

    scopes = READ | WRITE

    @operation("Read a hold", answer=HoldShape, tag="holds")
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        """Return an open hold."""
        return Response(HoldShape(_hold(self, pk)).data)

    @operation("Lift a hold", answer=HoldShape, problems=(404, 409), tag="holds")
    def delete(self, request: Request, pk: uuid.UUID) -> Response:
        """Let what it stopped go on, and return the hold as it ended."""
        hold = _hold(self, pk)
        _require_reach(self, hold.scope)
        return Response(HoldShape(holds.lift(hold, by=self.person, address=self.address)).data)


def _aim(view: Endpoint, body: dict[str, Any]) -> dict[str, Any]:
    """Return the row that is named, among what the caller may see; raises Problem 400, 403, 404."""
    scope = HoldScope(body.pop("scope"))
    wanted = _NAMED.get(scope)
    wrong = {name: ["This does not belong to the scope."] for name in body if name != wanted}
    if wanted and wanted not in body:
        wrong[wanted] = [f"Name the {wanted} to hold."]
    if wrong:
        raise Problem(400, "Name what the scope asks for, and nothing else.", errors=wrong)
    _require_reach(view, scope)
    if scope == HoldScope.TASK:
        return {"task": _task(view, body["task"])}
    if scope == HoldScope.PROJECT:
        return {"project": _project(view, body["project"])}
    if scope == HoldScope.AGENT:
        return {"agent": _agent(view, body["agent"])}
    return {}


def _require_reach(view: Endpoint, scope: str) -> None:
    """Refuse a token of one project what reaches beyond it."""
    wide = scope in {HoldScope.AGENT, HoldScope.EVERYTHING}
    if wide and view.token is not None and view.token.project_id is not None:
        raise Problem(403, "This token is for one project; the hold would reach beyond it.")


def _project(view: Endpoint, slug: str) -> Project:
    rows = Project.objects.all()
    limited = view.token is not None and view.token.project_id is not None
    seen = rows if view.person.is_staff and not limited else view.visible(rows)
    found = seen.filter(slug=slug).first()
    if found is None:
        raise not_found("project")
    return found


def _agent(view: Endpoint, slug: str) -> Agent:
    found = Agent.objects.filter(slug=slug).first()
    if found is None:
        raise Problem(404, "There is no such agent.")
    return found


def _seen(view: Endpoint) -> QuerySet[Hold]:
    rows = holds.seen_by(view.person)
    if view.token is None or view.token.project_id is None:
        return rows
    inside = Q(project=view.token.project_id) | Q(task__project=view.token.project_id)
    return rows.filter(inside | Q(project=None, task=None))


def _hold(view: Endpoint, pk: uuid.UUID) -> Hold:
    found = _seen(view).filter(pk=pk).first()
    if found is None:
        raise not_found("hold")
    return found


def _task(view: Endpoint, pk: uuid.UUID) -> Task:
    return view.find(Task.objects.select_related("project", "requester"), pk, what="task")


def _shown(task: Task, request: Request) -> Response:
    return Response(TaskDetailShape(task, context={"request": request}).data)
