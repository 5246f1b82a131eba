"""Which processes this `up` consists of, and what each is told of the others."""

from __future__ import annotations

import os
import secrets
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from countersign.supervisor import redis_server, signing
from countersign.supervisor.children import Child
from countersign.supervisor.postgres import SYSTEM_USER, Postgres

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countersign.supervisor.choices import Choices

_PACKAGES = Path(__file__).resolve().parents[2]  # platform/ in a checkout
# Settings that name services: each process is told its own, and in clear, not by file.
_SERVICE_SETTINGS = (
    "DATABASE_URL",
    "DATABASE_URL_AGENTS",
    "DATABASE_URL_EFFECTS",
    "DATABASE_URL_SINK",
    "REDIS_URL",
    "CELERY_BROKER_URL",
    "KAFKA_URL",
    "COUNTERSIGN_DATA_DIR",
    "COUNTERSIGN_PORT",
    signing.NAME,
)
_HTTP = "countersign.edge.wire:Protocol"
WEB_SERVER = (
    *("uvicorn", "countersign.asgi:application", "--loop", "uvloop", "--http", _HTTP),
    *("--ws", "websockets-sansio", "--ws-per-message-deflate", "false"),
    *("--no-access-log", "--no-server-header", "--timeout-graceful-shutdown", "5"),
)
WEB_SETTINGS = {"COUNTERSIGN_KEPT_CONNECTIONS": "20"}
_WORKER = ("celery", "-A", "countersign", "worker", "-P", "threads", "--loglevel", "INFO")
_SINK = ("django", "publish_events")
AGENTS_NICENESS = 3  # half as much of the processor as others get who want it too
# The agents need not know where the log goes; the web tells whether it gets there.
_KNOW_OF_KAFKA = ("web", "sink")
# Nor the password of the mail server: the effects worker sends, the web says whether it can.
_EMAIL, _KNOW_OF_EMAIL = "COUNTERSIGN_EMAIL_URL", ("web", "effects")


class Parts:
    """Embedded services for the URLs the environment does not give, and our own processes."""

    def __init__(self, choices: Choices, *, port: int) -> None:
        self.choices = choices
        self.port = port
        self.passwords: dict[str, str] = {}
        self.signing = signing.for_web(choices.data_dir)
        self.postgres: Postgres | None = None
        self.redis: redis_server.RedisServer | None = None
        if not choices.database_url:
            log = choices.logs / "postgres.log"
            self.postgres = Postgres(folder=choices.data_dir, log=log)
            self.passwords = {
                login: secrets.token_urlsafe(32) for login in ("web", "agents", "effects", "sink")
            }
        if not choices.redis_url:
            self.redis = redis_server.choose(choices.data_dir, choices.logs / "redis.log")

    def first_start(self) -> bool:
        """Tell whether an embedded database has to be made."""
        return self.postgres is not None and not self.postgres.exists()

    def given(self) -> list[str]:
        """Return the services that the environment names, as `services` knows them."""
        urls = {
            "redis": self.choices.redis_url,
            "broker": self.choices.broker_url,
            "database": self.choices.database_url,
        }
        return [name for name, url in urls.items() if url]

    def create(self) -> list[Path]:
        """Make what the embedded services need on disk; return folders opened for passing."""
        if self.postgres is None:
            return []
        self.postgres.end_leftover()
        return self.postgres.create()

    def services(self) -> list[Child]:
        """Return the embedded services."""
        return [part.child() for part in (self.postgres, self.redis) if part]

    def data_owner(self) -> str:
        """Return the system user the database's files belong to, empty when it is us."""
        return SYSTEM_USER if self.postgres and os.geteuid() == 0 else ""

    def services_ready(self) -> bool:
        """Tell whether the embedded services answer."""
        return all(part.ready() for part in (self.postgres, self.redis) if part)

    def workers(self, listener: int) -> list[Child]:
        """Return the web server and the workers; the first agent worker is called `agents`."""
        web = (*WEB_SERVER, "--fd", str(listener))
        return [
            self._child("web", "web server", web, login="web", keep_open=(listener,)),
            *(self._agent_worker(number) for number in range(1, self.choices.agent_workers + 1)),
            self._worker("effects", "effects worker", login="effects", queue="effects", threads=1),
            *self._sinks(),
        ]

    def reach(self) -> dict[str, str]:
        """Return how other commands of this installation reach the services, as the owner."""
        redis_url = self.redis.url if self.redis else self.choices.redis_url
        return {
            "DATABASE_URL": self.postgres.url() if self.postgres else self.choices.database_url,
            "REDIS_URL": redis_url,
            "CELERY_BROKER_URL": self.choices.broker_url or redis_url,
            "COUNTERSIGN_PORT": str(self.port),
        }

    def environment(self, login: str = "") -> dict[str, str]:
        """Return a process's environment; without `login` it works as the tables' owner."""
        ours = {*_SERVICE_SETTINGS, *(f"{name}_FILE" for name in _SERVICE_SETTINGS)}
        env = {name: value for name, value in os.environ.items() if name not in ours}
        env |= self.reach()
        env["COUNTERSIGN_DATA_DIR"] = str(self.choices.data_dir)
        env["PYTHONUNBUFFERED"] = "1"
        env["PYTHONPATH"] = os.pathsep.join(self._import_path(env))
        env.setdefault("DJANGO_SETTINGS_MODULE", "countersign.settings")
        # Threads would each get their own arena, and keep it: tens of MB for nothing.
        env.setdefault("MALLOC_ARENA_MAX", "2")
        if login == "web":
            env = {**WEB_SETTINGS, **env, **self.signing}
        if login not in _KNOW_OF_EMAIL:
            env.pop(_EMAIL, None)
            env.pop(f"{_EMAIL}_FILE", None)
        if login in _KNOW_OF_KAFKA and self.choices.kafka_url:
            env["KAFKA_URL"] = self.choices.kafka_url
        return env | self._database_for(login)

    def _database_for(self, login: str) -> dict[str, str]:
        if self.postgres and login:
            url = self.postgres.url(f"countersign_{login}", self.passwords[login])
            return {"DATABASE_URL": url}
        named = {
            "DATABASE_URL_AGENTS": self.choices.database_url_agents,
            "DATABASE_URL_EFFECTS": self.choices.database_url_effects,
            "DATABASE_URL_SINK": self.choices.database_url_sink,
        }
        if not login:  # it has to give them their rights
            return {name: url for name, url in named.items() if url}
        url = named.get(f"DATABASE_URL_{login.upper()}", "")
        return {"DATABASE_URL": url} if url else {}

    def _import_path(self, env: Mapping[str, str]) -> list[str]:
        """Return where our packages lie, so that a checkout runs its own code."""
        folders = [_PACKAGES]
        if (_PACKAGES.parent / "manage.py").exists():
            folders.append(_PACKAGES.parent)
        return [*map(str, folders), *filter(None, [env.get("PYTHONPATH")])]

    def _agent_worker(self, number: int) -> Child:
        name, title = ("agents", "agent worker")
        if number > 1:
            name, title = f"{name}-{number}", f"{title} {number}"
        worker = self._worker(name, title, login="agents", queue="steps", threads=2)
        # Pages and requests go before what agents do here; checks they start share as all do.
        return replace(worker, niceness=AGENTS_NICENESS)

    def _sinks(self) -> list[Child]:
        if not self.choices.kafka_url:
            return []
        return [self._child("sink", "event sink", _SINK, login="sink")]

    def _worker(self, name: str, title: str, *, login: str, queue: str, threads: int) -> Child:
        own = ("-Q", queue, "-c", str(threads), "-n", f"{name}@%h")
        return self._child(name, title, (*_WORKER, *own), login=login)

    def _child(
        self,
        name: str,
        title: str,
        module: tuple[str, ...],
        *,
        login: str,
        keep_open: tuple[int, ...] = (),
    ) -> Child:
        return Child(
            name=name,
            title=title,
            command=[sys.executable, "-m", *module],
            log=self.choices.logs / f"{name}.log",
            env=self.environment(login),
            keep_open=keep_open,
        )
