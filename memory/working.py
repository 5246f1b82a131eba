"""Working memory of one agent in one task: a cache in Redis over rows that stay the truth."""

from __future__ import annotations

import json
import logging
import secrets
import time
from functools import cache
from typing import TYPE_CHECKING, Any

import redis
from django.conf import settings

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Mapping, Sequence

logger = logging.getLogger(__name__)

MAX_ENTRIES = 50
MAX_BYTES = 64 * 1024
TTL_SECONDS = 24 * 60 * 60  # refreshed on every write
KEPT_AFTER_END_SECONDS = 60 * 60
_LOCK_MS = 5_000
_WAIT_SECONDS = 1.0

# The chain key holds the entries, `seq` the number of the durable row the last one came from.
# An append that does not follow what is there (Redis was flushed in between) drops the chain:
# half a conversation must not look like a whole one.
_APPEND = """
local seq = redis.call('GET', KEYS[2])
if seq == ARGV[2] then return 1 end
if (seq or '0') ~= ARGV[3] then
    redis.call('DEL', KEYS[1], KEYS[2])
    return 0
end
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[6])
redis.call('LTRIM', KEYS[1], -tonumber(ARGV[4]), -1)
local bytes, entries = 0, redis.call('LRANGE', KEYS[1], 0, -1)
for _, entry in ipairs(entries) do bytes = bytes + #entry end
local first = 1
while bytes > tonumber(ARGV[5]) and first < #entries do
    bytes = bytes - #entries[first]
    first = first + 1
    redis.call('LPOP', KEYS[1])
end
redis.call('EXPIRE', KEYS[1], ARGV[6])
return 1
"""
_FILL = """
local seq = tonumber(redis.call('GET', KEYS[2]) or '-1')
if seq > tonumber(ARGV[1]) then return 0 end
redis.call('DEL', KEYS[1])
for i = 3, #ARGV do redis.call('RPUSH', KEYS[1], ARGV[i]) end
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
return 1
"""
_UNLOCK = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class WorkingMemory:
    """The chain of an agent's turns in a task, and its variables.

    Every entry is written to a durable row first; Redis never holds the only copy. Whatever
    happens to Redis, callers get their answer from `rebuild` and never an error.
    """

    def __init__(self, task_id: uuid.UUID | str, agent_slug: str) -> None:
        self._task = str(task_id)
        stem = f"cs:wm:{self._task}:{agent_slug}"
        self._chain, self._seq = f"{stem}:chain", f"{stem}:seq"
        self._vars, self._lock = f"{stem}:vars", f"{stem}:lock"

    def append(self, entry: Mapping[str, Any], *, seq: int, after: int) -> None:
        """Cache an entry that was written to the durable row `seq`, following row `after`.

        `after` is 0 for the first entry. Keeps the newest 50 entries and 64 KB.
        """
        try:
            pipeline = _redis().pipeline(transaction=False)
            self.queue_append(pipeline, entry, seq=seq, after=after)
            pipeline.execute()
        except redis.RedisError as error:
            _lost(error)

    def queue_append(
        self, pipeline: Any, entry: Mapping[str, Any], *, seq: int, after: int
    ) -> None:
        """Put an `append` on a pipeline. Twice for one row: the entry is there once."""
        limits = [MAX_ENTRIES, MAX_BYTES, TTL_SECONDS]
        pipeline.eval(_APPEND, 2, self._chain, self._seq, _line(entry), seq, after, *limits)
        self._queue_key(pipeline)

    def read_chain(
        self, *, rebuild: Callable[[], Sequence[Mapping[str, Any]]], last_seq: int
    ) -> list[dict[str, Any]]:
        """Return the chain up to the durable row `last_seq`, from Redis or through `rebuild`.

        Only one reader at a time rebuilds; the others wait for it a second, then help themselves.
        """
        if last_seq == 0:
            return []
        try:
            return self._cached(last_seq) or self._rebuilt(rebuild, last_seq)
        except redis.RedisError as error:
            _lost(error)
            return _newest(rebuild())

    def set_vars(self, **values: Any) -> None:
        """Cache variables whose durable copy the caller has written."""
        if not values:
            return
        try:
            pipeline = _redis().pipeline()
            lines = {name: json.dumps(value) for name, value in values.items()}
            pipeline.hset(self._vars, mapping=lines)
            pipeline.expire(self._vars, TTL_SECONDS)
            pipeline.execute()
            self._note_key()
        except redis.RedisError as error:
            _lost(error)

    def read_vars(self, *, rebuild: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """Return the variables, from Redis or through `rebuild`."""
        try:
            cached: dict[bytes, bytes] = _redis().hgetall(self._vars)
            if cached:
                return {name.decode(): json.loads(value) for name, value in cached.items()}
        except redis.RedisError as error:
            _lost(error)
        values = dict(rebuild())
        self.set_vars(**values)
        return values

    def _cached(self, last_seq: int) -> list[dict[str, Any]] | None:
        seq, lines = _redis().pipeline().get(self._seq).lrange(self._chain, 0, -1).execute()
        if seq is None or int(seq) != last_seq or not lines:
            return None
        return [json.loads(line) for line in lines]

    def _rebuilt(
        self, rebuild: Callable[[], Sequence[Mapping[str, Any]]], last_seq: int
    ) -> list[dict[str, Any]]:
        token = secrets.token_hex(8)
        deadline = time.monotonic() + _WAIT_SECONDS
        while not _redis().set(self._lock, token, nx=True, px=_LOCK_MS):
            if cached := self._cached(last_seq):
                return cached
            if time.monotonic() > deadline:
                return _newest(rebuild())
            time.sleep(0.02)
        try:
            return self._cached(last_seq) or self._fill(_newest(rebuild()), last_seq)
        finally:
            _redis().eval(_UNLOCK, 1, self._lock, token)

    def _fill(self, entries: list[dict[str, Any]], last_seq: int) -> list[dict[str, Any]]:
        lines = [_line(entry) for entry in entries]
        _redis().eval(_FILL, 2, self._chain, self._seq, last_seq, TTL_SECONDS, *lines)
        self._note_key()
        return entries

    def _note_key(self) -> None:
        # So that the end of the task finds the keys of all its agents without a scan.
        pipeline = _redis().pipeline(transaction=False)
        self._queue_key(pipeline)
        pipeline.execute()

    def _queue_key(self, pipeline: Any) -> None:
        pipeline.sadd(_index(self._task), self._chain, self._seq, self._vars)
        pipeline.expire(_index(self._task), TTL_SECONDS)


def end(task_id: uuid.UUID | str) -> None:
    """Let the working memory of a task that is over fade within the hour."""
    index = _index(str(task_id))
    try:
        pipeline = _redis().pipeline()
        for key in [*_redis().smembers(index), index]:
            pipeline.expire(key, KEPT_AFTER_END_SECONDS)
        pipeline.execute()
    except redis.RedisError as error:
        _lost(error)


def _newest(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Cut as Redis does, so that a rebuilt chain equals a cached one."""
    kept: list[dict[str, Any]] = []
    room = MAX_BYTES
    for entry in reversed(entries[-MAX_ENTRIES:]):
        line = _line(entry)
        room -= len(line)
        if room < 0 and kept:
            break
        kept.append(json.loads(line))
    return kept[::-1]


def _line(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(entry, separators=(",", ":")).encode()


def _index(task_id: str) -> str:
    return f"cs:wm:{task_id}:keys"


def _lost(error: redis.RedisError) -> None:
    logger.warning("working memory not in Redis, using the rows: %s", error)


def _redis() -> Any:  # its annotations mix the sync and the async client
    return _client(settings.REDIS_URL)


@cache
def _client(url: str) -> Any:
    return redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=1)
