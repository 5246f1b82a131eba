"""Who sends: the rows behind a bearer token and a project's slug, kept for half a minute.

No right is given by what is kept here: the statement that writes a task asks the rows again.
"""

from __future__ import annotations

import asyncio
import hashlib

from cachetools import TTLCache

from agents.requests import Sender, sender_of
from agents.runtime.database import in_db
from countersign.edge.batcher import PATIENCE
from projects import tokens
from projects.exceptions import CountersignError
from projects.models import Project

SECONDS = 30.0
MOST = 10_000  # pairs of token and project
SCOPE = "tasks:write"

_kept: TTLCache[tuple[bytes, str], Sender] = TTLCache(MOST, SECONDS)
_reading: dict[tuple[bytes, str], asyncio.Task[Sender | None]] = {}


def kept(bearer: str, slug: str) -> Sender | None:
    """Return the sender if it is known here."""
    return _kept.get(_key(bearer, slug))


async def find(bearer: str, slug: str) -> Sender | None:
    """Read the sender, None for whom the API has to refuse; raises DatabaseError, or TimeoutError.

    Who asks for the same while it is read waits for the same: at 5,000 requests a second each of
    hundreds read it by itself when its half minute was over, for 0.6 seconds.
    """
    if not slug.isascii() or not slug.isprintable():
        return None  # NUL, half a character: no row has it, and not each can be asked for
    key, loop = _key(bearer, slug), asyncio.get_running_loop()
    reading = _reading.get(key)
    if reading is None or reading.get_loop() is not loop:
        reading = _reading[key] = loop.create_task(in_db(_read, bearer, slug))
        reading.add_done_callback(lambda done: _keep(key, done))
    async with asyncio.timeout(PATIENCE):
        return await asyncio.shield(reading)


def _keep(key: tuple[bytes, str], done: asyncio.Task[Sender | None]) -> None:
    if _reading.get(key) is not done:
        return  # forgotten meanwhile: it may be of rows from before
    del _reading[key]
    if not done.cancelled() and not done.exception() and (sender := done.result()) is not None:
        _kept[key] = sender


def forget(bearer: str, slug: str) -> None:
    """Read the rows anew next time: they have changed."""
    key = _key(bearer, slug)
    _kept.pop(key, None)
    _reading.pop(key, None)


def _key(bearer: str, slug: str) -> tuple[bytes, str]:
    # A digest: nothing that could be used lies in memory longer than its request.
    return hashlib.sha256(bearer.encode()).digest(), slug


def _read(bearer: str, slug: str) -> Sender | None:
    token = tokens.find(bearer)
    if token is None or SCOPE not in token.scopes:
        return None
    projects = Project.objects.visible_to(token.user).filter(slug=slug)
    if token.project_id:
        projects = projects.in_project(token.project_id)
    project = projects.first()
    try:
        return sender_of(token.user, project, token) if project else None
    except CountersignError:
        return None
