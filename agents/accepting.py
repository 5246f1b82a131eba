"""Writes requests that were asked: many in one statement, each exactly once, or says why not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from django.db import DataError, Error, IntegrityError, connection, transaction
from django.utils import timezone

from agents import quotas
from agents.events import Kind
from agents.lifecycle import StepKind, StepState, TaskState
from agents.models import AgentRole, Task
from projects import audit
from projects.exceptions import CountersignError
from projects.ids import uuid7_text

if TYPE_CHECKING:
    import uuid

    from agents.requests import Asked, Sender

logger = logging.getLogger(__name__)


class NotStorable(CountersignError):
    """The database cannot keep this request as it is. Nothing was submitted."""


class IdempotencyMismatch(CountersignError):
    """This Idempotency-Key was used for another request. Nothing was submitted; use a new key."""


class Outdated(CountersignError):
    """Your rights or the project's limits were changed just now. Nothing was submitted; send it again."""


class NoRouter(CountersignError):
    """No router agent is enabled, so nothing can be planned and nothing was submitted.
    Ask an admin to enable one."""


@dataclass(slots=True)  # frozen, it would take three times as long to make
class Accepted:
    """The task of a request, and whether this request made it."""

    id: str
    number: int
    created: bool


Outcome = Accepted | CountersignError | Error

# So many at once are a crowd: they get their first step from a worker (agents.arrivals). It is a third
# of what the database has to do for a task, and nobody waits for it before the commit. At 5,000
# a second most batches are of 10 to 40: where 16 were few, four of ten requests paid for a step.
CROWD = 4

# Rights are asked here, in the statement that writes, once for each sender: whoever lost one a moment
# ago writes nothing. A row is left out for one reason, which the last SELECT names: outdated facts, no
# router, a quota to be counted, else a key that is taken.
#
# json_to_recordset: the fastest way in that was measured (facts of the web tier), and three parameters
# whatever the number of rows. What is true or not is a column until the end: a join that filters
# would be taken for one of a single row, and the rows compared each with each. Numbers are given in
# the order of the requests; rows are written in the order of their keys, or two transactions with
# the same keys would wait for each other. Last comes the audit log, whose lock is held to the
# end: it waits for `written`, as what nobody reads would be written after all that is read.
_WRITE = f"""
WITH sender AS MATERIALIZED (
  SELECT sender.*, EXISTS (
      SELECT FROM projects_membership member
      JOIN projects_project project ON project.id = member.project_id
      JOIN projects_user person ON person.id = member.user_id
      WHERE member.project_id = sender.project AND member.user_id = sender.requester
      AND member.role = sender.role AND person.is_active
      AND project.archived_at IS NULL AND project.slug = sender.slug
      AND project.limits = sender.ceiling
    ) AND (sender.token IS NULL OR EXISTS (
      SELECT FROM projects_apitoken token WHERE token.id = sender.token
      AND 'tasks:write' = ANY(token.scopes)
      AND (token.project_id IS NULL OR token.project_id = sender.project)
      AND token.revoked_at IS NULL AND token.expires_at > statement_timestamp()
    )) AS fine,
    EXISTS (SELECT FROM projects_quota WHERE user_id = sender.requester)
    OR EXISTS (SELECT FROM projects_quota WHERE project_id = sender.project) AS counted
  FROM json_to_recordset(%(senders)s::json) AS sender (
    s int, project uuid, slug text, requester uuid, token uuid, role text, ceiling jsonb, name text,
    model text, frozen jsonb)
), router AS MATERIALIZED (
  SELECT version.id AS version, agent.id AS agent FROM agents_agentversion version
  JOIN agents_agent agent ON agent.id = version.agent_id
  WHERE version.published_at IS NOT NULL AND agent.enabled AND agent.role = '{AgentRole.ROUTER}'
  ORDER BY agent.slug, version.number DESC LIMIT 1
), given AS MATERIALIZED (
  SELECT row.*, sender.project, sender.requester,
    sender.name, sender.model, coalesce(row.own, sender.frozen) AS limits,
    fine AND (%(counted)s OR NOT counted) AND (%(prepared)s OR EXISTS (SELECT FROM router)) AS writable,
    fine, counted
  FROM (SELECT nextval('agents_task_number') AS number, row.* FROM json_to_recordset(%(rows)s::json) AS row (
    o int, s int, g int, id uuid, step uuid, request text, title text, context jsonb, agents text[],
    own jsonb, key text, digest text)) row
  JOIN sender USING (s)
), task AS (
  INSERT INTO agents_task (
    id, number, project_id, requester_id, request, title, context, requested_agents, state,
    state_before_human, reason, round, limits, model, base_commit, idempotency_key, request_digest,
    priority, last_seq, input_tokens, output_tokens, usd, model_calls, tool_calls)
  SELECT id, number, project, requester, request, title, coalesce(context, '{{}}'),
    coalesce(agents, '{{}}'), '{TaskState.QUEUED}', '', '', 1, limits, model, '', key, digest,
    0, 1, 0, 0, 0, 0, 0
  FROM given WHERE writable ORDER BY requester, key, o
  ON CONFLICT (requester_id, idempotency_key) WHERE NOT (idempotency_key = '') DO NOTHING
  RETURNING id
), step AS (
  INSERT INTO agents_step (
    id, task_id, project_id, depth, round, key, kind, agent_id, version_id, title, instructions,
    acceptance, files, feedback, state, waits, priority, attempt, lease_owner, extra_turns,
    extra_seconds, extra_tokens, base_commit, result_commit, reason, left_out)
  SELECT step, id, project, 0, 1, 'route', '{StepKind.ROUTE}', agent, version, 'Plan the work', '',
    '', '[]', '[]', '{StepState.READY}', 0, 0, 0, '', 0, 0, 0, '', '', '', false
  FROM given JOIN task USING (id), router WHERE NOT %(crowd)s RETURNING 1
), arrival AS (
  INSERT INTO agents_arrival (task_id) SELECT id FROM task WHERE %(crowd)s RETURNING 1
), event AS (
  INSERT INTO agents_event (task_id, seq, kind, data)
  SELECT id, 1, '{Kind.TASK_SUBMITTED}', jsonb_build_object(
    'state', '{TaskState.QUEUED}', 'title', title, 'requester', name, 'model', model)
  FROM given JOIN task USING (id) RETURNING 1
), written AS MATERIALIZED (
  SELECT (SELECT count(*) FROM step) + (SELECT count(*) FROM arrival) + (SELECT count(*) FROM event)
), act AS (
  SELECT g, array_agg(id::text ORDER BY o) AS ids FROM given JOIN task USING (id) GROUP BY g
), told AS (
  SELECT outline.*, ids[1] AS subject, CASE WHEN cardinality(ids) = 1 THEN '{{}}'
    ELSE '{{"and": ["' || array_to_string(ids[2:], '", "') || '"]}}' END AS more
  FROM act JOIN json_to_recordset(%(outlines)s::json) AS outline (
    g int, at text, actor uuid, label text, address text, project uuid, opening text) ON outline.g = act.g
), entered AS MATERIALIZED (
  SELECT count(*) FROM audit_append((SELECT json_agg(json_build_object(
    'at', at, 'actor', actor, 'label', label, 'address', address, 'project', project,
    'action', 'task.submitted', 'object_type', 'task', 'object_id', subject, 'detail', more::json,
    'facts', opening || '"task", "' || subject || '", ' || more || ']') ORDER BY g) FROM told, written))
)
SELECT task.id IS NOT NULL, number, NOT fine, NOT EXISTS (SELECT FROM router),
  counted AND NOT %(counted)s
FROM given LEFT JOIN task USING (id), entered ORDER BY o
"""  # noqa: S608  # of our own enums


def accept(asked: Sequence[Asked], *, prepared: bool = False) -> list[Outcome]:
    """Write what may be written, and its entry of the audit log; say in order what became of each.

    With `prepared` their work is done already: no quota keeps them out, and they need no router.
    Outside a transaction it commits by itself, and by parts where there are quotas; inside one it
    holds the lock of the audit log until the caller's end. Raises what says that the database is away
    only if nothing was written: later that is the outcome of those it befell.
    Twice with one key: the same task. A quota is counted under the lock of its row. Two transactions
    with one key: the later one waits for the end of the other.
    """
    outcomes = _singly(partial(_write, counted=prepared, prepared=prepared), asked)
    over = [place for place, outcome in enumerate(outcomes) if outcome is quotas.COUNTED]
    if over:
        _fill(outcomes, over, _rest(_within_quotas, [asked[place] for place in over]))
    return outcomes


_Writing = Callable[[Sequence["Asked"]], list[Outcome]]


def _singly(write: _Writing, asked: Sequence[Asked]) -> list[Outcome]:
    """Write all together; one that the database refuses to keep does not keep the others out."""
    try:
        # A statement by itself is a transaction; inside another it has to fail alone.
        with transaction.atomic() if connection.in_atomic_block else nullcontext():
            return write(asked)
    except (DataError, IntegrityError) as error:
        if len(asked) == 1:
            logger.warning("a request cannot be stored: %s", type(error).__name__, exc_info=error)
            return [NotStorable()]
    middle = len(asked) // 2
    return [*_singly(write, asked[:middle]), *_rest(write, asked[middle:])]


def _rest(write: _Writing, asked: Sequence[Asked]) -> list[Outcome]:
    """Write what is left when others are written: their outcome is not lost by an error here."""
    try:
        return _singly(write, asked)
    except Error as error:
        return [error] * len(asked)


@transaction.atomic
def _within_quotas(asked: Sequence[Asked]) -> list[Outcome]:
    """Give replays their task whatever the quota, then let in as many as there is room for."""
    outcomes = _replays(asked)
    new = [place for place, outcome in enumerate(outcomes) if isinstance(outcome, Outdated)]
    again = _twice(asked, new)
    first = [place for place in new if place not in again]
    _fill(outcomes, first, quotas.admit([asked[place].sender for place in first]))
    let_in = [place for place in first if outcomes[place] is quotas.ROOM]
    if let_in:
        _fill(outcomes, let_in, _write([asked[place] for place in let_in], counted=True))
    if again:
        # Their keys had no task before: they get the one made just now, or the same refusal.
        found = _replays([asked[place] for place in again])
        for (place, earlier), replay in zip(again.items(), found, strict=True):
            outcomes[place] = outcomes[earlier] if isinstance(replay, Outdated) else replay
    return outcomes


def _twice(asked: Sequence[Asked], places: list[int]) -> dict[int, int]:
    """Return the places of keys that came before in this batch, and where."""
    seen: dict[tuple[uuid.UUID, str], int] = {}
    again = {}
    for place in places:
        key = asked[place].sender.requester, asked[place].key
        if key[1] and key in seen:
            again[place] = seen[key]
        else:
            seen[key] = place
    return again


def _write(asked: Sequence[Asked], *, counted: bool, prepared: bool = False) -> list[Outcome]:
    crowd = len(asked) > CROWD
    how = {"crowd": crowd, "counted": counted, "prepared": prepared}
    with connection.cursor() as cursor:
        cursor.execute(_WRITE, {**_told(asked, crowd=crowd), **how})
        written = cursor.fetchall()
    outcomes = [_outcome(one, row) for one, row in zip(asked, written, strict=True)]
    taken = [place for place, outcome in enumerate(outcomes) if outcome is _TAKEN]
    if taken:
        _fill(outcomes, taken, _replays([asked[place] for place in taken]))
    return outcomes


def _told(asked: Sequence[Asked], *, crowd: bool) -> dict[str, str]:
    """Return the requests, their senders, and what the audit log says of them, as the statement
    takes them. One entry for what one person hands over in one project from one address: an entry
    each would halve the rate."""
    senders: dict[Sender, int] = {}
    groups: dict[tuple[Any, ...], int] = {}
    rows = []
    for place, one in enumerate(asked):
        sender = senders.setdefault(one.sender, len(senders))
        who = one.sender.project, one.sender.requester, one.sender.username, one.address
        group = groups.setdefault(who, len(groups))
        rows.append(
            _row(one, o=place, s=sender, g=group, **({} if crowd else {"step": uuid7_text()}))
        )
    return {
        "rows": _json(rows),
        "senders": _json([_sender(place, sender) for sender, place in senders.items()]),
        "outlines": _json([_outline(place, *who) for who, place in groups.items()]),
    }


_TAKEN = IdempotencyMismatch()


def _outcome(one: Asked, row: tuple[bool, int, bool, bool, bool | None]) -> Outcome:
    written, number, outdated, no_router, over = row
    if written:
        return Accepted(one.id, number, created=True)
    if outdated:
        return Outdated()
    if no_router:
        return NoRouter()
    return quotas.COUNTED if over else _TAKEN


def _sender(place: int, sender: Sender) -> dict[str, Any]:
    return {
        "s": place,
        "project": sender.project,
        "slug": sender.slug,
        "requester": sender.requester,
        "token": sender.token,
        "role": sender.role,
        "ceiling": sender.ceiling,
        "name": sender.name,
        "model": sender.model,
        "frozen": sender.frozen,
    }


def _outline(
    place: int, project: uuid.UUID, person: uuid.UUID, username: str, address: str | None
) -> dict[str, Any]:
    at, known = timezone.now(), audit.plain(address)
    opening = audit.outline(
        at=at, actor=username, project=project, address=known, action="task.submitted"
    )
    return {
        "g": place,
        "at": at.isoformat(),
        "actor": person,
        "label": username,
        "address": known,
        "project": project,
        "opening": opening,
    }


def _row(one: Asked, **more: Any) -> dict[str, Any]:
    """Return one request; what most have in common is left out, and filled in by the statement."""
    row = {
        "id": one.id,
        "request": one.request,
        "title": one.title,
        "key": one.key,
        "digest": one.digest,
        **more,
    }
    if one.context:
        row["context"] = one.context
    if one.agents:
        row["agents"] = one.agents
    if one.limits is not one.sender.frozen:
        row["own"] = one.limits
    return row


def _json(rows: list[dict[str, Any]]) -> str:
    return msgspec.json.encode(rows).decode()


def _replays(asked: Sequence[Asked]) -> list[Outcome]:
    """Return the task each key already has; Outdated where there is none."""
    keys = {one.key for one in asked} - {""}
    people = {one.sender.requester for one in asked}
    rows = Task.objects.filter(idempotency_key__in=keys, requester__in=people).exclude(
        idempotency_key=""
    )
    known = {
        (task.requester_id, task.idempotency_key): task
        for task in rows.only("requester", "idempotency_key", "request_digest", "number")
    }
    return [_replay(one, known.get((one.sender.requester, one.key))) for one in asked]


def _replay(one: Asked, known: Task | None) -> Outcome:
    if known is None:
        return Outdated()
    if known.request_digest != one.digest:
        return IdempotencyMismatch()
    return Accepted(str(known.pk), known.number, created=False)


def _fill(outcomes: list[Outcome], places: list[int], found: Sequence[Outcome]) -> None:
    for place, outcome in zip(places, found, strict=True):
        outcomes[place] = outcome
