"""What `up` prints: one screen with all a person needs, then one line per thing that happens."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from countersign.supervisor.children import Child

_CHECKS_RUN = {
    "bubblewrap": "in a bubblewrap sandbox",
    "rlimits": "under resource limits only, for the demo project alone (no bubblewrap here)",
    None: "not at all: no sandbox is usable on this system",
}
_ORDER = ("requester", "lead", "second_lead", "admin")
_DUTIES = {
    "requester": "asks for work",
    "lead": "signs",
    "second_lead": "signs",
    "admin": "agents, projects, members: /admin/",
}

_console = Console(highlight=False)
_errors = Console(stderr=True, highlight=False, soft_wrap=True)


def say(line: str) -> None:
    """Print one thing that happened, with its time."""
    _console.print(Text(f"{time.strftime('%H:%M:%S')}  {line}"), soft_wrap=True)


def refuse(sentence: str) -> None:
    """Print why Countersign does not start, and nothing else."""
    _errors.print(Text(sentence))


class Mirror:
    """Prints what the children write to their logs."""

    def __init__(self) -> None:
        self._read_to: dict[Path, int] = {}

    def show_new_lines(self, children: Iterable[Child]) -> None:
        """Print the lines written since the last call; from the first call on, not older ones."""
        for child in children:
            size = child.log.stat().st_size
            start = self._read_to.setdefault(child.log, size)
            self._read_to[child.log] = size
            if size > start:
                with child.log.open("rb") as log:
                    log.seek(start)
                    for line in log.read(size - start).decode(errors="replace").splitlines():
                        _console.print(Text(f"{child.name:>8} | {line}"), soft_wrap=True)


def show(
    *, url: str, facts: dict[str, Any], data_dir: Path, data_owner: str, seconds: float
) -> None:
    """Print the one screen."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("Open", Text(url, style="bold underline"))
    table.add_row("Model", _model(facts["model"]))
    table.add_row("Checks", Text(f"run {_CHECKS_RUN[facts['sandbox']]}"))
    if facts.get("kafka"):
        table.add_row("Events", Text(f"also sent to Kafka at {facts['kafka']}"))
    table.add_row("Data", Text(str(data_dir)))
    if data_owner:
        table.add_row(
            "", Text(f"PostgreSQL runs as {data_owner}, not root; its files are that user's")
        )
    table.add_row("Logs", Text(str(data_dir / "logs")))
    accounts = _accounts(facts["accounts"] or {})
    note = Text(f"Also in {data_dir / 'demo-accounts.json'}, with API tokens.", style="dim")
    _console.print(
        Panel(
            Group(table, Padding(accounts, (1, 0, 0, 0)), note),
            title=f"Countersign is ready after {seconds:.0f} s",
            subtitle="Ctrl-C stops everything",
            title_align="left",
            subtitle_align="left",
            padding=(1, 2),
        )
    )


def _model(model: str) -> Text:
    if model != "rehearsal":
        return Text(model)
    return Text.assemble(
        ("rehearsal", "bold"),
        ": a script plays the bundled demo; no language model is configured.\n",
        "A real one: COUNTERSIGN_MODEL=openai:NAME OPENAI_API_KEY=… make up\n",
        "(OPENAI_BASE_URL for any compatible server; or anthropic:NAME, ollama:NAME)",
    )


def _accounts(accounts: dict[str, dict[str, str]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 3, 0, 0))
    for title in ("sign in as", "password", ""):
        table.add_column(title, no_wrap=bool(title))
    for name in _ORDER:
        if account := accounts.get(name):
            table.add_row(account["username"], account["password"], Text(_DUTIES[name], "dim"))
    return table
