"""Lets stories happen to their ends: watches the rows, and lets the people act when it is their turn."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, connection

from tests.chaos.people import MOST_ANSWERS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.chaos.people import People, Story

OVER = frozenset({"done", "rejected", "cancelled", "failed"})
_ROWS = """
SELECT task.id::text, task.state, task.round, approval.id::text, approval.state, approval.digest, approval.nonce,
       (SELECT json_agg(json_build_object('id', asked.id, 'options', asked.options))
        FROM agents_escalation asked WHERE asked.task_id = task.id AND asked.state = 'open'),
       (SELECT json_agg(json_build_object('id', call.id, 'digest', call.digest, 'nonce', call.nonce,
                                          'label', 'T-' || task.number))
        FROM approvals_callapproval call WHERE call.task_id = task.id AND call.state = 'pending'),
       (SELECT min(call.id::text)
        FROM approvals_callapproval call WHERE call.task_id = task.id AND call.state = 'allowed'),
       approval.follows_id IS NOT NULL,
       (SELECT array_agg(signer.username) FROM approvals_signature signature
        JOIN projects_user signer ON signer.id = signature.signer_id WHERE signature.approval_id = approval.id)
FROM agents_task task
LEFT JOIN LATERAL (SELECT * FROM approvals_approval sealed WHERE sealed.task_id = task.id
                   ORDER BY sealed.id DESC LIMIT 1) approval ON true
WHERE task.id = ANY(%s)
"""


@dataclass
class Play:
    """The stories of one run, watched until each has ended or waits for a person."""

    people: People
    stories: Sequence[Story]
    states: dict[str, str] = field(default_factory=dict)

    def go_on(self) -> bool:
        """Look once and act; tell whether every story is at rest."""
        rows = self._rows()
        if rows is None:
            return False
        by_id = {story.id: story for story in self.stories}
        self.states = {row["id"]: row["state"] for row in rows}
        at_rest = [self._act(by_id[row["id"]], row) for row in rows]
        return all(at_rest) and len(rows) == sum(bool(story.id) for story in self.stories)

    def to_the_end(self, seconds: float, meanwhile: Callable[[], object] = lambda: None) -> bool:
        """Go on until all are at rest; tell whether that came in time."""
        deadline = time.monotonic() + seconds
        while not self.go_on():
            if time.monotonic() > deadline:
                return False
            meanwhile()
            time.sleep(0.1)
        return True

    def outcomes(self) -> Counter[str]:
        """Count the stories by how they ended."""
        return Counter(self.states.get(story.id, "lost") for story in self.stories if story.id)

    def _rows(self) -> list[dict[str, Any]] | None:
        names = (
            "id",
            "state",
            "round",
            "approval",
            "sealed",
            "digest",
            "nonce",
            "questions",
            "calls",
            "allowed",
            "follows",
            "signers",
        )
        try:
            with connection.cursor() as cursor:
                cursor.execute(_ROWS, [[story.id for story in self.stories if story.id]])
                return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        except DatabaseError:
            with contextlib.suppress(DatabaseError):
                connection.close()
            return None

    def _act(self, story: Story, row: dict[str, Any]) -> bool:
        """Do what is a person's turn; tell whether the story has ended or only waits for one."""
        if row["state"] in OVER:
            return True
        if row["state"] != "queued" and self._interferes(story, row):
            return False
        if row["questions"] and story.answered >= MOST_ANSWERS and not row["calls"]:
            return True
        self._answer(story, row)
        return False

    def _answer(self, story: Story, row: dict[str, Any]) -> None:
        if row["calls"]:
            for call in row["calls"]:
                self.people.permit(story, call)
        elif row["questions"]:
            for question in row["questions"]:
                self.people.answer(story, question)
        elif story.kind == "held":
            self._sign_and_move_main(story, row)
        elif row["state"] == "review":
            self._review(story, row)

    def _interferes(self, story: Story, row: dict[str, Any]) -> bool:
        """Stop, pause or undo what is to be stopped, paused or undone; tell whether it was its moment."""
        if story.stop and not story.stopped:
            self.people.stop(story)
        elif story.pause and story.paused != "resumed":
            self.people.pause(story, resume=story.paused == "paused")
        elif story.kind == "undo" and not story.undone and row["allowed"]:
            self.people.undo(story, row["allowed"])
        else:
            return False
        return True

    def _review(self, story: Story, row: dict[str, Any]) -> None:
        if row["sealed"] == "pending":
            self._decide(story, row)
        elif row["sealed"] in {"stale", "expired"}:
            self.people.propose_again(row["approval"])

    def _sign_and_move_main(self, story: Story, row: dict[str, Any]) -> None:
        """Let two sign, and main move after each: nobody is to be asked for their signature again."""
        signers = row["signers"] or []
        waits = row["state"] == "review" and row["sealed"] == "pending"
        if waits and "dana" not in signers:
            self.people.sign(_sealed(row), "approve")
        elif (waits and story.moved == 0) or (row["state"] == "executing" and story.moved == 1):
            self.people.move_main(story)
        elif waits and row["follows"] and "ravi" not in signers:
            self.people.sign(_sealed(row), "approve", who="ravi")

    def _decide(self, story: Story, row: dict[str, Any]) -> None:
        approval = _sealed(row)
        if story.again and row["round"] == 1:
            self.people.sign(approval, "request_changes", "Do it [once more], please.")
        else:
            self.people.sign(approval, "approve")


def _sealed(row: dict[str, Any]) -> dict[str, Any]:
    return {"id": row["approval"], "digest": row["digest"], "nonce": row["nonce"]}
