"""`manage.py submit "…" --project SLUG --watch`: hand over work from the terminal, and watch it."""

from __future__ import annotations

import json
import os
import sys
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any, cast

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from rich.console import Console

from countersign.terminal.client import ApiClient, ApiRefused, ServerAway
from countersign.terminal.watching import INTERRUPTED, watch
from projects import tokens
from projects.models import Project

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
            "--until",
            choices=["review"],
            default="",
            help="Watch only until it waits for a signature (exits with 0) or needs a person (1).",
        )
        parser.add_argument(
            "--as",
            dest="person",
            default="requester",
            help="Whose token of demo-accounts.json to use (default: requester).",
        )
        parser.add_argument("--token", default="", help="An API token; or COUNTERSIGN_TOKEN.")
        parser.add_argument(
            "--url",
            default=f"http://localhost:{settings.PORT}",
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
                task = _submit(client, token, options)
                console.print(f"T-{task['number']} accepted: {task['links']['console']}")
                if not (options["watch"] or options["until"]):
                    _print_links(console, task)
                    return
                code = watch(client, task, console, until=options["until"])
            except (ApiRefused, ServerAway) as error:
                raise CommandError(str(error), returncode=FAILED) from error
            except KeyboardInterrupt:
                sys.exit(INTERRUPTED)
        sys.exit(code)


def _submit(client: ApiClient, token: str, options: dict[str, Any]) -> dict[str, Any]:
    slug = options["project"]
    try:
        return client.submit(project=slug, request=options["request"])
    except ApiRefused as error:
        if error.status != HTTPStatus.NOT_FOUND:  # then it is not about the project
            raise
        told = f"{error} You named {slug!r}.{projects_of(token)}"
        raise ApiRefused(told, status=error.status) from error


def projects_of(token: str) -> str:
    """Return a sentence that lists the projects of a token's person, empty when unknown here."""
    try:
        known = tokens.find(token)
        slugs = [known.project.slug] if known and known.project else []
        if known and not slugs:
            found = Project.objects.visible_to(known.user).filter(archived_at=None)
            slugs = sorted(found.values_list("slug", flat=True))
    except DatabaseError:  # the server is another installation's
        return ""
    if not known:
        return ""
    return f" Projects of {known.user.username}: {', '.join(slugs) or 'none yet'}."


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
