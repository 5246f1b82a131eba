"""What goes wrong in the random runs: each fault by name, with how it is brought about."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agents import dispatch
from countersign.celery import app
from tests.chaos.house import LEASE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tests.chaos.house import House
    from tests.chaos.model import Model


@dataclass(frozen=True)
class Stage:
    """What a fault may lay hands on, and the dice that say how."""

    house: House
    model: Model
    dice: Random


@dataclass(frozen=True)
class Fault:
    """One way things go wrong."""

    name: str
    sentence: str
    strike: Callable[[Stage], None]


def _some_time(stage: Stage, most: float = 1.2) -> None:
    time.sleep(stage.dice.uniform(0.05, most))


def _nothing(_: Stage) -> None:
    return


def _kill_worker(stage: Stage) -> None:
    stage.house.kill(stage.dice.choice(stage.house.agents))


def _kill_worker_twice(stage: Stage) -> None:
    for name in stage.house.agents:
        stage.house.kill(name)
        _some_time(stage)


def _kill_all_workers(stage: Stage) -> None:
    stage.house.kill(*stage.house.agents)


def _kill_effects(stage: Stage) -> None:
    for _ in range(2):
        stage.house.kill("effects")
        _some_time(stage, 4.0)


def _kill_web(stage: Stage) -> None:
    stage.house.kill("web")


def _kill_everything_of_ours(stage: Stage) -> None:
    stage.house.kill("web", "effects", *stage.house.agents)


def _drain_worker(stage: Stage) -> None:
    stage.house.kill(stage.dice.choice(stage.house.agents), number=signal.SIGTERM)


def _pause_worker(stage: Stage) -> None:
    stage.house.pause(stage.dice.choice(stage.house.agents), LEASE_SECONDS + 2.5)


def _pause_effects(stage: Stage) -> None:
    stage.house.pause("effects", stage.dice.uniform(2.0, 4.0))


def _flush_redis(stage: Stage) -> None:
    for _ in range(3):
        stage.house.redis().flushall()
        _some_time(stage, 0.6)


def _restart_redis(stage: Stage) -> None:
    stage.house.restart_redis()


def _restart_postgres(stage: Stage) -> None:
    stage.house.restart_postgres()


def _double_bells(stage: Stage) -> None:
    for _ in range(40):
        for task, queue in (
            (dispatch.TASK, dispatch.QUEUE),
            (dispatch.EFFECTS_TASK, dispatch.EFFECTS_QUEUE),
        ):
            app.send_task(task, queue=queue, expires=60)


def _lose_bells(stage: Stage) -> None:
    deadline = time.monotonic() + 3
    broker = stage.house.redis()
    while time.monotonic() < deadline:
        broker.delete(dispatch.QUEUE, dispatch.EFFECTS_QUEUE)
        time.sleep(0.005)


def _stall_streams(stage: Stage) -> None:
    stage.model.trouble("stall", stage.dice.randint(4, 10))


def _cut_streams(stage: Stage) -> None:
    stage.model.trouble("cut", stage.dice.randint(2, 6))


_SINGLE = (
    Fault("none", "nothing goes wrong", _nothing),
    Fault("worker killed", "kill -9 of one agent worker", _kill_worker),
    Fault(
        "workers killed in turn", "kill -9 of one agent worker, then the other", _kill_worker_twice
    ),
    Fault("all workers killed", "kill -9 of both agent workers at once", _kill_all_workers),
    Fault("worker drained", "SIGTERM of one agent worker", _drain_worker),
    Fault("worker paused", "SIGSTOP of a worker; it wakes after losing its leases", _pause_worker),
    Fault("effects worker killed", "kill -9 of the effects worker, twice", _kill_effects),
    Fault(
        "effects worker paused", "SIGSTOP of the effects worker for some seconds", _pause_effects
    ),
    Fault("web killed", "kill -9 of the web server", _kill_web),
    Fault(
        "everything killed",
        "kill -9 of web, effects worker and agent workers",
        _kill_everything_of_ours,
    ),
    Fault("Redis flushed", "FLUSHALL, three times", _flush_redis),
    Fault("Redis restarted", "kill -9 of Redis; it comes back empty", _restart_redis),
    Fault(
        "Postgres restarted", "immediate restart: every transaction is dropped", _restart_postgres
    ),
    Fault("bells doubled", "forty bells too many on each queue", _double_bells),
    Fault("bells lost", "every bell of three seconds is taken away", _lose_bells),
    Fault("streams stalled", "answers of the model stop half-way for seconds", _stall_streams),
    Fault("streams cut", "answers of the model end half-way", _cut_streams),
)


def _several(stage: Stage) -> None:
    for fault in stage.dice.sample(_SINGLE[1:], 3):
        fault.strike(stage)
        _some_time(stage)


FAULTS = (*_SINGLE, Fault("three at once", "three of these, one after the other", _several))
