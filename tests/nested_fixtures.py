"""A step that makes calls and asks an agent in one answer, which makes a call of its own: as rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.finishing import settle
from agents.invariants import work
from agents.messages import Answer
from agents.models import Event, Grant, Step, Tool
from agents.runtime.claims import claim
from agents.runtime.contract import Finished, Waits
from approvals.calls import sealing
from approvals.models import CallApproval
from tests.approval_fixtures import make_agent
from tests.call_fixtures import call, working_step
from tests.delegation_fixtures import asked

if TYPE_CHECKING:
    from agents.models import Attempt, Task
    from projects.models import Project, User


@dataclass
class Nested:
    """Calls A and B of a step, and C of whom it asked; each sealed."""

    asker: Step
    answerer: Step
    rows: dict[str, CallApproval]

    @property
    def task(self) -> Task:
        """The task, as it is now."""
        return Step.objects.select_related("task__project").get(pk=self.asker.pk).task

    def now(self, invoice: str) -> CallApproval:
        """Return what asks for a call last, as it is now."""
        rows = CallApproval.objects.select_related("call", "step", "task").order_by("-id")
        return rows.filter(call=self.rows[invoice].call_id)[0]

    def states(self) -> tuple[str, int, str]:
        """Return the asker's state, how many answers it waits for, and its task's state."""
        self.asker.refresh_from_db()
        self.answerer.refresh_from_db()
        return self.asker.state, self.asker.waits, self.task.state

    def claimed(self) -> Attempt:
        """Return the next attempt of whom it asked; nothing else may be ready."""
        (one,) = claim("worker-a", limit=50)
        assert one.step == self.answerer
        return one.attempt

    def answer(self) -> None:
        """Let whom it asked go on and answer."""
        assert settle(self.claimed(), Finished(Answer(status="answered", answer="Half up.")))

    def went_on(self) -> int:
        """Count how often the asker was made ready since it waits."""
        return Event.objects.filter(step=self.asker, data__state="ready").count()


def nest(project: Project, requester: User, *, calls: str = "AB", inner: str = "C") -> Nested:
    """Let a step call and ask at once, and whom it asked call, too; with `inner` empty it does not."""
    tester = make_agent("tester", "Test agent")
    Grant.objects.get_or_create(agent=tester, tool=Tool.objects.get(server__slug="pay"))
    step = working_step(project, requester)
    found = {invoice: call(step, invoice) for invoice in calls}
    made = asked(step.attempts.get())
    if inner:
        (one,) = claim("worker-a", limit=50)
        found[inner] = call(one.step, inner)
        assert settle(one.attempt, Waits())
    sealing.seal_waiting()
    rows = {name: CallApproval.objects.get(call=row) for name, row in found.items()}
    return Nested(asker=made.asker, answerer=made.answerer, rows=rows)


def breaches() -> list[Any]:
    """Return what breaks a law of steps, questions and calls."""
    return [(each.name, found.shown) for each in work.CHECKS if (found := each.find()).count]
