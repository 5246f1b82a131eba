"""Scores the memories of a scope against a query: exact cosine and BM25 in one statement."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from django.core.exceptions import EmptyResultSet
from pgvector import HalfVector

from memory.embedder import current
from memory.models import Memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet

WEIGHT_COSINE = 0.5
WEIGHT_BM25 = 0.5
WEIGHT_MATCH = 0.6
ARM = 100  # best of each arm that are fused
# A memory fits from here on. On unrelated sentences the fit lies around 0 with a deviation of
# about 0.7; the figure is checked with realistic requests in tests/integration/test_memory_recall.
FITS = 1.5
# How unrelated texts score: mean and deviation of the cosine of WordLlama, and of the number of
# rare words they share. Small scopes lean on these, large ones on what they show themselves.
_COSINE = (0.04, 0.09)
_WORDS = (0.1, 0.5)
_LEAN = 20  # as many imagined unrelated memories
_BACKGROUND = 100  # imagined memories without the word, so that a small scope knows rare words

# Stems that every request has; they say nothing about what it is about.
_COMMON_TEXT = (
    "add also ani ask befor build bug case chang check come content creat current done e.g everi "
    "file find fix follow full get give go help if implement import improv includ input instead keep "
    "let like line list look make mani may mention must name need never new now number one onli open "
    "part pleas project put request run say search section see set show sinc so step sure take task tell "
    "text thing time two updat use want way well work would write"
)
_COMMON = _COMMON_TEXT.split()

_SQL = """
WITH scope AS MATERIALIZED (
    SELECT id, search, length(search) AS words, paths <> '{{}}' AS has_paths, pinned
    FROM memory_memory WHERE id IN ({scope})
), size AS (
    SELECT count(*)::float8 AS rows, greatest(avg(words), 1)::float8 AS words FROM scope
), asked AS MATERIALIZED (
    SELECT lexeme FROM unnest(tsvector_to_array(to_tsvector('english', %s))) AS lexeme
    WHERE lexeme <> ALL(%s)
), hits AS MATERIALIZED (
    SELECT scope.id, scope.words, term.lexeme, cardinality(term.positions) AS tf
    FROM scope CROSS JOIN LATERAL unnest(scope.search) AS term JOIN asked USING (lexeme)
), spread AS (
    SELECT lexeme, count(*) AS df FROM hits GROUP BY lexeme
), lexical AS (
    SELECT hits.id, sum(
        ln(1 + (size.rows + {background} - df + .5) / (df + .5)) / ln(1 + (size.rows + {background} - .5) / 1.5)
        * tf * 2.2 / (tf + 1.2 * (.25 + .75 * hits.words / size.words))
    ) AS bm25
    FROM hits JOIN spread USING (lexeme) CROSS JOIN size GROUP BY hits.id
), scored AS (
    SELECT scope.id, scope.has_paths, scope.pinned, coalesce(lexical.bm25, 0)::float8 AS bm25,
        coalesce(nullif(1 - (vec.vector <=> %s::halfvec), 'NaN'), 0)::float8 AS cosine
    FROM scope LEFT JOIN lexical USING (id)
    LEFT JOIN memory_memoryembedding AS vec ON vec.memory_id = scope.id AND vec.model_id = %s
), chosen AS (
    (SELECT id FROM scored WHERE pinned ORDER BY id DESC LIMIT {arm})
    UNION (SELECT id FROM scored WHERE has_paths ORDER BY id DESC LIMIT {arm})
    UNION (SELECT id FROM scored ORDER BY cosine DESC, id LIMIT {arm})
    UNION (SELECT id FROM scored WHERE bm25 > 0 ORDER BY bm25 DESC, id LIMIT {arm})
)
SELECT {columns}, scored.cosine AS cosine, scored.bm25 AS bm25,
    (SELECT count(*) FROM asked) AS asked
FROM chosen JOIN scored USING (id) JOIN memory_memory AS memory USING (id)
"""
_COLUMNS = ", ".join(
    f"memory.{field.column}" for field in Memory._meta.concrete_fields if field.name != "search"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A candidate with its score, whether it fits at all, and why."""

    memory: Memory
    score: float
    fits: bool
    parts: dict[str, Any]


def rank(scope: QuerySet[Memory], query: str, *, paths: Sequence[str] = ()) -> list[Ranked]:
    """Return the candidates of the scope, pinned ones first, then by score.

    `scope` carries every filter; nothing outside it is read. One SQL statement.
    """
    rows = _candidates(scope, query)
    cosines = _Scale([row.cosine for row in rows], _COSINE)
    words = _Scale([row.bm25 for row in rows], _shared_by_chance(rows))
    ranked = [_scored(row, cosines, words, query, paths) for row in rows]
    return sorted(ranked, key=lambda each: (-each.memory.pinned, -each.score, each.memory.pk))


def _candidates(scope: QuerySet[Memory], query: str) -> list[Any]:
    try:
        ids, params = scope.order_by().values("pk").query.sql_with_params()
    except EmptyResultSet:  # the scope is provably empty, e.g. a stranger's
        return []
    embedder = current()
    sql = _SQL.format(scope=ids, background=_BACKGROUND, arm=ARM, columns=_COLUMNS)
    vector = HalfVector(embedder.embed([query])[0]).to_text()
    # The parser takes billing/invoice.py for one word; people and lessons also mean its parts.
    spread = f"{query} {re.sub(r'[/_.:-]+', ' ', query)}"
    given = [*params, spread, _COMMON, vector, embedder.model_id]
    return list(Memory.objects.raw(sql, given))


def _shared_by_chance(rows: list[Any]) -> tuple[float, float]:
    asked = rows[0].asked if rows else 0
    mean, deviation = _WORDS
    return mean + 0.01 * asked, deviation + 0.005 * asked


class _Scale:
    """Turns raw scores into z-scores; few rows lean on how unrelated texts score."""

    def __init__(self, values: list[float], unrelated: tuple[float, float]) -> None:
        self._unrelated = unrelated
        mean, deviation = unrelated
        count = len(values) + _LEAN
        self._mean = (sum(values) + _LEAN * mean) / count
        spread = sum((value - self._mean) ** 2 for value in values)
        spread += _LEAN * (deviation**2 + (mean - self._mean) ** 2)
        self._deviation = math.sqrt(spread / count)

    def z(self, value: float) -> float:
        return (value - self._mean) / self._deviation

    def surprise(self, value: float) -> float:
        """Deviations above unrelated text, whatever else is in the scope."""
        mean, deviation = self._unrelated
        return (value - mean) / deviation


def _scored(row: Any, cosines: _Scale, words: _Scale, query: str, paths: Sequence[str]) -> Ranked:
    on_path = any(_meets(glob, path) for glob in row.paths for path in paths)
    match = float(on_path or _names_subject(row.subject, query, paths))
    score = WEIGHT_COSINE * cosines.z(row.cosine) + WEIGHT_BM25 * words.z(row.bm25)
    fit = WEIGHT_COSINE * cosines.surprise(row.cosine) + WEIGHT_BM25 * words.surprise(row.bm25)
    parts = {
        "cosine": round(row.cosine, 4),
        "bm25": round(row.bm25, 4),
        "z_cosine": round(cosines.z(row.cosine), 3),
        "z_bm25": round(words.z(row.bm25), 3),
        "match": match,
        "fit": round(fit + WEIGHT_MATCH * match, 3),
        "pinned": row.pinned,
    }
    return Ranked(
        memory=row,
        score=round(score + WEIGHT_MATCH * match, 4),
        fits=row.pinned or on_path or fit + WEIGHT_MATCH * match >= FITS,
        parts=parts,
    )


def _meets(glob: str, path: str) -> bool:
    # A plan may name globs too: docs/** of a step meets docs/rounding.md of a memory.
    return fnmatchcase(path, glob) or fnmatchcase(glob, path)


def _names_subject(subject: str, query: str, paths: Sequence[str]) -> bool:
    if not subject:
        return False
    named = rf"(?<!\w){re.escape(subject.casefold())}(?!\w)"
    return any(re.search(named, text.casefold()) for text in (query, *paths))
