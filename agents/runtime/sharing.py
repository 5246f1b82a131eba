"""Which ready steps go next: fair between projects, by priority inside one, under every cap.

The slots of a claim are dealt one by one to the project that has the fewest steps in flight over
all workers, those just dealt included (max-min fairness); among equals the one whose next step has
the higher priority, then the one that waits longest. So a project with a thousand ready steps gets
what others leave, never their first. Inside a project: priority, then `available_at`, then id.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection

from agents.escalations import TASK_GOES_ON
from agents.holds import STEP_IS_HELD

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Sequence

# What may be claimed at all. `barred` are agents at their cap.
_ELIGIBLE = f"""
    step.state = 'ready' AND step.available_at <= statement_timestamp()
    AND step.agent_id <> ALL(%(barred)s)
    AND {TASK_GOES_ON}
    AND NOT {STEP_IS_HELD}
"""
_ORDER = "ORDER BY step.priority DESC, step.available_at, step.id"

_CAPPED = "SELECT id FROM agents_agent WHERE max_in_flight IS NOT NULL"

# The projects with ready steps are found by jumping along the index, one probe for each.
_STANDINGS = f"""
WITH RECURSIVE ready(project_id) AS (
    (SELECT project_id FROM agents_step WHERE state = 'ready' ORDER BY project_id LIMIT 1)
    UNION ALL
    SELECT (SELECT step.project_id FROM agents_step step
            WHERE step.state = 'ready' AND step.project_id > ready.project_id
            ORDER BY step.project_id LIMIT 1)
    FROM ready WHERE ready.project_id IS NOT NULL
), flying AS (
    SELECT project_id, count(*) AS steps FROM agents_step WHERE state = 'leased' GROUP BY project_id
)
SELECT ready.project_id, coalesce(flying.steps, 0), EXISTS ({_CAPPED})
FROM ready LEFT JOIN flying USING (project_id)
CROSS JOIN LATERAL (
    SELECT step.priority, step.available_at FROM agents_step step
    WHERE step.project_id = ready.project_id AND {_ELIGIBLE} {_ORDER} LIMIT 1
) next
WHERE ready.project_id <> ALL(%(exhausted)s) AND NOT EXISTS (
    SELECT FROM agents_hold hold WHERE hold.lifted_at IS NULL
    AND (hold.scope = 'everything' OR hold.project_id = ready.project_id))
ORDER BY 2, next.priority DESC, next.available_at, 1 LIMIT %(limit)s
"""  # noqa: S608  # made of our own constants

# Each project's share is locked where it is found, so two workers never wait for each other; what
# an agent's cap does not allow is let go again at the end of the transaction.
_TAKE = f"""
WITH share AS (
    SELECT * FROM unnest(%(projects)s::uuid[], %(slots)s::int[]) AS share(project_id, slots)
), picked AS MATERIALIZED (
    SELECT step.* FROM share CROSS JOIN LATERAL (
        SELECT step.id, step.project_id, step.agent_id, step.priority, step.available_at
        FROM agents_step step
        WHERE step.project_id = share.project_id AND {_ELIGIBLE} {_ORDER}
        LIMIT share.slots FOR NO KEY UPDATE OF step SKIP LOCKED
    ) step
), allowed AS (
    SELECT id FROM (
        SELECT id, agent_id, row_number() OVER (
            PARTITION BY agent_id ORDER BY priority DESC, available_at, id
        ) AS nth FROM picked
    ) ranked
    LEFT JOIN unnest(%(capped)s::uuid[], %(free)s::int[]) AS cap(agent_id, free) USING (agent_id)
    WHERE cap.free IS NULL OR nth <= cap.free
), taken AS (
    UPDATE agents_step step
    SET state = 'leased', attempt = attempt + 1, lease_owner = %(owner)s, reason = '',
        lease_until = statement_timestamp() + %(lease)s * interval '1 second',
        started_at = coalesce(started_at, statement_timestamp())
    FROM allowed WHERE step.id = allowed.id RETURNING step.id
)
SELECT picked.project_id, taken.id FROM picked LEFT JOIN taken USING (id)
"""  # noqa: S608  # made of our own constants
_CAP_LOCKS = 1_405  # the class of these advisory locks; the key is the agent
# An agent that another worker claims for at this moment is left to it: nobody waits here.
# A lock of its own kind and not the row's: this login may only read agents. OFFSET keeps the planner
# from locking agents that have no cap.
_LOCK_CAPPED = f"""
SELECT id FROM ({_CAPPED} OFFSET 0) capped
WHERE pg_try_advisory_xact_lock({_CAP_LOCKS}, hashtext(id::text))
"""  # noqa: S608  # made of our own constants
_FREE = """
SELECT agent.id, agent.max_in_flight - count(step.id) FROM agents_agent agent
LEFT JOIN agents_step step ON step.agent_id = agent.id AND step.state = 'leased'
WHERE agent.id = ANY(%s) GROUP BY agent.id
"""

Free = dict["uuid.UUID", int]  # agent: steps it may still begin


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A project with work to do."""

    project: uuid.UUID
    in_flight: int


def take(owner: str, *, limit: int) -> list[uuid.UUID]:
    """Lease up to `limit` steps to `owner` in the caller's transaction and return their ids.

    Locks the agents that have a cap, then the steps; waits for neither.
    """
    taken: list[uuid.UUID] = []
    exhausted: set[uuid.UUID] = set()
    while len(taken) < limit:
        left, free = limit - len(taken), Free()
        found, capped = _standings(free, exhausted, left)
        if capped:  # few set a cap: their agents are looked at only then
            free = _free()
            found, _ = _standings(free, exhausted, left)
        if not found:
            break
        shares = deal(found, left)
        picked = _take(owner, shares, free)
        taken += [step for _, step in picked if step is not None]
        for project, slots in shares.items():
            if sum(each == project for each, _ in picked) < slots:
                exhausted.add(project)
        if len(found) < left and exhausted.issuperset(shares):
            break  # every project there is was found, and has no more
    return taken


def deal(standings: Sequence[Standing], slots: int) -> dict[uuid.UUID, int]:
    """Deal slots one by one to the project with the fewest in flight; equals in their order."""
    dealt: dict[uuid.UUID, int] = {}
    line = [(each.in_flight, place) for place, each in enumerate(standings)]
    heapq.heapify(line)
    for _ in range(slots if line else 0):
        in_flight, place = line[0]
        project = standings[place].project
        dealt[project] = dealt.get(project, 0) + 1
        heapq.heapreplace(line, (in_flight + 1, place))
    return dealt


def _free() -> Free:
    """Lock every capped agent that nobody else claims for, and count what it may still begin.

    Counted in a statement after the lock: only then are the claims of others before it seen.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CAPPED)
        free: Free = {agent: 0 for (agent,) in cursor.fetchall()}
        cursor.execute(_LOCK_CAPPED)
        ours = [agent for (agent,) in cursor.fetchall()]
        cursor.execute(_FREE, [ours])
        return free | {agent: max(0, left) for agent, left in cursor.fetchall()}


def _standings(
    free: Free, exhausted: Collection[uuid.UUID], limit: int
) -> tuple[list[Standing], bool]:
    """Return the projects with work to do, and whether there is one while agents have a cap."""
    given: dict[str, Any] = {"barred": _barred(free), "exhausted": list(exhausted), "limit": limit}
    with connection.cursor() as cursor:
        cursor.execute(_STANDINGS, given)
        rows = cursor.fetchall()
    found = [Standing(project=project, in_flight=in_flight) for project, in_flight, _ in rows]
    return found, any(capped for *_, capped in rows)


def _take(
    owner: str, shares: dict[uuid.UUID, int], free: Free
) -> list[tuple[uuid.UUID, uuid.UUID | None]]:
    given: dict[str, Any] = {"projects": list(shares), "slots": list(shares.values())}
    given |= {"capped": list(free), "free": list(free.values()), "barred": _barred(free)}
    given |= {"owner": owner, "lease": settings.LEASE_SECONDS}
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, given)
        return list(cursor.fetchall())


def _barred(free: Free) -> list[uuid.UUID]:
    return [agent for agent, left in free.items() if left == 0]
