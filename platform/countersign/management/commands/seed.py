"""`manage.py seed`: makes the agents, the demo project and its people."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from countersign import demo


class Command(BaseCommand):
    """Seed what is missing."""

    help = "Make the agents, the demo project and its people. Run again, it changes nothing."

    def handle(self, *args: Any, **options: Any) -> None:
        """Seed and say where the accounts are."""
        demo.seed()
        self.stdout.write(f"The demo is in place. Its accounts are in {demo.accounts_file()}.")
