"""What agents answered to what people asked of them, by the comment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import F, Func, JSONField
from django.db.models.fields.json import KeyTransform

from agents.branches import branch
from agents.lifecycle import StepState
from agents.models import Step

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable

    from django.db.models import QuerySet


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What one agent says to one comment; an empty verdict means nothing yet."""

    agent: str
    verdict: str  # done or disagree
    text: str


# Never the feedback itself: it holds whole hunks.
_ASKED = Func(
    F("feedback"),
    template="jsonb_path_query_array(%(expressions)s, '$[*].comment')",
    output_field=JSONField(),
)


def answered(task: uuid.UUID) -> QuerySet[Any]:
    """Return the finished steps that people asked something of, in order.

    Each with `asked`, its `answers` and the name of its agent, `by`.
    """
    done = Step.objects.filter(task=task, round__gt=1, state=StepState.DONE)
    told = done.filter(feedback__0__isnull=False).only("key").order_by("pk")
    return told.annotate(
        asked=_ASKED, answers=KeyTransform("answers", "result"), by=F("agent__name")
    )


def replies_of(steps: Iterable[Any]) -> dict[str, list[Reply]]:
    """Return the replies to each comment: one of each branch that was asked, the last it gave."""
    found: dict[str, dict[str, Reply]] = {}
    for step in steps:
        answers = {answer["number"]: answer for answer in step.answers or ()}
        for number, comment in enumerate(step.asked, 1):
            answer = answers.get(number, {})
            reply = Reply(
                agent=step.by, verdict=answer.get("verdict", ""), text=answer.get("text", "")
            )
            found.setdefault(comment, {})[branch(step.key)] = reply
    return {comment: list(replies.values()) for comment, replies in found.items()}
