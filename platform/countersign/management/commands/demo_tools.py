"""`manage.py demo_tools`: serves the demo's tool until it is stopped, to try calls that ask first."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import uvicorn
from django.core.management.base import BaseCommand, CommandError

from agents.models import Agent
from countersign import demo_tools

if TYPE_CHECKING:
    from argparse import ArgumentParser

PORT = 8010


class Command(BaseCommand):
    """Serve it in the foreground."""

    help = "Serve a tool that reminds customers, granted to the code agent, until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name the options."""
        parser.add_argument(
            "--port", type=int, default=PORT, help=f"Where it listens, on 127.0.0.1 ({PORT})."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Listen, pin and grant the tool, serve; switch it off at the end."""
        server = demo_tools.build(self.stdout.write)
        try:
            listening = socket.create_server(("127.0.0.1", options["port"]))
        except OSError as error:
            raise CommandError(
                f"Port {options['port']} cannot be used: {error.strerror}. Name another with --port."
            ) from error
        with listening:
            found = asyncio.run(demo_tools.offer(server, listening.getsockname()[1]))
            try:
                offered = demo_tools.switch_on(found)
            except Agent.DoesNotExist:
                raise CommandError(
                    "There is no code agent. Make it with `manage.py seed`."
                ) from None
            self.stdout.write(f"{found.name} listens on {found.target}. Ctrl-C stops it.")
            config = uvicorn.Config(demo_tools.served(server), log_level="error")
            try:
                uvicorn.Server(config).run(sockets=[listening])
            except KeyboardInterrupt:
                pass  # was asked to stop, and has
            finally:
                demo_tools.switch_off(offered)
        self.stdout.write(f"{found.name} is switched off. What it was allowed is kept.")
