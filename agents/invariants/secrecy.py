"""No secret in what is kept, and nothing left on this machine by work that is over."""

from __future__ import annotations

import json
import time
import uuid
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection

from agents.lifecycle import StepState
from agents.models import Attempt, Event, Step, ToolCall
from agents.runtime.redaction import known_secrets
from agents.workspace.secrets import scan
from projects.invariants import Check, Found, Offence, collect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# The newest rows: a scan reads every character.
_EVENTS, _CONVERSATIONS, _CALLS = 10_000, 200, 2_000
_LOG_BYTES = 2 * 1024**2  # the end of each log
_SHORTEST = 16  # characters; a password such as "postgres" is a word of its own, too
_LEFT_SECONDS = 150  # what is younger may still be tidied away
_CHUNK = 200


def _secrets() -> Iterator[Offence]:
    """Look for our own secrets by their value, and for credentials of any kind in our events."""
    ours = [(name, value) for name, value in known_secrets() if len(value) >= _SHORTEST]
    for event in Event.objects.order_by("-id")[:_EVENTS].iterator(chunk_size=_CHUNK):
        text = json.dumps(event.data, ensure_ascii=False)
        kinds = [f"{found.kind} ({found.shown})" for found in scan(text)]
        yield from _inside("agents.event", event.pk, text, ours, kinds)
    attempts = Attempt.objects.exclude(checkpoint=None).order_by("-id")
    for attempt in attempts[:_CONVERSATIONS].iterator(chunk_size=10):
        text = json.dumps(attempt.checkpoint, ensure_ascii=False)
        yield from _inside("agents.attempt", attempt.pk, text, ours)
    for call in ToolCall.objects.order_by("-id")[:_CALLS].iterator(chunk_size=_CHUNK):
        text = call.result + json.dumps(call.arguments, ensure_ascii=False)
        yield from _inside("agents.toolcall", call.pk, text, ours)
    for log in sorted(Path(settings.DATA_DIR, "logs").glob("*.log")):
        yield from _inside("", log, _end_of(log), ours)


def _inside(
    table: str, pk: Any, text: str, ours: list[tuple[str, str]], kinds: Iterable[str] = ()
) -> Iterator[Offence]:
    if names := [*(name for name, value in ours if value in text), *kinds]:
        yield Offence(table=table, pk=str(pk), said=f"holds a secret: {', '.join(names)}")


def _end_of(log: Path) -> str:
    with log.open("rb") as handle:
        handle.seek(max(0, log.stat().st_size - _LOG_BYTES))
        return handle.read(_LOG_BYTES).decode(errors="replace")


def _left_folders() -> Iterator[Offence]:
    """Find workspaces of attempts that no longer hold their step, once there was time to tidy."""
    before = time.time() - _LEFT_SECONDS
    folders = Path(settings.DATA_DIR, "workspaces").glob("*/*")
    while batch := list(islice(folders, _CHUNK)):
        named = {path: key for path in batch if (key := _attempt_of(path))}
        steps = Step.objects.filter(pk__in=[step for step, _ in named.values()])
        held = set(steps.filter(state=StepState.LEASED).values_list("pk", "attempt"))
        for path, key in named.items():
            if key not in held and _changed_at(path) < before:
                yield Offence(table="", pk=str(path), said="belongs to an attempt that is over")


def _attempt_of(path: Path) -> tuple[uuid.UUID, int] | None:
    """Return the step and attempt a workspace is named after; others are not ours to judge."""
    step, _, rest = path.name.partition(".")
    try:
        return uuid.UUID(step), int(rest.partition(".")[0])
    except ValueError:
        return None


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # tidied away while we looked
        return time.time()


def _left_processes() -> Iterator[Offence]:
    """Find sandboxes whose worker is gone: they must die with it."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:  # it ended while we looked
            continue
        if Path(words[0].decode(errors="replace")).name == "bwrap" and parent == "1":
            yield Offence(
                table="", pk=f"process {folder.name}", said="is a sandbox nobody waits for"
            )


def _left_transactions() -> Iterator[Offence]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid, usename, state_change FROM pg_stat_activity "
            "WHERE datname = current_database() AND state LIKE 'idle in transaction%' "
            "AND state_change < clock_timestamp() - interval '60 seconds'"
        )
        for pid, login, since in cursor.fetchall():
            said = f"of {login} holds a transaction open since {since:%H:%M:%S}"
            yield Offence(table="", pk=f"connection {pid}", said=said)


def _left_over() -> Found:
    return collect((*_left_folders(), *_left_processes(), *_left_transactions()))


CHECKS = (
    Check(
        name="secrets",
        sentence="No event, conversation, tool call or log holds a secret.",
        find=lambda: collect(_secrets()),
    ),
    Check(
        name="left-over",
        sentence="No workspace, sandbox or transaction outlives the attempt it was made for.",
        find=_left_over,
    ),
)
