"""`manage.py up`: starts Countersign on this machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand

from countersign.supervisor import command

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Start everything; manage.py takes a shorter way here that leaves Django out."""

    help = command.HELP
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the supervisor's own options."""
        command.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until somebody stops it."""
        sys.exit(command.run(verbose=options["verbose"]))
