"""The invariants of memory: nothing is recalled that no person answers for."""

from __future__ import annotations

from projects.invariants import Check, sql

_UNANSWERED = """
SELECT 'memory.memory', memory.id, CASE
    WHEN memory.approved_by_id IS NULL OR memory.approved_at IS NULL THEN 'is active without a person who keeps it'
    ELSE 'is active, and the audit log names nobody who kept it' END
FROM memory_memory memory
WHERE memory.state = 'active' AND (
    memory.approved_by_id IS NULL OR memory.approved_at IS NULL
    OR NOT EXISTS (SELECT FROM projects_auditentry entry
                   WHERE entry.object_type = 'memory' AND entry.object_id = memory.id::text
                     AND entry.action IN ('memory.kept', 'memory.restored', 'memory.edited')
                     AND entry.actor_label <> 'system'))
ORDER BY memory.id
"""
_TOO_EARLY = """
SELECT 'memory.memory', memory.id, 'was recalled before anybody kept it'
FROM memory_memory memory
WHERE EXISTS (SELECT FROM memory_memoryuse used WHERE used.memory_id = memory.id)
  AND memory.approved_at IS NULL
ORDER BY memory.id
"""
_ERASED = """
SELECT 'memory.memory', memory.id, 'was forgotten, but something of it is left'
FROM memory_memory memory
WHERE memory.state = 'erased' AND (
    memory.content <> '' OR memory.subject <> ''
    OR EXISTS (SELECT FROM memory_memoryembedding vector WHERE vector.memory_id = memory.id))
ORDER BY memory.id
"""

CHECKS = (
    Check(
        name="memory-kept",
        sentence="A memory is active only because a person kept it.",
        find=lambda: sql(_UNANSWERED),
    ),
    Check(
        name="memory-recalled",
        sentence="Only a memory that a person kept was ever recalled.",
        find=lambda: sql(_TOO_EARLY),
    ),
    Check(
        name="memory-forgotten",
        sentence="Of a forgotten memory nothing is left.",
        find=lambda: sql(_ERASED),
    ),
)
