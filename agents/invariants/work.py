"""Nothing accepted is lost: steps, attempts, counters and questions to people fit together."""

from __future__ import annotations

from django.conf import settings

from projects.invariants import Check, Found, sql

QUIET_SECONDS = 120  # a task may do nothing for so long before it counts as stuck
_SPARE_SECONDS = 10  # over the lease, for the sweep itself

_STUCK = """
SELECT 'agents.task', task.id,
       format('is %%s, and nothing moves it: no step is ready or running, no question is open', task.state)
FROM agents_task task
WHERE task.state IN ('queued', 'planning', 'working', 'assembling')
  AND NOT EXISTS (SELECT FROM agents_step step
                  WHERE step.task_id = task.id AND step.state IN ('ready', 'leased'))
  AND NOT EXISTS (SELECT FROM agents_arrival arrival WHERE arrival.task_id = task.id)
  AND NOT EXISTS (SELECT FROM agents_escalation escalation
                  WHERE escalation.task_id = task.id AND escalation.state = 'open')
  AND NOT EXISTS (SELECT FROM agents_step step
                  JOIN agents_attempt attempt ON attempt.step_id = step.id
                  JOIN agents_toolcall call ON call.attempt_id = attempt.id
                  WHERE step.task_id = task.id AND step.state = 'waiting_human'
                    AND call.state = 'waiting')
  AND NOT EXISTS (SELECT FROM agents_event event
                  WHERE event.task_id = task.id AND event.seq = task.last_seq
                    AND event.at > statement_timestamp() - %(quiet)s * interval '1 second')
ORDER BY task.id
"""
_UNASKED = """
SELECT 'agents.task', task.id, 'waits for a person, but no question is open'
FROM agents_task task
WHERE task.state = 'needs_human'
  AND NOT EXISTS (SELECT FROM agents_escalation escalation
                  WHERE escalation.task_id = task.id AND escalation.state = 'open')
  AND NOT EXISTS (SELECT FROM agents_step step
                  JOIN agents_attempt attempt ON attempt.step_id = step.id
                  JOIN agents_toolcall call ON call.attempt_id = attempt.id
                  WHERE step.task_id = task.id AND call.state = 'asked')
UNION ALL
SELECT 'agents.toolcall', call.id, format('needs permission, but its task is %%s', task.state)
FROM agents_toolcall call JOIN agents_attempt attempt ON attempt.id = call.attempt_id
JOIN agents_step step ON step.id = attempt.step_id JOIN agents_task task ON task.id = step.task_id
WHERE call.state = 'asked' AND task.state <> 'needs_human'
UNION ALL
SELECT 'agents.escalation', escalation.id, format('is open, but its task is %%s', task.state)
FROM agents_escalation escalation JOIN agents_task task ON task.id = escalation.task_id
WHERE escalation.state = 'open' AND task.state <> 'needs_human'
"""
_STEP_UNASKED = """
SELECT 'agents.step', step.id, format('is %%s with %%s open questions', step.state, asked.open)
FROM agents_step step
CROSS JOIN LATERAL (SELECT count(*) AS open FROM agents_escalation escalation
                    WHERE escalation.step_id = step.id AND escalation.state = 'open') asked
CROSS JOIN LATERAL (SELECT count(*) AS open FROM agents_toolcall call
                    JOIN agents_attempt attempt ON attempt.id = call.attempt_id
                    WHERE attempt.step_id = step.id AND call.state IN ('waiting', 'asked')) calls
WHERE step.state = 'waiting_human' AND asked.open <> 1 AND (asked.open > 1 OR calls.open = 0)
UNION ALL
SELECT 'agents.step', step.id, format('is %%s, but a call of it needs permission', step.state)
FROM agents_step step JOIN agents_attempt attempt ON attempt.step_id = step.id
JOIN agents_toolcall call ON call.attempt_id = attempt.id
WHERE call.state = 'asked' AND step.state <> 'waiting_human'
UNION ALL
SELECT 'agents.step', step.id, 'waits for other steps alone, but a call of it has no answer'
FROM agents_step step JOIN agents_attempt attempt ON attempt.step_id = step.id
JOIN agents_toolcall call ON call.attempt_id = attempt.id
WHERE call.state = 'waiting' AND step.state = 'waiting'
UNION ALL
SELECT 'agents.escalation', escalation.id, format('is open, but its step is %%s', step.state)
FROM agents_escalation escalation JOIN agents_step step ON step.id = escalation.step_id
WHERE escalation.state = 'open' AND step.state NOT IN ('waiting_human', 'blocked', 'failed')
"""
_LEFT_ALIVE = """
SELECT 'agents.step', step.id, format('is %%s, but its task is %%s', step.state, task.state)
FROM agents_step step JOIN agents_task task ON task.id = step.task_id
WHERE task.state IN ('done', 'rejected', 'cancelled', 'failed')
  AND step.state IN ('waiting', 'ready', 'leased', 'waiting_human')
ORDER BY step.id
"""
_LEASE_OVER = """
SELECT 'agents.step', id, format('is held by %%s, whose lease ended at %%s', lease_owner, lease_until)
FROM agents_step
WHERE state = 'leased' AND lease_until < statement_timestamp() - %(over)s * interval '1 second'
ORDER BY lease_until
"""
_ATTEMPTS = """
SELECT 'agents.step', step.id, 'is running without a running attempt of its number'
FROM agents_step step
WHERE step.state = 'leased'
  AND NOT EXISTS (SELECT FROM agents_attempt attempt WHERE attempt.step_id = step.id
                  AND attempt.number = step.attempt AND attempt.state = 'running')
UNION ALL
SELECT 'agents.attempt', attempt.id,
       format('runs as number %%s; its step is %%s at %%s', attempt.number, step.state, step.attempt)
FROM agents_attempt attempt JOIN agents_step step ON step.id = attempt.step_id
WHERE attempt.state = 'running' AND (step.state <> 'leased' OR step.attempt <> attempt.number)
UNION ALL
SELECT 'agents.attempt', attempt.id,
       format('is number %%s of a step that has had %%s', attempt.number, step.attempt)
FROM agents_attempt attempt JOIN agents_step step ON step.id = attempt.step_id
WHERE attempt.number > step.attempt
"""
# What a person left out, and a question that is no longer asked, nobody waits for any more.
_FAN_IN = """
SELECT 'agents.step', step.id,
       format('counts %%s steps to wait for; %%s are open', step.waits, needed.open)
FROM agents_step step
CROSS JOIN LATERAL (
    SELECT count(*) AS open FROM agents_stepdependency edge
    JOIN agents_step need ON need.id = edge.needs_id
    WHERE edge.step_id = step.id AND need.state <> 'done' AND NOT need.left_out
      AND NOT EXISTS (SELECT FROM agents_delegation asked
                      WHERE asked.answerer_id = need.id AND asked.state <> 'asked')
) needed
WHERE (step.state IN ('waiting', 'waiting_human') AND step.waits <> needed.open)
   OR (step.state = 'waiting' AND step.waits = 0)
ORDER BY step.id
"""
_TOOL_CALLS = """
SELECT 'agents.toolcall', call.id, format('is still started, but its attempt is %%s', attempt.state)
FROM agents_toolcall call JOIN agents_attempt attempt ON attempt.id = call.attempt_id
WHERE call.state = 'started' AND attempt.state = 'finished'
ORDER BY call.id
"""
_QUESTIONS = """
SELECT 'agents.step', answerer.id, format('answers a question that is %%s, and is %%s', asked.state, answerer.state)
FROM agents_delegation asked JOIN agents_step answerer ON answerer.id = asked.answerer_id
WHERE asked.state <> 'asked' AND answerer.state IN ('waiting', 'ready', 'leased')
UNION ALL
SELECT 'agents.step', asker.id, format('is %%s while its question is not answered', asker.state)
FROM agents_delegation asked JOIN agents_step asker ON asker.id = asked.asker_id
WHERE asked.state = 'asked' AND asker.state IN ('ready', 'leased', 'done', 'cancelled')
"""


def _lease_over() -> Found:
    return sql(_LEASE_OVER, {"over": settings.LEASE_SECONDS + _SPARE_SECONDS})


CHECKS = (
    Check(
        name="task-stuck",
        sentence="Every accepted task that is open is moved on by a step, or waits for a person.",
        find=lambda: sql(_STUCK, {"quiet": QUIET_SECONDS}),
    ),
    Check(
        name="task-asks",
        sentence="A task waits for a person exactly while a question or a call of it is open.",
        find=lambda: sql(_UNASKED),
    ),
    Check(
        name="step-asks",
        sentence="A step that waits for a person has one open question or open calls; no other step has any.",
        find=lambda: sql(_STEP_UNASKED),
    ),
    Check(
        name="over-is-over",
        sentence="A task that is over has no step that could still run.",
        find=lambda: sql(_LEFT_ALIVE),
    ),
    Check(
        name="lease-swept",
        sentence="No step stays with a worker whose lease has long ended.",
        find=_lease_over,
    ),
    Check(
        name="attempt-held",
        sentence="An attempt runs exactly while its step is held under its number.",
        find=lambda: sql(_ATTEMPTS),
    ),
    Check(
        name="fan-in",
        sentence="A step that waits, for a person or not, counts exactly the steps it needs that are not done.",
        find=lambda: sql(_FAN_IN),
    ),
    Check(
        name="tool-call-settled",
        sentence="No finished attempt left a tool call of which nobody knows how it ended.",
        find=lambda: sql(_TOOL_CALLS),
    ),
    Check(
        name="question-answered",
        sentence="An agent that asked another waits until the answer, and nobody answers in vain.",
        find=lambda: sql(_QUESTIONS),
    ),
)
