"""Limits, projects, holds, sandboxes and granted tools: what no step may go beyond."""

from __future__ import annotations

from projects.invariants import Check, Found, sql

HOLD_SECONDS = 5  # within so many seconds a hold has stopped everything it covers

# Parallel steps are let go on by one look at the meters: each may end what it had begun.
_BUDGET = """
SELECT 'agents.task', task.id, format('used %%s of %%s %%s, more than one step over', spent.used, spent.most, spent.unit)
FROM agents_task task
CROSS JOIN LATERAL (
    SELECT max(attempt.input_tokens + attempt.output_tokens) AS tokens, max(attempt.usd) AS usd
    FROM agents_attempt attempt JOIN agents_step step ON step.id = attempt.step_id
    WHERE step.task_id = task.id
) biggest
CROSS JOIN LATERAL (VALUES
    ('tokens', task.input_tokens + task.output_tokens, (task.limits ->> 'tokens')::numeric, biggest.tokens),
    ('USD', task.usd, (task.limits ->> 'usd')::numeric, biggest.usd)
) spent (unit, used, most, one_step)
WHERE spent.used > spent.most + coalesce(spent.one_step, 0)
ORDER BY task.id
"""
_TURNS = """
SELECT 'agents.attempt', attempt.id,
       format('has %%s turns; its step may take %%s', attempt.turns, version.max_turns + step.extra_turns)
FROM agents_attempt attempt
JOIN agents_step step ON step.id = attempt.step_id
JOIN agents_agentversion version ON version.id = step.version_id
WHERE attempt.turns > version.max_turns + step.extra_turns + 1
ORDER BY attempt.id
"""
_METERS = """
SELECT 'agents.task', task.id,
       format('counts %%s tokens and %%s USD; its attempts used %%s and %%s',
              task.input_tokens + task.output_tokens, task.usd, coalesce(spent.tokens, 0), coalesce(spent.usd, 0))
FROM agents_task task
LEFT JOIN (
    SELECT step.task_id, sum(attempt.input_tokens + attempt.output_tokens) AS tokens, sum(attempt.usd) AS usd
    FROM agents_attempt attempt JOIN agents_step step ON step.id = attempt.step_id GROUP BY step.task_id
) spent ON spent.task_id = task.id
WHERE (task.input_tokens + task.output_tokens, task.usd) <> (coalesce(spent.tokens, 0), coalesce(spent.usd, 0))
ORDER BY task.id
"""
_RESERVED = """
SELECT 'agents.attempt', id, format('is %%s and still reserves %%s tokens and %%s USD', state, reserved_tokens, reserved_usd)
FROM agents_attempt WHERE state <> 'running' AND (reserved_tokens > 0 OR reserved_usd > 0)
ORDER BY id
"""
# Every pair of rows that must belong together: (what is named, the rows, what must be equal).
_TOGETHER = (
    (
        ("agents.step", "step.id", "belongs to another project than its task"),
        "agents_step step JOIN agents_task task ON task.id = step.task_id",
        "step.project_id <> task.project_id",
    ),
    (
        ("agents.step", "edge.step_id", "needs a step of another task"),
        "agents_stepdependency edge JOIN agents_step step ON step.id = edge.step_id JOIN agents_step need ON need.id = edge.needs_id",
        "step.task_id <> need.task_id",
    ),
    (
        ("agents.event", "event.id", "names a step of another task"),
        "agents_event event JOIN agents_step step ON step.id = event.step_id",
        "event.task_id <> step.task_id",
    ),
    (
        ("agents.escalation", "asked.id", "names a step of another task"),
        "agents_escalation asked JOIN agents_step step ON step.id = asked.step_id",
        "asked.task_id <> step.task_id",
    ),
    (
        ("agents.attempt", "attempt.id", "goes on from an attempt of another step"),
        "agents_attempt attempt JOIN agents_attempt earlier ON earlier.id = attempt.resumes_id",
        "attempt.step_id <> earlier.step_id",
    ),
    (
        ("agents.delegation", "asked.id", "joins steps of different tasks"),
        "agents_delegation asked JOIN agents_step asker ON asker.id = asked.asker_id JOIN agents_step answerer ON answerer.id = asked.answerer_id",
        "(asked.task_id, asked.task_id) <> (asker.task_id, answerer.task_id)",
    ),
    (
        ("agents.hunk", "hunk.id", "was written by a step of another task"),
        "agents_hunk hunk JOIN agents_filechange file ON file.id = hunk.file_id JOIN agents_proposal proposal ON proposal.id = file.proposal_id JOIN agents_step step ON step.id = hunk.author_step_id",
        "step.task_id <> proposal.task_id",
    ),
    (
        ("agents.claim", "claim.id", "was made by a step of another task"),
        "agents_claim claim JOIN agents_proposal proposal ON proposal.id = claim.proposal_id JOIN agents_step step ON step.id = claim.step_id",
        "step.task_id <> proposal.task_id",
    ),
    (
        ("memory.memory", "memory.id", "was recalled for a task of another project"),
        "memory_memoryuse used JOIN memory_memory memory ON memory.id = used.memory_id JOIN agents_task task ON task.id = used.task",
        "memory.project_id <> task.project_id",
    ),
    (
        ("memory.memory", "memory.id", "is private, and was recalled for a task of somebody else"),
        "memory_memoryuse used JOIN memory_memory memory ON memory.id = used.memory_id JOIN agents_task task ON task.id = used.task",
        "memory.owner_id <> task.requester_id",
    ),
)
_HELD = """
SELECT 'agents.step', step.id, format('was taken at %%s, under a hold placed at %%s', attempt.started_at, hold.placed_at)
FROM agents_step step
JOIN agents_attempt attempt ON attempt.step_id = step.id AND attempt.number = step.attempt
JOIN agents_hold hold ON hold.lifted_at IS NULL AND (hold.scope = 'everything' OR hold.task_id = step.task_id OR hold.agent_id = step.agent_id
    OR hold.project_id = step.project_id)
WHERE step.state = 'leased' AND attempt.started_at > hold.placed_at + %(grace)s * interval '1 second'
UNION ALL
SELECT 'agents.step', step.id, format('still runs under a hold placed at %%s', hold.placed_at)
FROM agents_step step JOIN agents_hold hold ON hold.lifted_at IS NULL AND (hold.scope = 'everything' OR hold.task_id = step.task_id OR hold.agent_id = step.agent_id
    OR hold.project_id = step.project_id)
WHERE step.state = 'leased' AND statement_timestamp() > hold.placed_at + 60 * interval '1 second'
"""
# A project may have forbidden since what it allowed then; the audit log would know.
_SANDBOX = """
SELECT ran.model, ran.id, CASE WHEN ran.sandbox = '' THEN 'ran repository code outside any sandbox'
       ELSE format('ran repository code under %%s, which its project does not allow', ran.sandbox) END
FROM (
    SELECT 'agents.toolcall' AS model, call.id, call.sandbox, step.project_id
    FROM agents_toolcall call JOIN agents_attempt attempt ON attempt.id = call.attempt_id
    JOIN agents_step step ON step.id = attempt.step_id WHERE call.sandbox <> ''
    UNION ALL
    SELECT 'agents.proposal', proposal.id, coalesce(proposal.checks ->> 'sandbox', ''), task.project_id
    FROM agents_proposal proposal JOIN agents_task task ON task.id = proposal.task_id
    WHERE proposal.checks -> 'ran' = 'true'
) ran JOIN projects_project project ON project.id = ran.project_id
WHERE ran.sandbox NOT IN ('bubblewrap', 'rlimits')
   OR (ran.sandbox = 'rlimits' AND NOT project.allow_rlimits_only AND NOT EXISTS (SELECT FROM projects_auditentry entry WHERE entry.object_type = 'project'
    AND entry.object_id = project.id::text AND entry.detail ? 'allow_rlimits_only'))
ORDER BY ran.id
"""
# This version starts no stdio server, so its allow-list is empty.
_STDIO = """
SELECT 'agents.toolserver', id, format('may be started as a command: %%s', target)
FROM agents_toolserver WHERE transport = 'stdio' AND enabled ORDER BY slug
"""


def _strangers() -> Found:
    parts = [
        f"SELECT '{table}' AS model, {key}::text AS id, '{said}' AS said FROM {rows} WHERE {differ}"  # noqa: S608  # ours
        for (table, key, said), rows, differ in _TOGETHER
    ]
    return sql(" UNION ALL ".join(parts))


CHECKS = (
    Check(
        name="budget",
        sentence="No task used more than its limits and one step.",
        find=lambda: sql(_BUDGET),
    ),
    Check(
        name="turns",
        sentence="No attempt took more turns than its agent has and a person granted, and one.",
        find=lambda: sql(_TURNS),
    ),
    Check(
        name="meters",
        sentence="What a task counts is what its attempts used: no crash loses or doubles a call.",
        find=lambda: sql(_METERS),
    ),
    Check(
        name="reserved",
        sentence="Only a running attempt reserves tokens or money.",
        find=lambda: sql(_RESERVED),
    ),
    Check(
        name="one-project",
        sentence="Rows of one task belong together and to one project; so do its memories.",
        find=_strangers,
    ),
    Check(
        name="holds",
        sentence="Nothing a hold covers was begun after it.",
        find=lambda: sql(_HELD, {"grace": HOLD_SECONDS}),
    ),
    Check(
        name="sandbox",
        sentence="Repository code ran only in a sandbox, or under limits where its project says so.",
        find=lambda: sql(_SANDBOX),
    ),
    Check(
        name="stdio",
        sentence="No tool server is started as a command that is not on the allow-list.",
        find=lambda: sql(_STDIO),
    ),
)
