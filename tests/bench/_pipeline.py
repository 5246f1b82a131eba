"""A whole installation under load: submits tasks, hears every event, reads what each process used."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import tempfile
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench._stub import StubServer

_TICKS = os.sysconf("SC_CLK_TCK")
PARTS = ("agents", "effects", "postgres", "redis", "stub", "bench")


class Installation:
    """`make up` with a stub model, a project of its own, and an ear on its events."""

    def __init__(self, stub: StubServer, env: dict[str, str] | None = None) -> None:
        self.stub = stub
        model = {"COUNTERSIGN_MODEL": "openai:stub", "OPENAI_BASE_URL": stub.base_url}
        self.stack = Stack(
            env={**model, "OPENAI_API_KEY": "not-a-key", **(env or {})}, ready_within=400
        )
        self.ear: Ear | None = None
        self.signed: dict[str, float] = {}  # when the signature of each task was begun
        self.idle_percent = 0.0  # of one core, with nothing to do
        self.idle_connections = 0
        self._number = 0

    def __enter__(self) -> Self:
        self.stack.__enter__()
        os.environ |= {name: str(value) for name, value in self.stack.reach.items()}
        os.environ["COUNTERSIGN_DATA_DIR"] = str(self.stack.data_dir)
        os.environ["COUNTERSIGN_SIGNING_KEY_FILE"] = str(self.stack.data_dir / "signing-key")
        os.environ["COUNTERSIGN_MODEL"] = "openai:stub"
        os.environ["DJANGO_SETTINGS_MODULE"] = "countersign.settings"
        import django

        django.setup()
        self.project, self.requester, self.lead = make_project(self.stack)
        self.ear = Ear(self.stack.reach["REDIS_URL"], str(self.project.pk))
        return self

    def __exit__(self, *_: object) -> None:
        if self.ear is not None:
            self.ear.close()
        self.stack.__exit__()

    def settle_down(self, seconds: float = 5.0) -> None:
        """Wait until what start-up still does is over, and note what idleness costs."""
        time.sleep(3)
        before = self.cpu()
        time.sleep(seconds)
        after = self.cpu()
        parts = ("agents", "effects", "postgres", "redis")
        self.idle_percent = sum(after[part] - before[part] for part in parts) / seconds * 100

    def submit(self, *, change: bool) -> str:
        """Hand in one task; return its id."""
        from agents import intake

        self._number += 1
        asked = f"[change] {self._number}" if change else f"Is it healthy? ({self._number})"
        made = intake.submit(project=self.project, requester=self.requester, request=asked)
        return str(made.task.pk)

    def submit_many(self, count: int, *, change: bool) -> list[str]:
        """Hand in many tasks from four threads at once."""
        from django.db import connection

        def share(each: int) -> list[str]:
            try:
                return [self.submit(change=change) for _ in range(each)]
            finally:
                connection.close()

        with ThreadPoolExecutor(4) as pool:
            shares = [count // 4 + (number < count % 4) for number in range(4)]
            return [task for made in pool.map(share, shares) for task in made]

    def wait(self, tasks: Sequence[str], kind: str, seconds: float) -> None:
        """Wait until an event of this kind was heard of every task."""
        assert self.ear is not None
        self.ear.wait(tasks, kind, seconds)

    def heard(self, task: str, kind: str) -> float:
        """Return when the first event of this kind was heard, on time.perf_counter()'s clock."""
        assert self.ear is not None
        return self.ear.heard[task, kind]

    def approve(self, task: str) -> float:
        """Sign what waits of a task as the lead, who has looked at it; return when that began."""
        from approvals.deciding import decide
        from approvals.models import Approval
        from tests.approval_fixtures import view_all

        pending = Approval.objects.get(task=task, state="pending")
        view_all(pending, self.lead)
        began = self.signed[task] = time.perf_counter()
        decide(
            pending.pk,
            by=self.lead,
            verdict="approve",
            digest=pending.digest,
            nonce=pending.nonce,
        )
        return began

    def spans(self, tasks: Sequence[str]) -> dict[str, list[float]]:
        """Return where the milliseconds of tasks went, by the database's clock at each event."""
        from agents.models import Event

        rows = Event.objects.filter(task__in=tasks).order_by("task", "seq")
        events: dict[Any, list[Any]] = defaultdict(list)
        for event in rows.values("task", "kind", "data", "at", "step__kind"):
            events[event["task"]].append(event)
        spans: dict[str, list[float]] = defaultdict(list)
        for each in events.values():
            for name, value in _spans_of(each):
                spans[name].append(value)
        return spans

    def cpu(self) -> dict[str, float]:
        """Return the CPU seconds of each part up to now, ended children included."""
        pids = {**self.stack.pids, "stub": self.stub.pid, "bench": os.getpid()}
        used: dict[str, float] = defaultdict(float)
        for name, pid in pids.items():
            part = next((part for part in PARTS if name.startswith(part)), "")
            if part:
                used[part] += cpu_of(pid, deep=part not in {"bench"})
        return used

    def statistics(self) -> dict[str, int]:
        """Return transactions and rows written so far, and connections now."""
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT xact_commit, tup_inserted, tup_updated,"
                " (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
                "  AND pid <> pg_backend_pid())"
                " FROM pg_stat_database WHERE datname = current_database()"
            )
            names = ("transactions", "inserted", "updated", "connections")
            return dict(zip(names, cursor.fetchone(), strict=True))


class Ear:
    """Notes when each event of a project was published."""

    def __init__(self, url: str, project: str) -> None:
        import redis

        self.heard: dict[tuple[str, str], float] = {}
        self._news = threading.Condition()
        self._pubsub = redis.Redis.from_url(url).pubsub(ignore_subscribe_messages=True)
        self._pubsub.subscribe(**{f"cs:project:{project}": self._hear})
        self._thread = self._pubsub.run_in_thread(sleep_time=5.0, daemon=True)

    def _hear(self, message: dict[str, Any]) -> None:
        now = time.perf_counter()
        moved = json.loads(message["data"])
        with self._news:
            self.heard.setdefault((moved["task"], moved["kind"]), now)
            self._news.notify_all()

    def wait(self, tasks: Sequence[str], kind: str, seconds: float) -> None:
        """Wait until the kind was heard of every task; raises TimeoutError, saying how many."""
        left = {(task, kind) for task in tasks}
        deadline = time.monotonic() + seconds
        with self._news:
            while left := {key for key in left if key not in self.heard}:
                if not self._news.wait(min(1.0, max(0.0, deadline - time.monotonic()))):
                    left -= self.heard.keys()
                    if time.monotonic() > deadline:
                        raise TimeoutError(f"{kind} was not heard of {len(left)} tasks")

    def close(self) -> None:
        """Stop listening."""
        self._thread.stop()


def make_project(stack: Stack) -> tuple[Any, Any, Any]:
    """Make a project with a small repository, checks that cost nothing, and no undo window."""
    from agents.models import ModelProfile
    from approvals.models import Policy
    from projects.models import Membership, Project, User

    # As an admin enters it: without a price every turn would warn of that.
    ModelProfile.objects.update(usd_per_million_input=1, usd_per_million_output=4)
    requester = User.objects.get(username=stack.accounts["requester"]["username"])
    lead = User.objects.get(username=stack.accounts["lead"]["username"])
    project = Project.objects.create(
        slug="bench",
        name="Bench",
        repository=str(make_repository(Path(tempfile.mkdtemp(dir=stack.data_dir)))),
        checks_command="true",
        allow_rlimits_only=True,
    )
    for user, role in ((requester, "requester"), (lead, "lead")):
        Membership.objects.create(project=project, user=user, role=role)
    Policy.objects.create(project=project, version=1, undo_seconds=0)
    return project, requester, lead


def make_repository(folder: Path) -> Path:
    """Make a bare repository with thirty small files."""
    work, bare = folder / "work", folder / "bench.git"
    (work / "notes").mkdir(parents=True)
    for number in range(30):
        (work / "notes" / f"note-{number}.txt").write_text(f"Note {number}\n" * 20)
    who = ["-c", "user.name=bench", "-c", "user.email=bench@example.com"]
    for command in (
        ["init", "-q", "-b", "main", str(work)],
        ["-C", str(work), "add", "."],
        [*who, "-C", str(work), "commit", "-q", "-m", "Begin"],
        ["clone", "-q", "--bare", str(work), str(bare)],
    ):
        subprocess.run(["git", *command], check=True, capture_output=True)
    return bare


def cpu_of(pid: int, *, deep: bool) -> float:
    """Return the CPU seconds of a process, of its ended children and (`deep`) its living ones."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split() if deep else []
    except FileNotFoundError:
        return 0.0
    own = sum(int(field) for field in fields[11:15]) / _TICKS
    return own + sum(cpu_of(int(child), deep=True) for child in children)


def _spans_of(events: list[dict[str, Any]]) -> list[tuple[str, float]]:
    """Split one task at its milestones; each span begins where the one before ended."""
    times: dict[str, float] = {}
    for event in events:
        name = _milestone(event)
        if name:
            later = name == "last step done"
            if later or name not in times:
                times[name] = event["at"].timestamp() * 1000
    order = [name for name in MILESTONES if name in times]
    return [(b, times[b] - times[a]) for a, b in itertools.pairwise(order)]


# In order, by the kind of event and of its step.
_OF = {
    ("task.submitted", None): "submitted",
    ("step.started", "route"): "router claimed",
    ("task.planned", None): "planned",
    ("step.started", "work"): "first step claimed",
    ("step.finished", "work"): "last step done",
    ("step.started", "assemble"): "aggregator claimed",
    ("proposal.ready", None): "proposed",
    ("approval.requested", None): "sealed",
}
MILESTONES = tuple(_OF.values())


def _milestone(event: dict[str, Any]) -> str:
    return _OF.get((event["kind"], event["step__kind"]), "")
