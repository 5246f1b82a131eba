"""The endpoints of tasks: check the right, call the floor below, show the row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drf_spectacular.types import OpenApiTypes
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from agents import intake, notes, reopening
from agents.events import frame
from agents.lifecycle import TaskState
from agents.models import Event, Task
from approvals import answering, stopping
from countersign.api.endpoint import Endpoint
from countersign.api.paging import page_across
from countersign.api.problems import Problem, not_found
from countersign.api.schema import (
    AFTER,
    IDEMPOTENCY_KEY,
    LAST_EVENT_ID,
    TICKET,
    listed,
    operation,
)
from countersign.api.tasks.serializers import (
    CancelInput,
    EscalationShape,
    EventQuery,
    EventShape,
    NoteInput,
    ResolveInput,
    RetryInput,
    StepShape,
    SubmitInput,
    SubmittedShape,
    TaskDetailShape,
    TaskQuery,
    TaskShape,
)
from projects.models import Project

if TYPE_CHECKING:
    import uuid

    from django.http import HttpResponse
    from rest_framework.request import Request

READ = {"GET": "tasks:read"}
WRITE = {"POST": "tasks:write"}
_LONG = ("request", "context", "limits")  # not in a list


class Tasks(Endpoint):
    """Submit and list."""

    scopes = READ | WRITE

    @operation(
        "Submit a request",
        request=SubmitInput,
        answer=SubmittedShape,
        status=202,
        problems=(404, 409, 422, 429),
        parameters=[IDEMPOTENCY_KEY],
    )
    def post(self, request: Request) -> Response:
        """Accept work and answer at once."""
        body = self.body(SubmitInput)
        key = _idempotency_key(request)
        project = self.visible(Project.objects.all()).filter(slug=body.pop("project")).first()
        if project is None:
            raise not_found("project")
        made = intake.submit(
            project=project,
            requester=self.person,
            idempotency_key=key,
            token=self.token,
            address=self.address,
            **body,
        )
        answer = SubmittedShape(made.task, context={"request": request}).data
        return Response(answer, status=202, headers={"Location": answer["links"]["self"]})

    @operation(
        "List tasks", answer=listed("TaskPage", TaskShape), problems=(), parameters=[TaskQuery]
    )
    def get(self, request: Request) -> Response:
        """Return tasks of your projects, newest first."""
        query = self.query(TaskQuery)
        rows = Task.objects.filter(requester=self.person) if query["mine"] else Task.objects.all()
        states = [query["state"]] if "state" in query else TaskState.values if query["mine"] else ()
        found, following = page_across(
            self.listed(rows, project=query.get("project"), states=states),
            lambda tasks: tasks.select_related("project", "requester").defer(*_LONG),
            limit=query["limit"],
            cursor=query.get("cursor"),
            request=request,
        )
        answer = TaskShape(found, many=True, context={"request": request}).data
        return Response({"results": answer, "next": following})


class OneTask(Endpoint):
    """Look at one task."""

    scopes = READ

    @operation("Read a task", answer=TaskDetailShape)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        """Return state, plan, proposal, approval, open questions, use against limits."""
        return _shown(_task(self, pk), request)


class TaskEvents(Endpoint):
    """The durable log of one task."""

    scopes = READ

    @operation(
        "Read events",
        answer=listed("EventPage", EventShape),
        parameters=[EventQuery],
    )
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        """Return events after a seq, in order; `next` is null when there are no more yet."""
        task, query = _task(self, pk), self.query(EventQuery)
        events = Event.objects.filter(task=task, seq__gt=query["after"]).order_by("seq")
        found = [frame(event) for event in events[: query["limit"] + 1]]
        results, following = found[: query["limit"]], None
        if len(found) > len(results):
            here = request.build_absolute_uri()
            following = replace_query_param(here, "after", results[-1]["seq"])
        return Response({"results": results, "next": following})


class TaskStream(Endpoint):
    """Server-sent events; described here, served by countersign.live.sse."""

    scopes = READ

    @operation(
        "Follow a task",
        answer=OpenApiTypes.STR,
        media_type="text/event-stream",
        parameters=[LAST_EVENT_ID, AFTER, TICKET],
    )
    def get(self, request: Request, pk: uuid.UUID) -> HttpResponse:
        """Send events as they come, and between them what is being written, which is not stored.

        `delta` is a piece of a message and `thinking` one of what the model thinks before it, each
        with `step`, `text` and an `offset` of its own kind: more than you have is a gap, 0 begins
        anew. The finished `message` has all of its `text`, and `thinking` up to 4,000 characters.
        """
        _task(self, pk)
        raise Problem(
            503, "Streams are served by the ASGI process of Countersign. Route this path to it."
        )


class TaskCancel(Endpoint):
    """Stop a task."""

    scopes = WRITE

    @operation("Stop a task", request=CancelInput, answer=TaskDetailShape, problems=(404, 409))
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Stop the agents; nothing more is carried out."""
        task, body = _task(self, pk), self.body(CancelInput)
        stopping.stop_task(task, by=self.person, reason=body["reason"], address=self.address)
        return _shown(_task(self, pk), request)


class TaskNotes(Endpoint):
    """Say something to the agents."""

    scopes = WRITE

    @operation("Add a note", request=NoteInput, answer=EventShape, problems=(404, 409))
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Put a note in front of the agents at their next turn."""
        task, body = _task(self, pk), self.body(NoteInput)
        note = notes.add_note(task, text=body["text"], by=self.person, address=self.address)
        return Response(frame(note))


class TaskEscalation(Endpoint):
    """Answer an escalation."""

    scopes = WRITE

    @operation(
        "Resolve an escalation",
        request=ResolveInput,
        answer=EscalationShape,
        problems=(404, 409),
    )
    def post(self, request: Request, pk: uuid.UUID, escalation_pk: uuid.UUID) -> Response:
        """Choose how the task goes on; of several answers at once one counts."""
        questions = _task(self, pk).escalations.select_related(
            "task__project", "step__agent", "step__task__project"
        )
        escalation = self.find(questions.all(), escalation_pk, what="escalation")
        body = self.body(ResolveInput)
        answering.answer(escalation, by=self.person, address=self.address, **body)
        escalation.refresh_from_db()
        return Response(EscalationShape(escalation).data)


class StepRetry(Endpoint):
    """Send one step again."""

    scopes = WRITE

    @operation("Send a step again", request=RetryInput, answer=StepShape, problems=(404, 409))
    def post(self, request: Request, pk: uuid.UUID, step_pk: uuid.UUID) -> Response:
        """Do a finished or blocked step again, and what builds on it; others keep their work."""
        steps = _task(self, pk).steps.select_related("task__project", "agent", "version")
        step = self.find(steps.all(), step_pk, what="step")
        body = self.body(RetryInput)
        again = reopening.reopen(step, note=body["note"], by=self.person, address=self.address)
        return Response(StepShape(again).data)


def _task(view: Endpoint, pk: uuid.UUID) -> Task:
    return view.find(Task.objects.select_related("project", "requester"), pk, what="task")


def _shown(task: Task, request: Request) -> Response:
    return Response(TaskDetailShape(task, context={"request": request}).data)


def _idempotency_key(request: Request) -> str:
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > 200 or not (key.isascii() and (not key or key.isprintable())):
        raise Problem(
            400,
            "The Idempotency-Key cannot be accepted. Nothing was submitted.",
            errors={"Idempotency-Key": ["Send up to 200 printable ASCII characters."]},
        )
    return key
