"""`manage.py demo_tools`: serves the demo's tool until it is stopped, to try calls that ask first."""

from __future__ import annotations

import asyncio
import signal
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn
from django.core.management.base import BaseCommand, CommandError

from agents.models import Agent
from agents.seeding import NotThisServer
from countersign import demo_tools

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterator

    from agents.models import ToolServer
    from agents.seeding import Outside

PORT = 8010
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_MAY_TAKE = 3  # seconds, for calls that are being answered


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
            config = uvicorn.Config(
                demo_tools.served(server), log_level="error", timeout_graceful_shutdown=_MAY_TAKE
            )
            serving = uvicorn.Server(config)
            with _stopped_by_signals(serving):
                offered = _switch_on(found)
                try:
                    self.stdout.write(f"{found.name} listens on {found.target}. Ctrl-C stops it.")
                    serving.run(sockets=[listening])
                finally:
                    off = demo_tools.switch_off(offered)
        if off:
            self.stdout.write(f"{found.name} is switched off. What it was allowed is kept.")
        else:
            self.stdout.write(f"{found.name} was moved meanwhile, and is left as it is.")


def _switch_on(found: Outside) -> ToolServer:
    try:
        return demo_tools.switch_on(found)
    except Agent.DoesNotExist:
        raise CommandError("There is no code agent. Make it with `manage.py seed`.") from None
    except NotThisServer as error:
        raise CommandError(str(error)) from None


@contextmanager
def _stopped_by_signals(serving: uvicorn.Server) -> Iterator[None]:
    """Let signals end the serving and nothing else: what is switched on is switched off again.

    By itself a closed terminal ends the process where it is; and uvicorn, once it has stopped, sends
    itself the signal it was stopped by, which then does as much. One that is ignored, as under nohup,
    stays so.
    """

    def stop(*_: object) -> None:
        serving.should_exit = True

    before = {number: signal.getsignal(number) for number in _STOPS}
    taken = [number for number in _STOPS if before[number] != signal.SIG_IGN]
    for number in taken:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number])
