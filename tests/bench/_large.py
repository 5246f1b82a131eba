"""Fills a fresh database at the size of years: a million tasks, ten million events, 200,000 approvals
that wait. Set-based, without indexes and foreign keys, which are made, and so checked, at the end.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psycopg

TASKS = 1_000_000
QUICK = TASKS // 50
_SQL = [Path(__file__).with_name(name) for name in ("_large.sql", "_large_calls.sql")]
_SESSION = (
    "SET maintenance_work_mem = '256MB'",
    "SET work_mem = '128MB'",
    "SET max_parallel_maintenance_workers = 1",
    "SET session_replication_role = replica",
)
# What runs beside each other, after people and tasks.
_LANES = (("events",), ("steps", "approvals", "calls", "rest"))
_EVENTS = "agents_event"
_FILLED = (
    *(f"agents_{name}" for name in ("task", "step", "attempt", "modelcall", "escalation")),
    *(f"agents_{name}" for name in ("proposal", "hold", "toolcall")),
    *(f"approvals_{name}" for name in ("approval", "listed", "signature", "effect")),
    *(f"approvals_{name}" for name in ("callapproval", "callsignature", "standinggrant")),
    *(f"notices_{name}" for name in ("notice", "notification", "delivery")),
    *("memory_memory", "projects_auditentry"),
)
_INDEXES = """
SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = %s
AND NOT EXISTS (SELECT FROM pg_constraint WHERE conname = indexname AND contype IN ('p', 'u'))
"""
_KEYS = """
SELECT conname, contype, pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid = %s::regclass AND contype = 'f'
"""


@dataclass(frozen=True, kw_only=True)
class Removed:
    """What was taken off a table for the time it is filled."""

    table: str
    indexes: tuple[str, ...]
    keys: tuple[str, ...]


def fill(url: str, *, tasks: int) -> None:
    """Fill the migrated and seeded database at `url`, whose login must own it; then vacuum."""
    parts = _parts()
    with _connected(url, tasks) as database:
        removed = [_strip(database, table) for table in (_EVENTS, *_FILLED)]
        for part in ("people", "tasks"):
            database.execute(parts[part])
        _index(database, next(each for each in removed if each.table == "agents_task"))
    with ThreadPoolExecutor(len(_LANES)) as pool:
        jobs = [pool.submit(_run, url, tasks, lane, removed) for lane in _LANES]
        for job in jobs:
            job.result()
    with _connected(url, tasks) as database:
        for each in removed:
            for key in each.keys:
                database.execute(key)
        database.execute(parts["clean"])
    with psycopg.connect(url, autocommit=True) as database:
        database.execute("VACUUM ANALYZE")


def _run(url: str, tasks: int, lane: tuple[str, ...], removed: list[Removed]) -> None:
    parts = _parts()
    with _connected(url, tasks) as database:
        for part in lane:
            database.execute(parts[part])
        for each in removed:
            if (each.table == _EVENTS) == ("events" in lane) and each.table != "agents_task":
                _index(database, each)


def _connected(url: str, tasks: int) -> psycopg.Connection[tuple[object, ...]]:
    database = psycopg.connect(url, autocommit=True)
    for statement in _SESSION:
        database.execute(statement)
    database.execute("SELECT set_config('bench.tasks', %s, false)", [str(tasks)])
    return database


def _strip(database: psycopg.Connection[tuple[object, ...]], table: str) -> Removed:
    indexes = database.execute(_INDEXES, [table]).fetchall()
    keys = database.execute(_KEYS, [table]).fetchall()
    for name, _, _ in keys:
        database.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
    for name, _ in indexes:
        database.execute(f'DROP INDEX "{name}"')
    return Removed(
        table=table,
        indexes=tuple(str(definition) for _, definition in indexes),
        keys=tuple(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {how}' for name, _, how in keys),
    )


def _index(database: psycopg.Connection[tuple[object, ...]], removed: Removed) -> None:
    for definition in removed.indexes:
        database.execute(definition)


def _parts() -> dict[str, str]:
    texts = (path.read_text(encoding="utf-8") for path in _SQL)
    pieces = [piece for text in texts for piece in text.split("-- part: ")[1:]]
    return {piece.partition("\n")[0].strip(): piece.partition("\n")[2] for piece in pieces}
