"""`manage.py verify_audit`: follows the audit log from its beginning and names the first breach."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from projects import anchoring, auditing
from projects.invariants import one_moment

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Exit 1 naming the first entry that was altered, removed or cut off, 2 when that is not known."""

    help = "Follow the audit log and name the first entry that was altered, removed or cut off."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name the options."""
        told = "The anchors to compare with, a copy of them for example (default: COUNTERSIGN_AUDIT_ANCHORS)."
        parser.add_argument("--anchors", type=Path, default=settings.AUDIT_ANCHORS, help=told)

    def handle(self, **options: Any) -> None:
        """Walk the log and say what was found."""
        path: Path = options["anchors"]
        try:
            kept = anchoring.read(path)  # before the rows are
        except FileNotFoundError:
            kept = None
        except OSError as error:
            raise CommandError(
                f"The anchors cannot be read, so nothing was checked: {error}", returncode=2
            ) from error
        with one_moment():
            found = auditing.walk(kept.anchors if kept else ())
        if found.breach:
            self.stdout.write(f"{found.breach.what}: {found.breach.said}")
            self.stdout.write(f"The {found.entries:,} before it: as they were written.")
            sys.exit(1)
        self.stdout.write(f"All {found.entries:,} entries follow each other.")
        known, said = _about(kept, path)
        self.stdout.write(said)
        if found.entries and not known:
            sys.exit(2)


def _about(kept: anchoring.Kept | None, path: Path) -> tuple[bool, str]:
    """Tell whether the end of the log is known to be whole, and in words."""
    if kept is None or not kept.anchors:
        return (
            False,
            f"There are no anchors at {path}: had the end been cut off, nobody could tell.",
        )
    newest = max(kept.anchors, key=lambda each: each.entry)
    said = (
        f"{len(kept.anchors):,} anchors agree; the newest is of entry {newest.entry}, "
        f"at {newest.at}. What came after it has no anchor yet."
    )
    if kept.unreadable:
        lines = ", ".join(map(str, kept.unreadable[:5]))
        return False, f"{said} But of {path} these lines are no anchors: {lines}."
    return True, said
