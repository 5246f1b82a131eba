"""The invariants of calls: none was made without the permission of all who had to, nor too early."""

from __future__ import annotations

from projects.invariants import Check, sql

CLOCK_SECONDS = 1  # by so much two clocks may differ

# What a permission covers is proven as the call is made; here is whose they are, and how many.
_ALLOWED = """
WITH made AS (
    SELECT call.id, call.state, call.nonce, call.decided_by_id, call.snapshot -> 'policy' AS policy
    FROM approvals_callapproval call
    WHERE (call.state IN ('allowed', 'calling', 'done', 'unknown')
           OR call.state = 'failed' AND call.sent_at IS NOT NULL) AND NOT call.free
      AND NOT EXISTS (SELECT FROM approvals_standinguse used WHERE used.approval_id = call.id)
), good AS (
    SELECT signature.* FROM approvals_callsignature signature JOIN approvals_callapproval call
        ON call.id = signature.approval_id AND call.nonce = signature.nonce
    WHERE signature.verdict = 'allow' AND (signature.signer_id <> call.requester_id OR call.single_person)
)
SELECT 'approvals.callapproval', made.id, format('is %%s, but not allowed by all who had to', made.state)
FROM made
WHERE NOT EXISTS (SELECT FROM good WHERE good.approval_id = made.id AND good.signer_id = made.decided_by_id)
   OR (SELECT count(DISTINCT good.signer_id) FROM good WHERE good.approval_id = made.id)
      < coalesce((made.policy ->> 'signatures_needed')::int, 1)
   OR EXISTS (
       SELECT FROM jsonb_array_elements(made.policy -> 'signers') AS rule
       WHERE NOT EXISTS (
           SELECT FROM good WHERE good.approval_id = made.id
             AND (rule -> 'anyone_of' @> jsonb_build_array(jsonb_build_object('id', good.signer_id))
                  OR EXISTS (
                      SELECT FROM jsonb_array_elements(good.on_behalf_of) AS stood
                      WHERE rule -> 'anyone_of' @> jsonb_build_array(
                          jsonb_build_object('id', stood ->> 'person'))))))
ORDER BY made.id
"""

# When it was sent is by the clock of a worker, when it was decided by the database's.
_UNDONE = """
SELECT 'approvals.callapproval', call.id, 'was called before its undo window was over'
FROM approvals_callapproval call
WHERE NOT call.free AND call.sent_at + %(grace)s * interval '1 second' < call.decided_at
      + make_interval(secs => coalesce((call.snapshot #>> '{policy,undo_seconds}')::int, 0))
  AND NOT EXISTS (SELECT FROM approvals_standinguse used WHERE used.approval_id = call.id)
UNION ALL
SELECT 'approvals.callapproval', call.id, format('is %%s, but its permission was undone', call.state)
FROM projects_auditentry entry JOIN approvals_callapproval call ON call.id::text = entry.object_id
WHERE entry.action = 'call.undone' AND call.state <> 'withdrawn'
"""

CHECKS = (
    Check(
        name="call-allowed",
        sentence="No tool that asks was called without the permission of as many other people as were asked for.",
        find=lambda: sql(_ALLOWED),
    ),
    Check(
        name="call-undone",
        sentence="No tool was called while its permission could be undone, or after it was.",
        find=lambda: sql(_UNDONE, {"grace": CLOCK_SECONDS}),
    ),
)
