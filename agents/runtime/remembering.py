"""What an agent is reminded of before it begins, and the working memory of what it did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import prefetch_related_objects

from agents.events import Kind
from agents.runtime.checkpoints import leased
from memory.recall import Recalled, recall, record_uses

if TYPE_CHECKING:
    from agents.runtime.contract import Work


def recalled_for(work: Work) -> list[Recalled]:
    """Return the confirmed memories that fit this step, with receipts and an event."""
    task, step, brief = work.step.task, work.step, dict[str, Any](work.brief)
    found = recall(
        task.project,
        query=_query(brief),
        agent_slug=step.agent.slug,
        paths=_paths(brief),
    )
    if found:
        # The prompt is written on the event loop, where nothing can be fetched.
        prefetch_related_objects([item.memory for item in found], "approved_by")
        with leased(work):
            record_uses(
                found,
                task=task.pk,
                step=step.pk,
                attempt=work.attempt.number,
                agent_slug=step.agent.slug,
            )
            # Without their text: the event log cannot be erased, a memory can.
            memories = [{"id": str(item.memory.pk), "kind": item.memory.kind} for item in found]
            said = {"agent": step.agent.slug, "memories": memories}
            task.record(Kind.MEMORY_RECALLED, said, step=step)
    return found


def _query(brief: dict[str, Any]) -> str:
    parts = [brief.get(name, "") for name in ("title", "instructions", "request")]
    parts += [item.get("note", "") for item in brief.get("feedback", [])]
    return "\n".join(part for part in parts if part)


def _paths(brief: dict[str, Any]) -> list[str]:
    if "instructions" not in brief:
        return []  # the router is given every file; that says nothing of the request
    asked = [item["path"] for item in brief.get("feedback", []) if item.get("path")]
    return [*brief.get("files", []), *asked]
