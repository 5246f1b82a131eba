"""Recall: which confirmed memories fit what an agent is about to do, and the receipts of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from memory.embedder import embed_missing, ensure_embeddings
from memory.lifecycle import MemoryState
from memory.models import Memory
from memory.ranking import Ranked, rank
from projects.exceptions import InvalidInput
from projects.prepared import Given, Prepared

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from projects.models import Project, User

MAX_MEMORIES = 8
MAX_TOKENS = 800
LONGEST_QUERY = 2_000  # characters a person may search for
_QUERY = 8_000  # characters of a step's brief that are looked at
_FRAME_TOKENS = 16  # id, date and quotation marks around a memory in a prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """A memory that fits, with its score, the score's parts and its estimated tokens."""

    memory: Memory
    score: float
    parts: dict[str, Any]
    tokens: int


def recall(
    project: Project,
    *,
    query: str,
    agent_slug: str,
    paths: Sequence[str] = (),
    limit: int = MAX_MEMORIES,
    tokens: int = MAX_TOKENS,
) -> list[Recalled]:
    """Return the active, human-approved memories of the project that fit, best first.

    Pinned ones come first whatever the query. Nothing is returned when nothing fits. Three SQL
    statements when no vector is missing, one where there is nothing to recall.
    """
    query = _plain(query)[:_QUERY]
    if not query.strip() or not remembers(project, agent_slug):
        return []  # to read the query for nothing takes ten times as long as to ask
    scope = _recallable(project, agent_slug)
    ensure_embeddings(project)
    ranked = rank(scope, query, paths=paths)
    return _within_budget(ranked, limit=limit, tokens=tokens)


def remembers(project: Project, agent_slug: str) -> bool:
    """Tell whether there is anything an agent could be reminded of in a project."""
    return project.memory_enabled and bool(
        _REMEMBERED(project=[project.pk], agents=["", agent_slug])
    )


_REMEMBERED: Prepared[Any] = Prepared(
    lambda: (
        _valid()
        .filter(project__any=Given("project"), agent_slug__any=Given("agents"))
        .values_list("pk")[:1]
    )
)


def search(
    user: User,
    query: str,
    *,
    project: Project | None = None,
    states: Sequence[str] = (MemoryState.ACTIVE,),
    limit: int = 20,
) -> list[Recalled]:
    """Return what a person finds among the memories they may see, best first.

    Raises InvalidInput for a query that is empty or too long.
    """
    words = _plain(query).strip()
    if not words or len(words) > LONGEST_QUERY:
        raise InvalidInput("query", f"Search for 1 to {LONGEST_QUERY} characters.")
    scope = (
        Memory.objects.visible_to(user).filter(state__in=states).exclude(state=MemoryState.ERASED)
    )
    if project is not None:
        scope = scope.filter(project=project)
    embed_missing(scope)
    ranked = [each for each in rank(scope, words) if each.fits or each.parts["bm25"] > 0]
    ranked.sort(key=lambda each: (-each.score, each.memory.pk))
    return [_recalled(each) for each in ranked[:limit]]


def record_uses(
    recalled: Sequence[Recalled],
    *,
    task: uuid.UUID,
    step: uuid.UUID,
    attempt: int,
    agent_slug: str,
) -> int:
    """Write the receipts of one attempt and count the uses; returns how many were new.

    Twice for the same attempt counts once. Locks the memories in the order of their ids.
    """
    uses = [
        {
            "memory_id": str(each.memory.pk),
            "rank": rank_,
            "score": each.score,
            "parts": each.parts,
            "shown_tokens": each.tokens,
        }
        for rank_, each in enumerate(recalled, start=1)
    ]
    if not uses:
        return 0
    with transaction.atomic():
        ids = [each.memory.pk for each in recalled]
        list(Memory.objects.filter(pk__in=ids).order_by("pk").select_for_update().values("pk"))
        with connection.cursor() as cursor:
            cursor.execute(_RECORD, [str(task), str(step), attempt, agent_slug, json.dumps(uses)])
            new = [row[0] for row in cursor.fetchall()]
        Memory.objects.filter(pk__in=new).update(used_count=F("used_count") + 1, last_used_at=Now())
    return len(new)


_RECORD = """
INSERT INTO memory_memoryuse
    (memory_id, task, step, attempt, agent_slug, rank, score, parts, shown_tokens)
SELECT given.memory_id, %s::uuid, %s::uuid, %s, %s, given.rank, given.score, given.parts,
    given.shown_tokens
FROM jsonb_to_recordset(%s::jsonb)
    AS given(memory_id uuid, rank int, score float, parts jsonb, shown_tokens int)
JOIN memory_memory AS memory ON memory.id = given.memory_id AND memory.state <> 'erased'
ON CONFLICT (memory_id, step, attempt) DO NOTHING RETURNING memory_id
"""


def count_tokens(text: str) -> int:
    """Estimate what a text costs in a prompt: four UTF-8 bytes a token, plus its frame."""
    return -(-len(text.encode()) // 4) + _FRAME_TOKENS


def _recallable(project: Project, agent_slug: str) -> Any:
    return _valid().filter(project=project, agent_slug__in=("", agent_slug))


def _valid() -> Any:
    return Memory.objects.filter(
        Q(valid_to=None) | Q(valid_to__gt=Now()),
        owner=None,
        state=MemoryState.ACTIVE,
        approved_by__isnull=False,
        approved_at__isnull=False,
        valid_from__lte=Now(),
    )


def _within_budget(ranked: list[Ranked], *, limit: int, tokens: int) -> list[Recalled]:
    chosen: list[Recalled] = []
    for each in ranked:
        found = _recalled(each)
        if not each.fits or found.tokens > tokens:
            continue
        if len(chosen) == limit:
            break
        chosen.append(found)
        tokens -= found.tokens
    return chosen


def _recalled(each: Ranked) -> Recalled:
    return Recalled(
        memory=each.memory,
        score=each.score,
        parts=each.parts,
        tokens=count_tokens(each.memory.content),
    )


def _plain(text: str) -> str:
    # Agents' and people's text may hold what PostgreSQL cannot store.
    return text.replace("\0", " ").encode("utf-8", "replace").decode()
