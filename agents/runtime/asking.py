"""Turns a model's call of `ask_agent` into a question; its attempt ends, the next one has the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents import delegating
from agents.runtime import ledger
from agents.runtime.contract import Asked
from agents.runtime.database import in_db
from agents.runtime.files import in_files

if TYPE_CHECKING:
    from agents.models import ToolCall
    from agents.runtime.contract import Work


def asks(call: ledger.Asked) -> bool:
    """Tell whether this call is a question to another agent."""
    return call.tool.server == delegating.SERVER


async def ask(work: Work, row: ToolCall, call: ledger.Asked) -> ledger.Answer:
    """Return the question that the attempt ends with, or why it cannot be put.

    The row stays `started` until the other agent has answered. A crash before the question is
    written repeats the call; after it, the row waits and the step is nobody's to repeat.
    """
    read = await in_db(delegating.read, work.step, call.arguments)
    if isinstance(read, str):
        text = ledger.shortened(read)
        return ledger.Answer(text=text, failed=True, summary=text[:300])
    commit, tree = await in_files(_files, work)
    asks = Asked(call=row.pk, question=read, commit=commit, tree=tree)
    return ledger.Answer(text="", asks=asks)


def _files(work: Work) -> tuple[str, str]:
    """Keep the asker's files as a commit, for the other agent to read."""
    step, workspace = work.step, work.workspace
    if workspace is None:
        return step.base_commit, ""
    tree = workspace.snapshot()
    if step.base_commit and tree == workspace.store.tree_of(step.base_commit):
        return step.base_commit, tree
    parents = [step.base_commit] if step.base_commit else []
    message = f"What a question about “{step.title}” is about\n\nCountersign-Step: {step.pk}"
    commit = workspace.store.commit(
        tree, parents=parents, message=message, author=step.agent.name, at=step.created_at
    )
    return commit, tree
