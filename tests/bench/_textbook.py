"""The plain way to take a request with Django REST framework: what the article calls "before".

Two views with the token looked up, a serializer, the ORM in one transaction: one then waits for the
model, as a synchronous service does; the other publishes a Celery message for each request.
"""

from __future__ import annotations

import json
import os
import urllib.request
from typing import TYPE_CHECKING, Any, ClassVar

from celery import Celery
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.db import transaction
from django.http import HttpResponse
from django.urls import path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "countersign.settings")
settings.ROOT_URLCONF = __name__
application = get_asgi_application()

from rest_framework import serializers  # noqa: E402  # after Django is set up
from rest_framework.parsers import JSONParser  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

from agents.models import Event, Task  # noqa: E402
from countersign.api.authentication import TokenAuthentication  # noqa: E402
from projects.models import Project  # noqa: E402

if TYPE_CHECKING:
    from rest_framework.request import Request

_celery = Celery("textbook", broker=os.environ["REDIS_URL"])


class Body(serializers.Serializer[Any]):
    """What is sent."""

    project = serializers.CharField(max_length=60)
    request = serializers.CharField(max_length=20_000)


class Textbook(APIView):
    """Everything in order, one query after the other."""

    authentication_classes: ClassVar = [TokenAuthentication]
    parser_classes: ClassVar = [JSONParser]

    def post(self, request: Request) -> Response:
        """Store the request, then do what the arm does."""
        body = Body(data=request.data)
        body.is_valid(raise_exception=True)
        project = Project.objects.visible_to(request.user).get(slug=body.validated_data["project"])
        text = body.validated_data["request"]
        with transaction.atomic():
            task = Task.objects.create(
                project=project, requester=request.user, request=text, title=text[:80], last_seq=1
            )
            Event.objects.create(task=task, seq=1, kind="task.submitted", data={"title": text})
        return self.answer(task)

    def answer(self, task: Task) -> Response:
        """Return what the client waits for."""
        raise NotImplementedError


class Waiting(Textbook):
    """Hold the request until the model has answered, as often as `TEXTBOOK_CALLS` says."""

    def answer(self, task: Task) -> Response:
        """Ask the model, one answer after the other, each read to its end."""
        said = [_ask(task.number) for _ in range(int(os.environ.get("TEXTBOOK_CALLS", "1")))]
        return Response({"id": str(task.pk), "bytes": sum(map(len, said))}, status=202)


def _ask(number: int) -> bytes:
    body = {"stream": True, "messages": [{"role": "user", "content": f"flight-{number}"}]}
    url = f"{os.environ['OPENAI_BASE_URL']}/chat/completions"
    asked = urllib.request.Request(url, json.dumps(body).encode())  # noqa: S310  # our stub
    with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310
        said: bytes = answer.read()
    return said


class Publishing(Textbook):
    """Publish a message for each request."""

    def answer(self, task: Task) -> Response:
        """Hand it to Celery."""
        _celery.send_task("textbook.work", [str(task.pk)])
        return Response({"id": str(task.pk)}, status=202)


urlpatterns = [
    path("healthz", lambda _: HttpResponse("ok")),  # asked until it answers
    path("waiting", Waiting.as_view()),
    path("publishing", Publishing.as_view()),
]
