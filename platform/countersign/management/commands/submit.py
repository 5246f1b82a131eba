"""`manage.py submit "…" --project SLUG --watch`: hand over work from the terminal, and watch it."""

from __future__ import annotations

import json
import os
import sys
from typing import IO, TYPE_CHECKING, Any, cast

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console

from countersign.terminal.client import ApiClient, ApiRefused, ServerAway
from countersign.terminal.watching import INTERRUPTED, watch

if TYPE_CHECKING:
    from argparse import ArgumentParser

FAILED = 1  # the task ended without what was asked for, or was refused


class Command(BaseCommand):
    """Submit a request to the running server."""

    help = "Submit a request to the running server and, with --watch, follow it to its end."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name the options."""
        parser.add_argument("request", help="What you want done, in a sentence.")
        parser.add_argument("--project", required=True, help="The project's slug.")
        parser.add_argument("--watch", action="store_true", help="Follow it until it is over.")
        parser.add_argument(
            "--as",
            dest="person",
            default="requester",
            help="Whose token of demo-accounts.json to use (default: requester).",
        )
        parser.add_argument("--token", default="", help="An API token; or COUNTERSIGN_TOKEN.")
        parser.add_argument(
            "--url",
            default=f"http://127.0.0.1:{settings.PORT}",
            help="The server (default: the port of this data directory).",
        )

    def handle(self, **options: Any) -> None:
        """Submit, say where to look, and follow if asked; exits 1 when it did not succeed."""
        console = Console(file=cast("IO[str]", self.stdout._out), highlight=False)
        token = (
            options["token"] or os.environ.get("COUNTERSIGN_TOKEN") or demo_token(options["person"])
        )
        with ApiClient(options["url"], token) as client:
            try:
                task = client.submit(project=options["project"], request=options["request"])
                console.print(f"T-{task['number']} accepted: {task['links']['console']}")
                if not options["watch"]:
                    _print_links(console, task)
                    return
                code = watch(client, task, console)
            except (ApiRefused, ServerAway) as error:
                raise CommandError(str(error), returncode=FAILED) from error
            except KeyboardInterrupt:
                sys.exit(INTERRUPTED)
        sys.exit(code)


def demo_token(person: str) -> str:
    """Return a token from the demo accounts; raises CommandError when there is none."""
    path = settings.DATA_DIR / "demo-accounts.json"
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))[person]["token"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandError(
            f"No token was given and {path} has none for {person!r}. "
            "Give one by --token or COUNTERSIGN_TOKEN, or run `make up` first."
        ) from error


def _print_links(console: Console, task: dict[str, Any]) -> None:
    console.print(f"id         {task['id']}")
    for name in ("self", "events", "stream", "websocket"):
        console.print(f"{name:10} {task['links'][name]}")
