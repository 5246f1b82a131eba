"""The invariant of lists by agent and requester: what waits stands in each of its lists, as it is."""

from __future__ import annotations

from projects.invariants import Check, sql

# Of what waits: what is over is millions of rows, and was there when it waited.
_LISTED = """
SELECT 'approvals.approval', approval.id::text, format('does not stand in the list %%s as it waits', named.under)
FROM approvals_approval approval
CROSS JOIN LATERAL (
    SELECT 'requester:' || approval.requester_id AS under
    UNION SELECT 'agent:' || (worked ->> 'slug')
    FROM jsonb_array_elements(approval.outline -> 'agents') worked
) named
LEFT JOIN approvals_listed listed ON listed.approval_id = approval.id AND listed.under = named.under
WHERE approval.decided_at IS NULL AND (
    listed.approval_id IS NULL OR listed.decided_at IS NOT NULL
    OR (listed.project_id, listed.risk_rank, listed.expires_at, listed.cost, listed.requester, listed.state)
    IS DISTINCT FROM (approval.project_id, approval.risk_rank, approval.expires_at, approval.cost,
        approval.requester_id, approval.state))
UNION ALL
SELECT 'approvals.approval', approval.id::text, format('stands in the list %%s as if it waited', listed.under)
FROM approvals_listed listed JOIN approvals_approval approval ON approval.id = listed.approval_id
WHERE listed.decided_at IS NULL AND approval.decided_at IS NOT NULL
"""

CHECKS = (
    Check(
        name="listed",
        sentence="What waits for a signature stands in the lists of its agents and its requester, and nothing else does.",
        find=lambda: sql(_LISTED),
    ),
)
