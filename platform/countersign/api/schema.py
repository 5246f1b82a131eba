"""How the OpenAPI document is made: summaries, and every problem an operation may answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers

from countersign.api.problems import MEDIA_TYPE, TITLES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ALWAYS = (400, 401, 403, 503)
WITH_BODY = (413, 415)


class ProblemDocument(serializers.Serializer[Any]):
    """RFC 9457."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    instance = serializers.CharField()
    errors = serializers.DictField(  # type: ignore[assignment]  # a field, not the attribute
        child=serializers.ListField(child=serializers.CharField()), required=False
    )
    state = serializers.CharField(required=False, help_text="On 409: the state it is in now.")


def operation(
    summary: str,
    *,
    answer: Any,
    status: int = 200,
    request: Any = None,
    problems: Sequence[int] = (404,),
    parameters: Sequence[Any] = (),
    tag: str = "tasks",
    media_type: str | None = None,
) -> Callable[[Any], Any]:
    """Describe one operation with its problems; those every operation may answer are added."""
    also = (*ALWAYS, *problems, *(WITH_BODY if request is not None else ()))
    return extend_schema(
        operation_id=summary.lower().replace(" a ", " ").replace(" an ", " ").replace(" ", "_"),
        summary=summary,
        tags=[tag],
        request=request,
        parameters=list(parameters),
        responses={
            status if media_type is None else (status, media_type): answer,
            **{
                (code, MEDIA_TYPE): OpenApiResponse(ProblemDocument, description=TITLES[code])
                for code in sorted(set(also))
            },
        },
    )


def listed(name: str, row: type[serializers.Serializer[Any]]) -> type[serializers.Serializer[Any]]:
    """Return the shape of a page of rows."""
    return type(
        name,
        (serializers.Serializer,),
        {
            "__doc__": "One page; `next` is null on the last.",
            "results": row(many=True),
            "next": serializers.URLField(allow_null=True),
        },
    )


IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="Up to 200 printable characters; the same key and body give the same answer.",
)
AFTER = OpenApiParameter("after", int, description="The seq of the last event you have.")
TICKET = OpenApiParameter(
    "ticket",
    str,
    description="From the newest ping of a WebSocket, beside the same session or token: within a "
    "minute nothing else is read to let you come back.",
)
LAST_EVENT_ID = OpenApiParameter(
    "Last-Event-ID",
    str,
    OpenApiParameter.HEADER,
    description="Sent by a reconnecting EventSource; counts before `after`.",
)
