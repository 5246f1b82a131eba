"""Runs the project's checks on a fresh copy of a tree, and reads how many passed."""

from __future__ import annotations

import os
import re
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from agents.workspace import sandbox
from agents.workspace.exceptions import DangerousPath, SandboxUnavailable, TooLarge
from agents.workspace.files import remove_folder, write_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.workspace.files import Checked
    from agents.workspace.git import Store
    from agents.workspace.running import Run

CHECK_SECONDS = 300
TAIL_LINES = 60
TAIL_CHARACTERS = 8_000
# Runs wait for each other: more at once than processors would only run into their time limits.
_TURNS = threading.BoundedSemaphore(max(1, os.cpu_count() or 1))


class CheckReport(BaseModel):
    """Our own run of the project's checks. `passed` and `failed` are None where not counted."""

    model_config = ConfigDict(frozen=True)

    command: str = ""
    ran: bool = False
    why_not: str = ""
    sandbox: str = ""  # bubblewrap or rlimits
    exit_code: int | None = None  # None: stopped at the time limit, or not run
    passed: int | None = None
    failed: int | None = None
    skipped: int | None = None
    output_tail: str = ""
    seconds: float = 0.0
    timed_out: bool = False

    @property
    def green(self) -> bool:
        """Tell whether the checks ran and passed."""
        return self.ran and self.exit_code == 0

    @property
    def sentence(self) -> str:
        """The result in one line for people."""
        if not self.ran:
            return self.why_not
        where = "" if self.sandbox == "bubblewrap" else ", under resource limits only"
        return f"{self._result()}, our run{where}"

    def _result(self) -> str:
        if self.timed_out:
            return f"stopped after {self.seconds:.0f} s"
        if self.passed is None or self.failed is None:
            return "the checks pass" if self.green else f"the checks fail (exit {self.exit_code})"
        if self.failed:
            return f"{self.failed} of {self.passed + self.failed} fail"
        if not self.green:
            return f"{self.passed} pass, but the checks fail (exit {self.exit_code})"
        return f"{self.passed} pass"


def run_checks(
    project: Checked, store: Store, tree: str, *, stopped: Callable[[], bool] = lambda: False
) -> CheckReport:
    """Run the checks on a copy of a tree that is thrown away; blocks, so use a thread.

    `stopped` is asked all the while: the run ends at once when nobody waits for it any more.
    """
    command = project.checks_command.strip()
    if not command:
        return CheckReport(why_not="The project has no checks command.")
    with tempfile.TemporaryDirectory(prefix="countersign-checks-") as outer:
        folder = Path(outer) / "tree"
        folder.mkdir(mode=0o755)
        try:
            write_files(store, store.paths(tree), folder, symlinks=True)
            with _TURNS:
                run = sandbox.run(
                    command,
                    folder=folder,
                    seconds=CHECK_SECONDS,
                    allow_rlimits_only=project.allow_rlimits_only,
                    stopped=stopped,
                )
        except (SandboxUnavailable, DangerousPath, TooLarge) as refusal:
            return CheckReport(command=command, why_not=str(refusal))
        finally:
            remove_folder(folder)
    return _report(command, run)


def _report(command: str, run: Run) -> CheckReport:
    passed, failed, skipped = count(run.output)
    return CheckReport(
        command=command,
        ran=True,
        sandbox=run.sandbox,
        exit_code=run.exit_code,
        passed=passed,
        failed=failed,
        skipped=skipped,
        output_tail=_tail(run.output),
        seconds=run.seconds,
        timed_out=run.timed_out,
    )


def count(output: str) -> tuple[int | None, int | None, int | None]:
    """Return passed, failed and skipped as unittest or pytest print them; None where neither did."""
    return _count_unittest(output) or _count_pytest(output) or (None, None, None)


def _count_unittest(output: str) -> tuple[int, int, int] | None:
    ran = re.findall(r"^Ran (\d+) tests? in [\d.]+s$", output, re.MULTILINE)
    result = re.findall(r"^(?:OK|FAILED)(?: \((.*)\))?$", output, re.MULTILINE)
    if len(ran) != 1 or len(result) != 1:
        return None  # none, or several runs: the exit code alone speaks
    facts = {name: int(n) for name, n in re.findall(r"([a-z ]+)=(\d+)", result[0])}
    facts = {name.strip(): number for name, number in facts.items()}
    failed = sum(facts.get(name, 0) for name in ("failures", "errors", "unexpected successes"))
    skipped = facts.get("skipped", 0)
    return max(0, int(ran[0]) - failed - skipped), failed, skipped


def _count_pytest(output: str) -> tuple[int, int, int] | None:
    lines = re.findall(
        r"^=*\s*((?:\d+ [a-z]+(?:, )?)+) in [\d.]+s(?: \([\d:]+\))?\s*=*$", output, re.MULTILINE
    )
    if len(lines) != 1:
        return None
    facts = {name.rstrip("s"): int(n) for n, name in re.findall(r"(\d+) ([a-z]+)", lines[0])}
    failed = facts.get("failed", 0) + facts.get("error", 0)
    return facts.get("passed", 0) + facts.get("xfailed", 0), failed, facts.get("skipped", 0)


def _tail(output: str) -> str:
    lines = output.rstrip().split("\n")
    text = "\n".join(lines[-TAIL_LINES:])
    if len(lines) > TAIL_LINES or len(text) > TAIL_CHARACTERS:
        return f"[… earlier output is left out …]\n{text[-TAIL_CHARACTERS:]}"
    return text
