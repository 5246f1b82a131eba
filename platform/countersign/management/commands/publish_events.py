"""`manage.py publish_events`: sends the event log to Kafka, for as long as it runs."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Send what is new, and go on until stopped; `manage.py up` runs it when KAFKA_URL is set."""

    help = "Send the event log to the Kafka cluster in KAFKA_URL, at least once, in commit order."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take --once and --renumber."""
        parser.add_argument("--once", action="store_true", help="Send what there is, then end.")
        parser.add_argument(
            "--renumber",
            action="store_true",
            help="After a restore into another server: number the log anew, send all of it again.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run; the exit code is 1 when Kafka or the log makes it impossible."""
        # Here: no other command and no web process needs the Kafka library.
        from agents.eventlog import LogRestored
        from countersign.sink import kafka, publishing

        if options["renumber"]:
            self.stdout.write(f"{publishing.renumber()} events will be sent again.")
            return
        if not settings.KAFKA_OPTIONS:
            raise CommandError("Set KAFKA_URL to say where the events go, e.g. kafka://host:9092.")
        publisher = publishing.Publisher(settings.KAFKA_OPTIONS)
        try:
            if options["once"]:
                self.stdout.write(f"Sent {publisher.once()} events.")
                return
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: publisher.stop())
            publisher.run()
        except kafka.KafkaAway as error:
            raise CommandError(f"Kafka takes nothing ({error}); what was sent is kept.") from error
        except LogRestored as error:
            raise CommandError(str(error)) from error
