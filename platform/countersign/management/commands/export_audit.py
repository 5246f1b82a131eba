"""`manage.py export_audit`: writes the audit log out as JSON lines or CSV."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast
from uuid import uuid4

from django.core.management.base import BaseCommand, CommandError
from django.utils.dateparse import parse_date, parse_datetime

from projects import auditing
from projects.invariants import one_moment
from projects.models import AuditEntry, Project

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterator

    from django.db.models import QuerySet


class Command(BaseCommand):
    """Write the log, or a part of it, to a new file or to standard output."""

    help = "Write the audit log out, oldest entry first, as JSON lines or CSV."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name the options."""
        parser.add_argument("file", nargs="?", help="A new file (default: standard output).")
        parser.add_argument("--format", choices=list(auditing.FORMATS), default="jsonl")
        parser.add_argument("--project", help="Only this project's entries, by its slug.")
        parser.add_argument("--since", help="Only entries of this day or moment and later (UTC).")
        parser.add_argument("--until", help="Only entries before this day or moment (UTC).")

    def handle(self, **options: Any) -> None:
        """Write it, as it is at one moment."""
        lines = auditing.FORMATS[options["format"]]
        with one_moment():
            entries = _chosen(options)
            if not options["file"]:
                _write(lines(entries), cast("IO[str]", self.stdout._out))
                return
            count = _save(lines(entries), Path(options["file"]))
        self.stderr.write(f"{count:,} lines were written to {options['file']}.")


def _chosen(options: dict[str, Any]) -> QuerySet[AuditEntry]:
    entries = AuditEntry.objects.all()
    if slug := options["project"]:
        if not Project.objects.filter(slug=slug).exists():
            raise CommandError(f"There is no project {slug!r}.")
        entries = entries.filter(project__slug=slug)
    if since := options["since"]:
        entries = entries.filter(at__gte=_moment(since))
    if until := options["until"]:
        entries = entries.filter(at__lt=_moment(until))
    return entries


def _moment(text: str) -> datetime:
    try:
        moment = parse_datetime(text)
        if moment is None and (day := parse_date(text)):
            moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
    except ValueError:
        moment = None
    if moment is None:
        raise CommandError(
            f"{text!r} is no day and no moment: write 2026-11-28 or 2026-11-28T09:30Z."
        )
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _write(lines: Iterator[str], out: IO[str]) -> int:
    count = 0
    for line in lines:
        out.write(line)
        count += 1
    return count


def _save(lines: Iterator[str], path: Path) -> int:
    """Write a new file, readable for its owner alone; it is there when it is whole."""
    draft = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with open(
            os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", newline=""
        ) as out:
            count = _write(lines, out)
            out.flush()
            os.fsync(out.fileno())
        os.link(draft, path)
    except FileExistsError as error:
        raise CommandError(f"{path} is there already; nothing was written.") from error
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error}") from error
    finally:
        draft.unlink(missing_ok=True)
    return count
