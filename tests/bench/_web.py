"""Web servers of the benches: PostgreSQL and Redis as `up` sets them, uvicorn as `up` starts it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from countersign.supervisor.parts import WEB_SERVER, WEB_SETTINGS
from tests.bench._inflight_house import ROOT, House, Program, until
from tests.bench._load import Orders, Seen

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

SLUG = "billing"
_PLAIN = (
    *("uvicorn", ":application", "--loop", "uvloop", "--http", "httptools"),
    "--no-access-log",
)
REQUEST = {"project": SLUG, "request": "Fix the rounding of invoices, then update the docs."}


class Site(House):
    """A house with people, a project and a router, whose web servers come and go."""

    def _start(self) -> None:
        super()._start()
        import django

        os.environ["DJANGO_SETTINGS_MODULE"] = "countersign.settings"
        django.setup()
        self.token, self.project, self.requester = _people()

    def serve(self, application: str, **env: str) -> tuple[Program, int]:
        """Start one server process as `up` does; return it and its port once it answers."""
        return self._serve(web_server(application), {**WEB_SETTINGS, **env})

    def serve_plain(self, application: str) -> tuple[Program, int]:
        """Start uvicorn as it comes, with the fastest loop and parser it has."""
        return self._serve(web_server(application, _PLAIN), {})

    def _serve(self, given: tuple[list[str], int], env: dict[str, str]) -> tuple[Program, int]:
        module, port = given
        server = self.start(module, env)
        until(lambda: answers(port), 60)
        return server, port

    def checkpoint(self) -> None:
        """Let the database do what it does every five minutes: the files of its log are used again."""
        from django.db import connection

        connection.close()
        with connection.cursor() as cursor:
            cursor.execute("CHECKPOINT")

    def crash_postgres(self) -> None:
        """Let the database drop everything at once (immediate shutdown)."""
        child = self._children[0]
        child.signal(signal.SIGQUIT)
        assert child.process is not None
        child.process.wait(30)

    def start_postgres(self) -> None:
        """Start the database again; it recovers from its log."""
        self._children[0].start()


def web_server(application: str, command: Sequence[str] = WEB_SERVER) -> tuple[list[str], int]:
    """Return `module …` that serves an application as `up` does, and the free port it will take."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    module = [application if part.endswith(":application") else part for part in command]
    return [*module, "--port", str(port), "--log-level", "warning"], port


def load(orders: Orders) -> Seen:
    """Run the generator in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench._load"],
        input=json.dumps(asdict(orders)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Seen(**json.loads(done.stdout))


def answers(port: int) -> bool:
    """Tell whether a web server answers there, whatever it says."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _people() -> tuple[str, UUID, Any]:
    from django.utils import timezone

    from agents.models import Agent, AgentRole, AgentVersion, ModelProfile
    from projects import tokens
    from projects.models import Membership, Project, Role, User

    user = User.objects.create(username="mira", first_name="Mira", last_name="Ode")
    project = Project.objects.create(slug=SLUG, name=SLUG, repository="/nowhere.git")
    Membership.objects.create(user=user, project=project, role=Role.REQUESTER)
    profile, _ = ModelProfile.objects.get_or_create(slug="strong")
    router = Agent.objects.create(slug="router", name="Router", role=AgentRole.ROUTER)
    AgentVersion.objects.create(
        agent=router,
        number=1,
        instructions="Plan.",
        model_profile=profile,
        published_at=timezone.now(),
    )
    _, token = tokens.issue(user, name="bench")
    return token, project.pk, user
