"""Whom what a reviewer says can go to, and which round a request for changes opens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Collection

    from approvals.models import Approval


def of(approval: Approval, reachable: Collection[str]) -> dict[str, Any]:
    """Return whom a comment can go to, each once, and how many rounds there may be.

    Who only answered a colleague has no step to do again, and is not `reachable`.
    """
    agents = {agent["slug"]: agent for agent in approval.snapshot["agents"]}
    return {
        "offered": [agent for slug, agent in agents.items() if slug in reachable],
        "next_round": approval.task.round + 1,
        "most_rounds": Limits.frozen(approval.task.limits).rounds,
    }
