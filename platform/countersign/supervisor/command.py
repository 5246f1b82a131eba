"""The order in which `up` starts things, and what it does until it is stopped."""

from __future__ import annotations

import argparse
import contextlib
import http
import http.client
import json
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from countersign.supervisor import records, screen
from countersign.supervisor.children import leash
from countersign.supervisor.choices import (
    SetupError,
    check_settings,
    listen,
    open_data_dir,
    read_choices,
)
from countersign.supervisor.crew import Crew, Stopped
from countersign.supervisor.parts import Parts

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from countersign.supervisor.choices import Choices

HELP = "Start Countersign on this machine: database, Redis, web server and workers."
_START_MAY_TAKE = 180.0  # seconds, for each of the waits below
_ENDS_AT_START = 3
_ASK_EVERY = 0.1
_LOOK_EVERY = 0.5
_TRIM_EVERY = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `up`."""
    parser.add_argument("--verbose", action="store_true", help="Print the children's logs too.")


def main(arguments: Sequence[str]) -> int:
    """Run `manage.py up` without Django; return the exit code."""
    parser = argparse.ArgumentParser(prog="manage.py up", description=HELP)
    add_arguments(parser)
    return run(verbose=parser.parse_args(arguments).verbose)


def run(*, verbose: bool) -> int:
    """Start everything and watch it until somebody stops it; return the exit code."""
    began = time.monotonic()
    try:
        choices = read_choices()
        with open_data_dir(choices), listen(choices.port) as listener:
            check_settings()
            return Supervisor(choices, listener, verbose=verbose).run(began)
    except SetupError as error:
        screen.refuse(str(error))
        return 1


class Supervisor:
    """One `up`, from its first child to its last."""

    def __init__(self, choices: Choices, listener: socket.socket, *, verbose: bool) -> None:
        self.choices = choices
        self.listener = listener
        self.port = listener.getsockname()[1]
        self.crew = Crew(choices.data_dir, screen.say, drain_seconds=choices.drain_seconds)
        self.parts = Parts(choices, port=self.port)
        self.mirror = screen.Mirror() if verbose else None
        self._readiness: dict[str, bool] = {}

    def run(self, began: float) -> int:
        """Start, show the screen, watch; stop every child whatever happens."""
        self.crew.take_signals()
        try:
            facts = self._start()
            url = f"http://localhost:{self.port}"
            data_dir = self.choices.data_dir
            screen.show(
                url=url,
                facts=facts,
                data_dir=data_dir,
                data_owner=self.parts.data_owner(),
                seconds=time.monotonic() - began,
            )
            self._watch()
        except Stopped:
            screen.say("Stopping.")
        finally:
            self.crew.stop()
        screen.say("Everything is stopped; the data stay.")
        return 0

    def _start(self) -> dict[str, Any]:
        self._check_given()
        if self.parts.first_start():
            screen.say("First start: the database is being made.")
        if opened := self.parts.create():
            screen.say(
                "PostgreSQL does not run as root, so its own user may now pass through (not look "
                f"into) {', '.join(map(str, opened))}."
            )
        preparing = self._prepare()
        try:
            for service in self.parts.services():
                self.crew.add(service, service=True)
            self._until(self.parts.services_ready, "the database and Redis")
            records.write_runtime(self.choices.data_dir, self.parts.reach())
            facts = self._answer_of(preparing)
        finally:
            preparing.kill()
            preparing.wait()
        for child in self.parts.workers(self.listener.fileno()):
            self.crew.add(child)
        self._until(self._web_ready, "the web server and the workers")
        return {**facts, "kafka": self.choices.kafka_servers}

    def _check_given(self) -> None:
        """Ask the services the environment names, before anything is made that needs them."""
        names = self.parts.given()
        if not names:
            return
        with self._prepare_log.open("w", encoding="utf-8") as log:
            asked = subprocess.run(  # noqa: S603 -- our own module
                [sys.executable, "-m", "countersign.supervisor.services", *names],
                stdout=subprocess.PIPE,
                stderr=log,
                env=self.parts.environment(),
                text=True,
                check=False,
                preexec_fn=leash(signal.SIGKILL),
            )
        try:
            answer: dict[str, Any] = json.loads(asked.stdout)
        except ValueError as error:
            raise SetupError(
                f"{', '.join(names)}: could not be asked; the reason is in {self._prepare_log}."
            ) from error
        if "error" in answer:
            raise SetupError(answer["error"])

    def _prepare(self) -> subprocess.Popen[str]:
        """Start the process that migrates and seeds; it imports while the services start."""
        with self._prepare_log.open("w", encoding="utf-8") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "countersign.supervisor.prepare"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self.parts.environment(),
                text=True,
                start_new_session=True,
                preexec_fn=leash(signal.SIGKILL),
            )

    @property
    def _prepare_log(self) -> Path:
        return self.choices.logs / "prepare.log"

    def _answer_of(self, preparing: subprocess.Popen[str]) -> dict[str, Any]:
        """Tell the preparing process that the services run; return what it reports."""
        given, report = preparing.stdin, preparing.stdout
        assert given is not None and report is not None  # noqa: S101, PT018 -- both are pipes
        with contextlib.suppress(BrokenPipeError):  # it found fault with the settings already
            given.write(json.dumps({"logins": self.parts.passwords}) + "\n")
            given.close()

        def answered() -> bool:
            return bool(select.select([report], [], [], 0)[0])

        self._until(answered, "the tables and the demo")
        try:
            answer: dict[str, Any] = json.loads(report.readline())
        except ValueError as error:
            raise SetupError(
                f"The tables and the demo could not be made; the reason is in {self._prepare_log}."
            ) from error
        if "error" in answer:
            raise SetupError(answer["error"])
        return answer

    def _until(self, ready: Callable[[], bool], what: str) -> None:
        """Wait for `ready`; give up when time is over or a child cannot stay up."""
        deadline = time.monotonic() + _START_MAY_TAKE
        while not ready():
            self._watch_once(_ASK_EVERY)
            for child in self.crew.everyone():
                if child.ends >= _ENDS_AT_START:
                    raise SetupError(
                        f"The {child.title} does not stay up; the reason is at the end of "
                        f"{child.log}: {child.last_words()}"
                    )
            if time.monotonic() > deadline:
                raise SetupError(
                    f"Waited {_START_MAY_TAKE:.0f} s for {what} in vain{self._missing()}; look "
                    f"into the logs in {self.choices.logs}."
                )

    def _missing(self) -> str:
        missing = sorted(name for name, fine in self._readiness.items() if fine is False)
        return f" (missing: {', '.join(missing)})" if missing else ""

    def _web_ready(self) -> bool:
        """Ask the web server; it knows of the database, Redis, the broker and the workers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/readyz", headers={"Host": self.choices.host_header})
            answer = connection.getresponse()
            self._readiness = json.loads(answer.read()).get("parts", {})
        except (OSError, http.client.HTTPException, ValueError):
            return False
        finally:
            connection.close()
        return answer.status == http.HTTPStatus.OK

    def _watch(self) -> None:
        trim_at = time.monotonic() + _TRIM_EVERY
        while True:
            self._watch_once(_LOOK_EVERY)
            if time.monotonic() > trim_at:
                trim_at = time.monotonic() + _TRIM_EVERY
                for child in self.crew.everyone():
                    child.trim_log()

    def _watch_once(self, seconds: float) -> None:
        self.crew.watch(seconds)
        if self.mirror:
            self.mirror.show_new_lines(self.crew.everyone())
