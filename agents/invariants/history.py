"""The event log has no gap, and tells the same story as the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.lifecycle import STEP_MOVES, TASK_MOVES, StepState, TaskState
from projects.invariants import Check, Found, sql

if TYPE_CHECKING:
    from collections.abc import Mapping

_SEQUENCE = """
SELECT 'agents.task', task.id,
       format('has %%s events numbered %%s to %%s, and counts %%s',
              coalesce(log.rows, 0), log.first, log.last, task.last_seq)
FROM agents_task task LEFT JOIN (
    SELECT task_id, count(*) AS rows, count(DISTINCT seq) AS numbers, min(seq) AS first, max(seq) AS last
    FROM agents_event GROUP BY task_id
) log ON log.task_id = task.id
WHERE task.last_seq <> coalesce(log.rows, 0)
   OR (log.rows > 0 AND (log.first, log.last, log.numbers) <> (1, task.last_seq, log.rows))
ORDER BY task.id
"""

# The states a row went through, as its events tell them: where it came from must be where the
# event before left it, and the last one must be what is stored.
_STORY = """
WITH moves AS (
    SELECT event.{key} AS row_id, event.seq, event.data ->> 'from' AS came, event.data ->> 'state' AS went,
           lag(event.data ->> 'state') OVER story AS before,
           row_number() OVER (PARTITION BY event.{key} ORDER BY event.seq DESC) = 1 AS newest
    FROM agents_event event
    WHERE event.step_id IS {of_step} NULL AND event.data ->> 'from' = ANY(%(states)s)
      AND event.data ->> 'state' = ANY(%(states)s)
    WINDOW story AS (PARTITION BY event.{key} ORDER BY event.seq)
)
"""
_FOLD = """
SELECT 'agents.{table}', row_id, format('event %%s moves it from %%s, but it was %%s', seq, came, before)
FROM moves WHERE (before IS NULL AND came <> ALL(%(first)s)) OR came <> before
UNION ALL
SELECT 'agents.{table}', stored.id,
       format('is %%s, but its events end at %%s', stored.state, coalesce(moves.went, 'its beginning'))
FROM agents_{table} stored LEFT JOIN moves ON moves.row_id = stored.id AND moves.newest
WHERE stored.state <> moves.went OR (moves.row_id IS NULL AND stored.state <> ALL(%(first)s))
"""
_ILLEGAL = """
SELECT 'agents.{table}', row_id, format('event %%s moves it from %%s to %%s', seq, came, went)
FROM moves WHERE (came || '>' || went) <> ALL(%(legal)s) ORDER BY row_id
"""


def _fold(table: str, moves: Mapping[str, frozenset[str]], first: list[str]) -> Found:
    return _told(_FOLD, table, moves, first=first)


def _legal(table: str, moves: Mapping[str, frozenset[str]]) -> Found:
    legal = [f"{came}>{went}" for came, targets in moves.items() for went in targets]
    return _told(_ILLEGAL, table, moves, legal=legal)


def _told(
    question: str, table: str, moves: Mapping[str, frozenset[str]], **more: list[str]
) -> Found:
    of_step = table == "step"
    story = _STORY.format(key="step_id" if of_step else "task_id", of_step="NOT" if of_step else "")
    states = [str(state) for state in moves]
    return sql(story + question.format(table=table), {"states": states, **more})


CHECKS = (
    Check(
        name="event-sequence",
        sentence="The events of a task are numbered from 1 to its last, none missing, none twice.",
        find=lambda: sql(_SEQUENCE),
    ),
    Check(
        name="task-fold",
        sentence="The events of a task, read in order, end at the state that is stored.",
        find=lambda: _fold("task", TASK_MOVES, [TaskState.QUEUED]),
    ),
    Check(
        name="step-fold",
        sentence="The events of a step, read in order, end at the state that is stored.",
        find=lambda: _fold("step", STEP_MOVES, [StepState.WAITING, StepState.READY]),
    ),
    Check(
        name="task-moves",
        sentence="A task only ever made moves that its lifecycle allows.",
        find=lambda: _legal("task", TASK_MOVES),
    ),
    Check(
        name="step-moves",
        sentence="A step only ever made moves that its lifecycle allows.",
        find=lambda: _legal("step", STEP_MOVES),
    ),
)
