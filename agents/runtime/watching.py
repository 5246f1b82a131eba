"""Holds one attempt's calls against the loop breakers: what its rows say, kept up as it goes on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from agents.breakers import judging
from agents.breakers.calls import Call, History, Tripped
from agents.breakers.thresholds import Thresholds
from agents.runtime import ledger
from agents.runtime.database import in_db
from agents.runtime.files import in_files

if TYPE_CHECKING:
    from agents.breakers.calls import Verdict, Warned
    from agents.models import ToolCall
    from agents.runtime.checkpoints import Progress
    from agents.runtime.contract import Work


@dataclass(kw_only=True, eq=False)
class Watch:
    """The ended calls of an attempt and of those it goes on from, since a person last answered.

    Read once from the rows; a call is added when its row is written, so a killed worker's
    successor counts on from the same number.
    """

    work: Work
    known: dict[str, ledger.Known]
    calls: list[Call]
    base: str
    thresholds: Thresholds = field(default_factory=Thresholds)

    @classmethod
    async def begin(cls, work: Work, progress: Progress, known: dict[str, ledger.Known]) -> Watch:
        """Read what was done before; an attempt that goes on from none has no rows."""
        calls: list[Call] = []
        base = ""
        if len(progress.chain) > 1:
            calls, base = await in_db(ledger.history, work, progress, known)
        return cls(work=work, known=known, calls=calls, base=base)

    def trip(self) -> Tripped | None:
        """Judge the last call that ended; for one answered from the ledger."""
        verdict = judging.after_call(self._history(), self.thresholds)
        return verdict if isinstance(verdict, Tripped) else None

    def before_turn(self) -> Verdict | None:
        """Judge every finished turn."""
        return judging.before_turn(self._history(), self.thresholds)

    async def judge(self, row: ToolCall, answer: ledger.Answer) -> Verdict | None:
        """Judge a call that has just ended, before its row is written."""
        if answer.tree and not self.base:
            self.base = await self._begun_with()
        return judging.after_call(self._history(self._call(row, answer)), self.thresholds)

    def keep(self, row: ToolCall, answer: ledger.Answer, warned: Warned | None) -> None:
        """Count a call whose row is written."""
        self.calls.append(replace(self._call(row, answer), shown=ledger.shown(answer, warned)))

    def keep_refused(self, rows: tuple[ToolCall, ...]) -> Tripped | None:
        """Count calls that were refused, and judge each."""
        for row in rows:
            self.calls.append(ledger.call_of(row, self.known))
            if trip := self.trip():
                return trip
        return None

    def _call(self, row: ToolCall, answer: ledger.Answer) -> Call:
        tool = self.known.get(row.tool)
        return Call(
            id=str(row.pk),
            response=row.response,
            tool=row.tool,
            fingerprint=row.fingerprint,
            result=answer.fingerprint,
            error=answer.error,
            failed=answer.failed,
            writes=tool is not None and tool.writes,
            polling=tool is not None and tool.polling,
            tree=answer.tree,
            shown=ledger.shown(answer, None),
        )

    def _history(self, *more: Call) -> History:
        return History.of([*self.calls, *more], self.base)

    async def _begun_with(self) -> str:
        """Return the tree the step's files began with; asked for at its first write only."""
        workspace, base = self.work.workspace, self.work.step.base_commit
        if workspace is None or not base or any(call.tree for call in self.calls):
            return ""
        return await in_files(workspace.store.tree_of, base)
