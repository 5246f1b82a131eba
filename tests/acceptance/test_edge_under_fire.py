"""The web server is asked to stop, and killed, and the database crashes, while requests come in."""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import dataclass, field

import httpx
import psycopg

from tests.stack import Stack

CLIENTS = 12
EACH = 15  # requests
LONGEST = 5.0  # seconds an answer may take while the database is away


@dataclass
class Told:
    """What the clients were told."""

    accepted: dict[str, str] = field(default_factory=dict)  # the task's id by key
    refused: list[int] = field(default_factory=list)
    cut: int = 0
    slowest: float = 0.0


async def hand_over(client: httpx.AsyncClient, key: str, told: Told) -> None:
    """Send one request until it is accepted, as a client should: always with the same key."""
    body = {"project": "billing-demo", "request": f"Is the service healthy? ({key})"}
    while key not in told.accepted:
        began = time.monotonic()
        try:
            answer = await client.post("/api/v1/tasks", json=body, headers={"Idempotency-Key": key})
        except httpx.TransportError:
            told.cut += 1
            await asyncio.sleep(0.1)
            continue
        told.slowest = max(told.slowest, time.monotonic() - began)
        if answer.status_code == 202:
            told.accepted[key] = answer.json()["id"]
        else:
            told.refused.append(answer.status_code)
            assert "Retry-After" in answer.headers, answer.text
            await asyncio.sleep(0.2)


async def crowd(stack: Stack, told: Told, until_done: asyncio.Event) -> None:
    async def one(number: int) -> None:
        token = stack.accounts["requester"]["token"]
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=stack.url, headers=headers, timeout=20) as client:
            count = 0
            while count < EACH or not until_done.is_set():
                await hand_over(client, f"{number}-{count}", told)
                count += 1
                await asyncio.sleep(0.2)

    await asyncio.gather(*(one(number) for number in range(CLIENTS)))


async def fire(stack: Stack, told: Told, done: asyncio.Event) -> None:
    """Ask it to stop, kill it, crash the database; each time wait until requests come in again."""
    for name, number in (
        ("web", signal.SIGTERM),
        ("web", signal.SIGKILL),
        ("postgres", signal.SIGQUIT),
    ):
        before = len(told.accepted)
        told.slowest = 0.0  # while the web server starts again, requests wait in its socket
        await asyncio.to_thread(stack.restart, name, number)
        async with asyncio.timeout(30):
            while len(told.accepted) < before + CLIENTS:  # noqa: ASYNC110 - other tasks fill it
                await asyncio.sleep(0.05)
    done.set()


def test_what_was_accepted_is_there_once_whatever_broke() -> None:
    with Stack(env={"COUNTERSIGN_REHEARSAL_PACE_MS": "0"}) as stack:
        told = Told()

        async def everything() -> None:
            done = asyncio.Event()
            async with asyncio.timeout(180):
                await asyncio.gather(crowd(stack, told, done), fire(stack, told, done))

        asyncio.run(everything())
        with psycopg.connect(stack.reach["DATABASE_URL"]) as database:
            kept = dict(
                database.execute(
                    "SELECT idempotency_key, id::text FROM agents_task WHERE idempotency_key <> ''"
                ).fetchall()
            )
        assert kept == told.accepted
        assert set(told.refused) <= {503}
        assert told.slowest < LONGEST
        done = stack.manage("verify_invariants")
        assert done.returncode == 0, done.stdout
