"""Judges a run: by the invariants, by what people were told, by git's own word and by the model's."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from django.db import connection

from countersign import invariants
from tests.chaos.world import merged_approvals

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from projects.invariants import Check
    from tests.chaos.play import Play
    from tests.chaos.world import World

# Turns that are stored; attempts that did not finish, each of which may have lost one answer; and
# turns whose conversation may be the same again: of attempts that began anew, of later proposals.
_TURNS = """
SELECT task.id::text, coalesce(sum(attempt.turns - coalesce(earlier.turns, 0)), 0),
       count(attempt.id) FILTER (WHERE attempt.state <> 'finished'),
       coalesce(sum(attempt.turns) FILTER (
           WHERE step.kind = 'assemble' OR (attempt.number > 1 AND attempt.resumes_id IS NULL)), 0)
FROM agents_task task
LEFT JOIN agents_step step ON step.task_id = task.id
LEFT JOIN agents_attempt attempt ON attempt.step_id = step.id
LEFT JOIN agents_attempt earlier ON earlier.id = attempt.resumes_id
WHERE task.id = ANY(%s) GROUP BY task.id
"""


def judge(world: World, play: Play, asked: dict[str, dict[str, int]], *, rested: bool) -> list[str]:
    """Return every violation in one sentence each; none is what is wanted."""
    return [
        *_invariants(),
        *_lost(play, rested=rested),
        *play.people.faults,
        *_decisions(play),
        *_merges(world),
        *_calls(world),
        *_grants(world),
        *_undone(play),
        *_held(play),
        *_turns(play, asked),
    ]


# These read everything there is; once, at the end, is enough.
_ONCE = frozenset({"secrets", "shown-whole", "audit-chain"})


def at_the_end() -> list[str]:
    """Return what breaks any invariant at all when everything is over."""
    return list(_broken(invariants.checks()))


def _invariants() -> Iterator[str]:
    yield from _broken([check for check in invariants.checks() if check.name not in _ONCE])


def _broken(checks: Sequence[Check]) -> Iterator[str]:
    for result in invariants.verify(checks):
        if result.fault:
            yield f"{result.check.name}: {result.fault}"
        for offence in result.found.shown:
            yield f"{result.check.name}: {offence.table} {offence.pk} {offence.said}"


def _lost(play: Play, *, rested: bool) -> Iterator[str]:
    for story in play.stories:
        if not story.id:
            continue
        if story.id not in play.states:
            yield f"story {story.number}: accepted as {story.id}, and there is no such task"
        elif not rested:
            yield f"story {story.number} ({story.kind}): came to no end, {_where(story.id)}"


def _where(task: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT state FROM agents_task WHERE id = %s AND state NOT IN"
            " ('done', 'cancelled', 'rejected', 'failed')",
            [task],
        )
        row = cursor.fetchone()
        cursor.execute(
            "SELECT key, state, attempt, reason FROM agents_step WHERE task_id = %s", [task]
        )
        return f"{row[0]}: {cursor.fetchall()}" if row else "or has by now"


def _decisions(play: Play) -> Iterator[str]:
    for (approval, who), times in play.people.signed.items():
        if times > 1:
            yield f"approval {approval}: {times} signatures of {who} were accepted"


def _merges(world: World) -> Iterator[str]:
    """Compare git's own log with what is said to be done, without any code of ours."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT project.slug, approval.id::text FROM approvals_effect effect"
            " JOIN approvals_approval approval ON approval.id = effect.approval_id"
            " JOIN projects_project project ON project.id = approval.project_id"
            " WHERE effect.kind = 'git.merge' AND effect.state = 'done'"
        )
        done: Counter[tuple[str, str]] = Counter(cursor.fetchall())
    landed = Counter(
        (slug, approval)
        for slug, bare in world.repositories.items()
        for approval in merged_approvals(bare)
    )
    for where in done.keys() | landed.keys():
        if (done[where], landed[where]) != (1, 1):
            yield f"merge {where}: done {done[where]} times, on main {landed[where]} times"


# Calls of tools, with whether somebody was asked about one whose end is not known.
_CALLS = """
SELECT approval.id::text, approval.state, EXISTS (
    SELECT FROM agents_escalation asked WHERE asked.step_id = approval.step_id
    AND asked.rule = 'unknown_tool_call' AND asked.evidence->'calls' ? approval.call_id::text)
FROM approvals_callapproval approval
"""
_LANDED = {"done": {1}, "unknown": {0, 1}, "calling": {0, 1}}  # how often, by state; others never


def _calls(world: World) -> Iterator[str]:
    """Compare what the tool server saw with what is said to be called."""
    seen = Counter(key for _, key in world.shop.calls)
    with connection.cursor() as cursor:
        cursor.execute(_CALLS)
        rows = {row[0]: row[1:] for row in cursor.fetchall()}
    for key in seen.keys() - rows.keys():
        yield f"call {key}: the tool was called, and there is no such call"
    for key, (state, asked) in rows.items():
        if seen[key] not in _LANDED.get(state, {0}):
            yield f"call {key}: it is {state}, and the tool was called {seen[key]} times"
        if state == "unknown" and not asked:
            yield f"call {key}: whether it landed is not known, and nobody was asked"


# What a person allowed, and what a standing grant did: uses, as counted and as rows.
_ALLOWED = """
SELECT approval_id::text FROM approvals_callsignature WHERE verdict = 'allow'
UNION SELECT approval_id::text FROM approvals_standinguse
"""
_USES = """
SELECT kept.id::text, kept.max_hits, kept.hits, array_remove(array_agg(one.approval_id::text), NULL)
FROM approvals_standinggrant kept LEFT JOIN approvals_standinguse one ON one.grant_id = kept.id
GROUP BY kept.id
"""


def _grants(world: World) -> Iterator[str]:
    """Compare what the tool server saw with the uses of standing grants that were counted."""
    seen = Counter(key for _, key in world.shop.calls)
    with connection.cursor() as cursor:
        cursor.execute(_ALLOWED)
        allowed = {key for (key,) in cursor.fetchall()}
        cursor.execute(_USES)
        grants = cursor.fetchall()
    for key in seen.keys() - allowed:
        yield f"call {key}: nobody allowed it, and no use of a standing grant was counted"
    for grant, most, hits, uses in grants:
        sent = sum(seen[key] for key in uses)
        if sent > most or len(uses) != hits or hits > most:
            yield f"grant {grant}: {most} uses allowed, {hits} counted, {len(uses)} kept, {sent} sent"


# The requests for the calls of a task: those that were undone, all, and their nonces.
_ASKED = """
SELECT task_id::text, count(*) FILTER (WHERE state = 'withdrawn'), count(*), count(DISTINCT nonce)
FROM approvals_callapproval WHERE task_id = ANY(%s) GROUP BY task_id
"""


def _undone(play: Play) -> Iterator[str]:
    """Each permission that people were told is undone was, and was asked for anew just as often."""
    told = {story.id: story for story in play.stories if story.kind == "undo" and story.id}
    with connection.cursor() as cursor:
        cursor.execute(_ASKED, [list(told)])
        rows = {task: counts for task, *counts in cursor.fetchall()}
    for task, story in told.items():
        undone, asked, nonces = rows.get(task, (0, 0, 0))
        if undone < story.undone or asked != nonces or (asked and asked != undone + 1):
            yield f"story {story.number}: {undone} undone of {asked} requests, told: {story.undone}"


# Of each person: how often they signed themselves, and for how many that landed their signature counts.
_SIGNED = """
SELECT task.id::text, signer.username, count(*) FILTER (WHERE signature.carried_from_id IS NULL),
       count(*) FILTER (WHERE EXISTS (
           SELECT FROM approvals_effect effect
           WHERE effect.approval_id = approval.id AND effect.state = 'done'))
FROM approvals_signature signature
JOIN approvals_approval approval ON approval.id = signature.approval_id
JOIN agents_task task ON task.id = approval.task_id
JOIN projects_user signer ON signer.id = signature.signer_id
WHERE task.id = ANY(%s) GROUP BY task.id, signer.username
"""


def _held(play: Play) -> Iterator[str]:
    """Each of two signed once, however often main moved, and what landed carries both."""
    told = {story.id: story for story in play.stories if story.kind == "held" and story.id}
    with connection.cursor() as cursor:
        cursor.execute(_SIGNED, [list(told)])
        rows = {(task, who): counts for task, who, *counts in cursor.fetchall()}
    for task, story in told.items():
        done = play.states.get(task) == "done"
        for who in ("dana", "ravi"):
            given, landed = rows.get((task, who), (0, 0))
            if given > 1 or (done and (given, landed) != (1, 1)):
                yield f"story {story.number}: {who} signed {given} times, {landed} landed, done: {done}"


def _turns(play: Play, asked: dict[str, dict[str, int]]) -> Iterator[str]:
    with connection.cursor() as cursor:
        cursor.execute(_TURNS, [[story.id for story in play.stories if story.id]])
        rows: dict[str, Any] = {row[0]: row[1:] for row in cursor.fetchall()}
    for story in play.stories:
        if story.id not in rows:
            continue
        stored, ended, anew = rows[story.id]
        counts = dict(asked.get(str(story.number), {}))
        spoilt = counts.pop("spoilt", 0)
        total = sum(counts.values())
        if total - stored > ended + spoilt:
            yield f"story {story.number}: the model was asked {total} times, {stored} are stored"
        if stored > len(counts) + anew:
            yield f"story {story.number}: {stored} turns are stored, {len(counts)} are different"
