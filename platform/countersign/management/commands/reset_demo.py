"""`manage.py reset_demo`: sets the bundled repository back, so that its story can be played again."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from countersign import demo
from projects.exceptions import CountersignError


class Command(BaseCommand):
    """Set the demo back; tasks, approvals and lessons stay as they are."""

    help = "Set main of the bundled repository back to its first commit, to play the story again."

    def handle(self, *args: Any, **options: Any) -> None:
        """Reset and say what was done."""
        try:
            before, first = demo.reset()
        except CountersignError as error:
            raise CommandError(str(error)) from error
        if before == first:
            self.stdout.write(f"{demo.SLUG} is at its first commit already; nothing was changed.")
            return
        self.stdout.write(
            f"Main of {demo.SLUG} was set back from {before[:12]} to its first commit, {first[:12]}. "
            "Tasks, approvals and lessons are kept. The story can be played again."
        )
