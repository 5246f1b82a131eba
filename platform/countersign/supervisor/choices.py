"""What the environment asks `up` to start, read and checked before anything is started."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from countersign.env import LOOPBACK, env_int, env_list, env_text

_MOST_WORKERS = 64  # on one machine; each takes about 100 MB and a handful of connections


class SetupError(Exception):
    """Something the person must change first; the message is the one sentence they get."""


@dataclass(frozen=True, kw_only=True)
class Choices:
    """The settings `up` itself acts on; an empty URL means the embedded part."""

    data_dir: Path
    port: int
    host_header: str
    database_url: str
    database_url_agents: str
    database_url_effects: str
    database_url_sink: str
    redis_url: str
    broker_url: str
    kafka_url: str
    drain_seconds: int
    agent_workers: int

    @property
    def logs(self) -> Path:
        """The folder of the children's logs."""
        return self.data_dir / "logs"

    @property
    def kafka_servers(self) -> str:
        """Return where the events are also sent, as it may be shown: without a password."""
        return urlsplit(self.kafka_url).netloc.rpartition("@")[2]


def read_choices() -> Choices:
    """Read the environment; raises SetupError naming the setting that is wrong."""
    try:
        return Choices(
            data_dir=Path(env_text("COUNTERSIGN_DATA_DIR") or ".countersign").absolute(),
            port=_port(),
            host_header=_host_header(),
            database_url=env_text("DATABASE_URL"),
            database_url_agents=env_text("DATABASE_URL_AGENTS"),
            database_url_effects=env_text("DATABASE_URL_EFFECTS"),
            database_url_sink=env_text("DATABASE_URL_SINK"),
            redis_url=env_text("REDIS_URL"),
            broker_url=env_text("CELERY_BROKER_URL"),
            kafka_url=env_text("KAFKA_URL"),
            drain_seconds=env_int("COUNTERSIGN_DRAIN_SECONDS", 5),
            agent_workers=_agent_workers(),
        )
    except ImproperlyConfigured as error:
        raise SetupError(str(error)) from error


def check_settings() -> None:
    """Read all other settings as every process will; raises SetupError for the first bad one."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "countersign.settings")
    try:
        from countersign import checks  # reads the settings, so not before they may be read

        faults = checks.faults()
    except ImproperlyConfigured as error:
        raise SetupError(str(error)) from error
    for fault in faults:
        raise SetupError(f"{str(fault.msg).rstrip('.')}; {fault.hint}")


def open_data_dir(choices: Choices) -> IO[str]:
    """Make the data directory and take its lock, held until the returned file is closed."""
    folder = choices.data_dir
    try:
        choices.logs.mkdir(parents=True, exist_ok=True)
        (folder / "static").mkdir(exist_ok=True)  # WhiteNoise warns when there is none
        # As root, the database's own user must pass through; nobody but us may look.
        folder.chmod(0o700 if os.geteuid() else 0o711)
        choices.logs.chmod(0o700)
        lock = (folder / "up.lock").open("a+", encoding="utf-8")
    except OSError as error:
        raise SetupError(
            f"The data directory {folder} cannot be written ({error.strerror}); make it writable "
            "or point COUNTERSIGN_DATA_DIR at another folder."
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise SetupError(_in_use(folder)) from error
    return lock


def listen(port: int) -> socket.socket:
    """Open the web server's listening socket: held here, it outlives a restart of the server."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise SetupError(
            f"Port {port} cannot be used ({error.strerror}); stop what holds it or choose another, "
            f"e.g. COUNTERSIGN_PORT={port + 1 if port < 65_535 else 8000}."
        ) from error
    listener.listen(2048)
    return listener


def _port() -> int:
    port = env_int("COUNTERSIGN_PORT", 8000)
    if not 0 <= port <= 65_535:
        raise SetupError(f"COUNTERSIGN_PORT must be 0 to 65535, but it is {port}; correct it.")
    return port


def _agent_workers() -> int:
    count = env_int("COUNTERSIGN_AGENT_WORKERS", 1)
    if not 1 <= count <= _MOST_WORKERS:
        raise SetupError(
            f"COUNTERSIGN_AGENT_WORKERS must be 1 to {_MOST_WORKERS}, but it is {count}; correct it."
        )
    return count


def _host_header() -> str:
    """Return a Host the web server accepts, for asking it whether it is ready.

    Raises ImproperlyConfigured when it would not answer at the address that `up` prints.
    """
    names = set(env_list("ALLOWED_HOSTS", LOOPBACK))
    if "127.0.0.1" in names or "*" in names:
        return "127.0.0.1"
    if "localhost" in names:
        return "localhost"
    raise ImproperlyConfigured(
        "ALLOWED_HOSTS leaves out localhost, where this machine itself asks the server whether it "
        "is up; add localhost to it, or unset it."
    )


def _in_use(folder: Path) -> str:
    where = ""
    try:
        running = json.loads((folder / "runtime.json").read_text(encoding="utf-8"))
        where = f" by process {running['pid']} at http://localhost:{running['COUNTERSIGN_PORT']}"
    except (OSError, ValueError, KeyError):
        pass  # the other one is still starting
    return (
        f"The data directory {folder} is in use{where}; stop that Countersign first (Ctrl-C where "
        "it runs) or point COUNTERSIGN_DATA_DIR at another folder."
    )
