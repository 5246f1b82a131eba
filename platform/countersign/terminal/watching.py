"""Live progress in a terminal: a table of steps, or plain lines when nobody looks."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from projects.characters import plain

if TYPE_CHECKING:
    from rich.console import Console

    from countersign.terminal.client import ApiClient

DONE, NOT_DONE = 0, 1
INTERRUPTED = 130  # Ctrl-C: the task goes on
TAIL = 60  # characters of what an agent is writing
_TERMINAL = {"done": DONE, "rejected": NOT_DONE, "cancelled": NOT_DONE, "failed": NOT_DONE}
_NEED_A_PERSON = {"approval.requested", "escalation.raised"}
_HINT = "Still watching; Ctrl-C leaves it running."
_STYLES = {"done": "green", "leased": "cyan", "blocked": "red", "failed": "red"}


@dataclass
class Progress:
    """What is known of a task: its last answer, and what each step does now."""

    task: dict[str, Any]
    doing: dict[str, str] = field(default_factory=dict)
    hinted: bool = False  # that a person may take their time
    begun: float = field(default_factory=time.monotonic)

    def note(self, frame: dict[str, Any]) -> None:
        """Take up one frame."""
        step = frame.get("step") or ""
        if frame["kind"] == "delta":
            written = "" if frame["offset"] == 0 else self.doing.get(step, "")
            self.doing[step] = (written + frame["text"])[-400:]
        elif frame["kind"] == "tool.started":
            self.doing[step] = f"⚙ {frame['data'].get('tool', 'tool')}"
        elif frame["kind"] in {"step.finished", "message"}:
            self.doing.pop(step, None)

    def table(self) -> Table:
        """Return the steps with their states, newest round last."""
        seconds = time.monotonic() - self.begun
        badge = " · rehearsal" if self.task["rehearsal"] else ""
        title = f"{self.task['label']} {self.task['title']} · {self.task['state']}{badge}"
        table = Table(
            title=Text(plain(f"{title} · {seconds:.0f} s")), title_justify="left", expand=True
        )
        for name in ("round", "agent", "step", "state", "now"):
            table.add_column(name, no_wrap=True)
        for step in self.task["plan"]["steps"]:
            now = " ".join(self.doing.get(step["id"], "").split())[-TAIL:]
            table.add_row(
                str(step["round"]),
                Text(plain(step["agent"])),
                Text(plain(step["title"])),
                Text(step["state"], style=_STYLES.get(step["state"], "")),
                Text(plain(now)),
            )
        return table


def watch(client: ApiClient, receipt: dict[str, Any], console: Console, *, until: str = "") -> int:
    """Follow a task to its end; return the exit code. Ctrl-C leaves the task running.

    Until `review`: also ends as soon as the task waits for a signature, with 0, or needs a person,
    with 1.
    """
    progress = Progress(client.task(receipt["id"]))
    try:
        if console.is_terminal:
            with Live(console=console, get_renderable=progress.table, refresh_per_second=4):
                code = _follow(client, progress, console, until)
        else:
            code = _follow(client, progress, console, until)
    except KeyboardInterrupt:
        links = progress.task["links"]
        console.print(
            f"{progress.task['label']} goes on without you. Watch it again: {links['console']}"
        )
        return INTERRUPTED
    return _close(progress, console) if code is None else code


def _follow(client: ApiClient, progress: Progress, console: Console, until: str) -> int | None:
    """Print what happens until the task is over, or until it waits for people: then an exit code."""
    for frame in client.follow(progress.task["id"]):
        progress.note(frame)
        if "seq" not in frame:
            continue
        progress.task = client.task(progress.task["id"])
        if line := _line(frame, progress):
            console.print(line, soft_wrap=True)
        if frame["kind"] in _NEED_A_PERSON:
            if until == "review":
                return DONE if frame["kind"] == "approval.requested" else NOT_DONE
            if not progress.hinted:
                console.print(_HINT, soft_wrap=True)
            progress.hinted = True
    return None


def _line(frame: dict[str, Any], progress: Progress) -> str:
    """Return what a person must see scroll by; empty for what the table says better."""
    kind, data = frame["kind"], frame["data"]
    if kind == "approval.requested":
        return f"Waits for a signature: {_review_of(progress)}"
    if kind == "escalation.raised":
        where = progress.task["links"]["console"]
        return _inert(f"Needs a person: {data.get('detail', '').rstrip()}\n{where}")
    if kind in {"task.planned", "step.started", "step.finished", "effect.finished"}:
        return _inert(f"{kind} {_step_of(frame, progress)}".rstrip())
    return ""


def _inert(text: str) -> str:
    """Return a text that a terminal only shows: it would obey some characters that cannot be seen."""
    return escape(plain(text))


def _review_of(progress: Progress) -> str:
    task = progress.task
    console = str(task["links"]["console"])
    return console.replace("/tasks/", "/review/") + f"/r{task['round']}"


def _step_of(frame: dict[str, Any], progress: Progress) -> str:
    for step in progress.task["plan"]["steps"]:
        if step["id"] == frame.get("step"):
            return f"{step['agent']}: {step['title']}"
    return ""


def _close(progress: Progress, console: Console) -> int:
    task = progress.task
    reason = f": {task['reason']}" if task["reason"] else ""
    seconds = time.monotonic() - progress.begun
    console.print(
        _inert(f"{task['label']} {task['state']}{reason} ({seconds:.0f} s)"), soft_wrap=True
    )
    return _TERMINAL.get(task["state"], NOT_DONE)
