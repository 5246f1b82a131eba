"""Performs one step in a process of its own, to be killed: `python -m tests.performing_child STEP`."""

from __future__ import annotations

import asyncio
import sys

import django


def main(step_id: str) -> None:
    """Open the next attempt of a leased step as the runtime does, and perform it."""
    django.setup()
    from agents.models import Step
    from agents.runtime.database import close, in_db
    from agents.runtime.performing import perform
    from tests.thinking_fixtures import on_files

    def work():
        steps = Step.objects.select_related("task__project", "agent", "version__model_profile")
        return on_files(steps.get(pk=step_id))

    async def run() -> None:
        print(type(await perform(await in_db(work))).__name__)

    asyncio.run(run())
    close()


if __name__ == "__main__":
    main(sys.argv[1])
