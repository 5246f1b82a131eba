"""Takes a person's note to a task that is under way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from agents import storable
from agents.events import Kind
from agents.models import Task
from projects import audit, characters
from projects.access import require_member
from projects.exceptions import InvalidInput, TransitionRefused

if TYPE_CHECKING:
    from agents.models import Event
    from projects.models import User

MAX_CHARACTERS = 4_000


def check(text: str) -> str:
    """Return the note without outer blanks; raises InvalidInput when it cannot be taken."""
    if not isinstance(text, str) or characters.says_nothing(text):
        raise InvalidInput("text", "The note is empty. Write what the agents should know.")
    if len(text) > MAX_CHARACTERS:
        raise InvalidInput("text", f"A note has at most {MAX_CHARACTERS:,} characters.")
    if storable.text(text) != text:
        raise InvalidInput("text", "The note holds a character that is not text. Remove it.")
    return text.strip()


def add_note(task: Task, *, text: str, by: User, address: str | None = None) -> Event:
    """Write a note that every agent of the task gets before its next turn.

    Raises InvalidInput, NotAllowed, TransitionRefused when the task is over.
    """
    require_member(by, task.project)
    said = {"from": "person", "author": by.display_name, "text": check(text)}
    with transaction.atomic():
        now = Task.objects.select_for_update(no_key=True).get(pk=task.pk)
        if now.over:
            raise TransitionRefused(
                f"{task.label} is over ({now.state}); nobody would read a note."
            )
        event = now.record(Kind.MESSAGE, said)
        audit.record("task.noted", subject=task, actor=by, project=task.project, address=address)
    return event
