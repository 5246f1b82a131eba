"""The limit: one process that only reads the streams, `python -m tests.bench._inflight_raw`."""

from __future__ import annotations

import argparse
import asyncio
import json
import time

import aiohttp
import uvloop


async def read(session: aiohttp.ClientSession, url: str, number: int) -> None:
    """Ask once and parse every chunk."""
    body = {"stream": True, "messages": [{"role": "user", "content": f"flight-{number}"}]}
    async with session.post(f"{url}/chat/completions", json=body) as answer:
        async for line in answer.content:
            if line.startswith(b"data: {"):
                json.loads(line[6:])


async def measure(url: str, steps: int) -> None:
    """Read all streams side by side and print what it took."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, read_bufsize=2**14) as session:
        began, used = time.monotonic(), time.process_time()
        await asyncio.gather(*(read(session, url, number) for number in range(steps)))
        took = {"wall": time.monotonic() - began, "cpu": time.process_time() - used}
    print(json.dumps(took))


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--steps", type=int, required=True)
    given = parser.parse_args()
    uvloop.run(measure(given.url, given.steps))


if __name__ == "__main__":
    main()
