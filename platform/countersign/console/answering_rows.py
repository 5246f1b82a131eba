"""What agents answered to what people asked of them, by the comment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import F, Func, JSONField
from django.db.models.fields.json import KeyTransform

from agents.lifecycle import StepState
from agents.models import Step

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable

    from django.db.models import QuerySet

# Never the feedback itself: it holds whole hunks.
_ASKED = Func(
    F("feedback"),
    template="jsonb_path_query_array(%(expressions)s, '$[*].comment')",
    output_field=JSONField(),
)


def answered(task: uuid.UUID) -> QuerySet[Any]:
    """Return the finished steps that answered people, each with `asked` and `answers`, in order."""
    done = Step.objects.filter(task=task, round__gt=1, state=StepState.DONE)
    told = done.annotate(asked=_ASKED, answers=KeyTransform("answers", "result"))
    return told.filter(result__answers__0__isnull=False).only("pk").order_by("pk")


def answers_of(steps: Iterable[Any]) -> dict[str, dict[str, Any]]:
    """Return the answer to each comment; of several, the last."""
    found = {}
    for step in steps:
        for answer in step.answers or ():
            number = answer["number"]
            if number <= len(step.asked):
                found[step.asked[number - 1]] = answer
    return found
