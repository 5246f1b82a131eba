"""The one asyncio thread of an agent worker process: started, woken and drained from outside."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import threading
from typing import TYPE_CHECKING

import uvloop
from django.conf import settings

from agents import telemetry
from agents.runtime import database

if TYPE_CHECKING:
    from agents.runtime.loop import Runtime

logger = logging.getLogger(__name__)

_OTHER_FILES = 500
_THRESHOLDS = (10_000, 20, 50)  # new objects, and collections of the generation before
_GRACE_SECONDS = 4.0  # for the last transactions, after the drain


class _Host:
    def __init__(self) -> None:
        self.runtime: Runtime | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.draining = False
        self.thread = threading.Thread(target=self._run, name="runtime", daemon=True)

    def call(self, method: str) -> None:
        """Call a method of the runtime on its own loop; nothing happens before it is up."""
        loop, runtime = self.loop, self.runtime
        if loop is not None and runtime is not None and not loop.is_closed():
            loop.call_soon_threadsafe(getattr(runtime, method))

    def _run(self) -> None:
        _allow_connections()
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._live())
        except Exception:
            # A worker without its runtime would take bells and do nothing for ever.
            logger.critical("the runtime ended by a fault; this worker stops", exc_info=True)
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            database.close()

    async def _live(self) -> None:
        # Here and not above: the model libraries take seconds to import, and the web never needs them.
        from agents.runtime.loop import Runtime

        _collect_less_often()
        self.runtime, self.loop = Runtime(), asyncio.get_running_loop()
        if self.draining:
            return
        await self.runtime.run()


def _collect_less_often() -> None:
    """Leave out of garbage collection what start-up made and lasts, and look at the rest less often.

    Rows and conversations are many objects and hardly ever cycles: to look for those after every
    700 of them took a sixth of the CPU time of a task (measured by `tests.bench.overhead`).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)


def _allow_connections() -> None:
    """Raise the soft limit of open files: one for each step in flight, and some beside them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.STEPS_IN_FLIGHT + _OTHER_FILES
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < wanted:
        logger.warning("only %s files may be open: fewer steps fit in flight (ulimit -n)", most)


_hosts: list[_Host] = []


def start() -> None:
    """Start the runtime of this process. Twice: nothing happens."""
    if not _hosts:
        _hosts.append(_Host())
        _hosts[0].thread.start()


def wake() -> None:
    """Look for work now; from any thread."""
    for host in _hosts:
        host.call("wake")


def drain() -> None:
    """Claim nothing more, and give running steps time to reach a checkpoint; does not wait."""
    for host in _hosts:
        host.draining = True
        host.call("drain")


def join() -> None:
    """Wait until everything is given back, at most a little longer than the drain."""
    drain()
    for host in _hosts:
        host.thread.join(settings.DRAIN_SECONDS + _GRACE_SECONDS)
    telemetry.flush()
