"""What an agent is reminded of before it begins, and the working memory of what it did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import prefetch_related_objects

from agents.events import Kind
from agents.runtime.checkpoints import leased
from memory.recall import Recalled, recall, record_uses, remembers

if TYPE_CHECKING:
    import uuid

    from agents.runtime.contract import Work


class Remembering:
    """Asks once for many steps whether there is anything to recall where they work."""

    def __init__(self) -> None:
        self._known: dict[tuple[uuid.UUID, str], bool] = {}

    def recalled_for(self, work: Work) -> list[Recalled]:
        """Return the confirmed memories that fit this step, with receipts and an event.

        None for the aggregator: it summarises what others did.
        """
        brief: dict[str, Any] = dict(work.brief)
        if "files_total" not in brief and "instructions" not in brief:
            return []
        where = work.step.project_id, work.step.agent.slug
        if where not in self._known:
            self._known[where] = remembers(work.step.task.project, work.step.agent.slug)
        return _recalled(work, brief) if self._known[where] else []


def _recalled(work: Work, brief: dict[str, Any]) -> list[Recalled]:
    task, step = work.step.task, work.step
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
