"""Who may be given steps now: the published versions of enabled agents, as they are looked up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import connection

from agents.models import AgentRole

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable

_IN_USE = """
SELECT DISTINCT ON (agent.slug)
       version.id, agent.id, agent.slug, agent.name, agent.description, agent.role
FROM agents_agentversion version JOIN agents_agent agent ON agent.id = version.agent_id
WHERE version.published_at IS NOT NULL AND agent.enabled
  AND agent.role IN ('specialist', 'aggregator')
ORDER BY agent.slug, version.number DESC
"""


@dataclass(frozen=True, slots=True)
class Colleague:
    """The newest published version of an agent, with what others know of it."""

    id: uuid.UUID  # of the version
    agent_id: uuid.UUID
    slug: str
    name: str
    description: str
    role: str

    @property
    def specialist(self) -> bool:
        """Tell whether it does steps of a plan."""
        return self.role == AgentRole.SPECIALIST


def in_use() -> list[Colleague]:
    """Read every specialist and aggregator there is, by slug; in one statement, with no text of theirs."""
    return ask_in_use()()


def ask_in_use() -> Callable[[], list[Colleague]]:
    """Send what `in_use` sends and return what reads it: of several `sent_together`."""
    cursor = connection.cursor()
    cursor.execute(_IN_USE)

    def read() -> list[Colleague]:
        with cursor:
            return [Colleague(*row) for row in cursor.fetchall()]

    return read
