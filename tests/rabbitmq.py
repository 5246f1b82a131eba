"""A real RabbitMQ node of the test's own: other ports, files and cookie than any other here."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

from countersign.supervisor.children import Child

LONGEST = 180  # seconds for a node to start
_NODE = "countersign-tests@localhost"
_ERLANG = (
    "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"
)


def rabbitmq_binary(name: str = "rabbitmq-server") -> str | None:
    """Return one of RabbitMQ's own commands, None when it is not installed."""
    # Debian's /usr/sbin/rabbitmq-server is a wrapper that changes the user and the node's files.
    return shutil.which(name, path=os.pathsep.join(["/usr/lib/rabbitmq/bin", os.environ["PATH"]]))


class RabbitMQ:
    """One node and its port mapper, gone with all their files when the `with` block ends.

    Both are on a leash: they end with this process, however it ends.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="countersign-rabbitmq-"))
        self.port, epmd, distribution = _free_ports(3)
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"
        self.env = self._environment(epmd, distribution)
        self._write_configuration()
        self._epmd = self._child("epmd", ["epmd", "-port", str(epmd), "-address", "127.0.0.1"])
        self._node = self._child("node", [rabbitmq_binary() or "", "-noinput"])

    def __enter__(self) -> Self:
        try:
            self._epmd.start()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._epmd.stop(5)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Start the node, with what it kept on disk, and wait until it takes connections."""
        self._node.start()
        deadline = time.monotonic() + LONGEST
        while not self._answers():
            if self._node.process is None or self._node.process.poll() is not None:
                raise RuntimeError(f"RabbitMQ ended: {self._node.log.read_text()[-2000:]}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"RabbitMQ did not start: {self._node.log.read_text()[-2000:]}")
            time.sleep(0.1)

    def kill(self) -> None:
        """End the node at once, as a power cut does."""
        self._node.signal_group(signal.SIGKILL)
        if self._node.process is not None:
            self._node.process.wait(10)

    def queues(self) -> list[dict[str, Any]]:
        """Return every queue of the node: name, type, durable, arguments, consumers."""
        columns = ["name", "type", "durable", "arguments", "consumers", "messages"]
        ask = ["-q", "-n", _NODE, "list_queues", "--formatter", "json", *columns]
        done = subprocess.run(
            [rabbitmq_binary("rabbitmqctl") or "", *ask],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                connection.settimeout(5)
                return bool(connection.recv(8))
        except OSError:
            return False

    def _child(self, name: str, command: list[str]) -> Child:
        return Child(
            name=name, title=name, command=command, log=self.folder / f"{name}.log", env=self.env
        )

    def _environment(self, epmd: int, distribution: int) -> dict[str, str]:
        here = str(self.folder)
        return {
            "PATH": os.environ["PATH"],
            "HOME": here,  # of the cookie
            "LC_ALL": "C.UTF-8",
            "ERL_EPMD_PORT": str(epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_ALLOW_INPUT": "1",  # the node itself is our child, not a shell before it
            "RABBITMQ_NODENAME": _NODE,
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_CONF_ENV_FILE": f"{here}/none",
            "RABBITMQ_CONFIG_FILE": f"{here}/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{here}/plugins",
            "RABBITMQ_MNESIA_BASE": f"{here}/data",
            "RABBITMQ_LOG_BASE": f"{here}/log",
            "RABBITMQ_PID_FILE": f"{here}/pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _ERLANG,
        }

    def _write_configuration(self) -> None:
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            "disk_free_limit.absolute = 10MB\n"
            "log.file = false\nlog.console = true\nlog.console.level = warning\n"
        )


def _free_ports(count: int) -> list[int]:
    # All open at once: one after the other, the same port might be given twice.
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports
