"""An agent worker that notes where its CPU time goes: `python -m tests.bench._inflight_profile …`.

A thread looks at the stacks of all others a hundred times a second and books the CPU time each has
used since on where it stands. The arguments are Celery's; the books go to COUNTERSIGN_PROFILE_TO,
started afresh by SIGUSR1 and written by SIGUSR2.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

EVERY_SECONDS = 0.01
LIBRARIES = (
    *("pydantic_ai", "pydantic", "openai", "httpx", "aiohttp", "uvloop", "psycopg", "redis"),
    *("celery", "kombu", "mcp", "anyio", "opentelemetry", "genai_prices", "django"),
)
OURS = ("agents", "memory", "projects", "approvals", "countersign")
_ROOT = str(Path(__file__).resolve().parents[2])


class Books:
    """CPU seconds by library, by the part of Countersign that asked for it, by thread and line."""

    def __init__(self) -> None:
        self.kinds: dict[str, Counter[str]] = {}
        self._seen: dict[int, float] = {}

    def begin(self, *_: Any) -> None:
        """Start afresh."""
        self.kinds = {}

    def keep(self) -> None:
        """Watch for ever."""
        while True:
            time.sleep(EVERY_SECONDS)
            frames = sys._current_frames()
            for thread in threading.enumerate():
                if thread.ident in frames and thread is not threading.current_thread():
                    self._book(thread, frames[thread.ident])

    def _book(self, thread: threading.Thread, frame: FrameType) -> None:
        assert thread.ident is not None
        try:
            now = time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
        except OSError:
            return  # it has just ended
        used = now - self._seen.get(thread.ident, now)
        self._seen[thread.ident] = now
        if used <= 0:
            return
        stack = list(_stack(frame))
        self._add("thread", thread.name.rstrip("0123456789_-"), used)
        self._add("library", next(filter(None, map(_library, stack)), "other"), used)
        ours = [name for file, name in map(_named, stack) if file]
        self._add("ours", ours[0] if ours else "none", used)
        self._add("duty", " > ".join(reversed(ours[-3:])) if ours else "none", used)
        self._add("line", f"{stack[0].f_code.co_filename}:{stack[0].f_code.co_name}", used)

    def _add(self, kind: str, name: str, used: float) -> None:
        self.kinds.setdefault(kind, Counter())[name] += used

    def write(self, *_: Any) -> None:
        """Write the books."""
        path = Path(os.environ["COUNTERSIGN_PROFILE_TO"])
        books = {kind: names.most_common(60) for kind, names in list(self.kinds.items())}
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(books))
        draft.rename(path)


def _stack(frame: FrameType | None) -> Any:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _library(frame: FrameType) -> str:
    parts = frame.f_code.co_filename.split("/site-packages/")
    if len(parts) == 1:
        return "countersign" if parts[0].startswith(_ROOT) and ".venv" not in parts[0] else ""
    top = parts[1].split("/")[0].removesuffix(".py")
    return next((name for name in LIBRARIES if top.startswith(name)), top)


def _named(frame: FrameType) -> tuple[str, str]:
    file = frame.f_code.co_filename.removeprefix(_ROOT + "/").removeprefix("platform/")
    ours = not file.startswith("/") and file.startswith(OURS)
    if not ours:
        return "", ""
    name = (
        file.removesuffix(".py").replace("/", ".").removeprefix("agents.").removeprefix("runtime.")
    )
    return file, f"{name}.{frame.f_code.co_name}"


def main() -> None:
    """Run Celery with the books open."""
    books = Books()
    signal.signal(signal.SIGUSR1, books.begin)
    threading.Thread(target=books.keep, daemon=True, name="profile").start()
    from celery.__main__ import main as celery
    from celery.signals import worker_ready

    def arm(**_: Any) -> None:  # Celery takes these signals for itself while it starts
        signal.signal(signal.SIGUSR1, books.begin)
        signal.signal(signal.SIGUSR2, books.write)

    worker_ready.connect(arm, weak=False)
    celery()


if __name__ == "__main__":
    main()
