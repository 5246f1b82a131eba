"""The loop of the effects worker: real threads, real Redis, real processes that die."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import pytest
import redis
from django.conf import settings
from django.db import connection

from agents.lifecycle import TaskState
from agents.models import Hunk
from approvals import policies, sealing
from approvals.aside import LOOK_SECONDS
from approvals.executor import Executor
from approvals.models import Approval, Effect
from projects.models import Membership, Project
from tests.approval_fixtures import end_time, git, make_change, make_report, make_repository
from tests.reviewing import decide

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.django_db(transaction=True)


def _until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def _approve(approval: Approval, by) -> Effect:
    decide(approval.pk, by=by, verdict="approve", digest=approval.digest, nonce=approval.nonce)
    return Effect.objects.get(approval=approval)


@pytest.fixture
def executor():
    running = Executor("test")
    running.start()
    yield running
    assert running.stop(seconds=10)


@pytest.fixture
def bare(project, lead, tmp_path):
    policies.change(project, by=lead, undo_seconds=0)
    return make_repository(tmp_path, project)


def test_a_proposal_is_sealed_and_carried_out_without_a_bell(
    executor, project, requester, lead, bare, tmp_path
):
    proposal = make_change(project, requester, tmp_path)
    _until(lambda: Approval.objects.filter(proposal=proposal).exists())
    effect = _approve(Approval.objects.get(), lead)
    _until(lambda: Effect.objects.filter(pk=effect.pk, state="done").exists())
    effect.refresh_from_db()
    assert effect.worker == "test"
    assert git(bare, "rev-parse", "main") == effect.result["commit"]


def test_what_waits_behind_a_merge_is_merged_anew_unasked(
    executor, project, requester, lead, bare, tmp_path
):
    first, second = (sealing.seal(make_change(project, requester, tmp_path)) for _ in range(2))
    effect = _approve(first, lead)
    _until(lambda: Effect.objects.filter(pk=effect.pk, state="done").exists())
    again = second.task.steps.filter(key="assemble-2", state="ready")
    _until(again.exists, 4 * LOOK_SECONDS)
    second.refresh_from_db()
    assert (second.state, second.replaced) == ("stale", False)


def test_an_approval_expires_by_the_clock_of_the_database(executor, project, requester):
    approval = sealing.seal(make_report(project, requester))
    end_time(approval)
    _until(lambda: Approval.objects.filter(pk=approval.pk, state="expired").exists())


def test_the_worker_shows_that_it_lives_and_takes_the_sign_down(project):
    client = redis.Redis.from_url(settings.REDIS_URL)
    running = Executor("beating")
    running.start()
    _until(lambda: client.exists("cs:worker:effects:beating"))
    assert 0 < client.ttl("cs:worker:effects:beating") <= 15
    assert running.stop(seconds=10)
    assert not client.exists("cs:worker:effects:beating")
    client.close()


def test_the_loop_survives_the_loss_of_its_database_connection(executor, project, requester):
    first = make_report(project, requester)
    _until(lambda: Approval.objects.filter(proposal=first).exists())
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert cursor.fetchone()[0] >= 1
    second = make_report(project, requester)
    _until(lambda: Approval.objects.filter(proposal=second).exists())


def test_too_large_becomes_a_question_for_a_person(project, requester, bare, tmp_path):
    proposal = make_change(project, requester, tmp_path)
    Hunk.objects.filter(file__proposal=proposal, position=0).update(
        text="+" + "x" * (2 * 1024 * 1024)
    )
    assert sealing.seal_ready() == 1
    task = proposal.task
    task.refresh_from_db()
    assert not Approval.objects.exists()
    assert task.state == TaskState.NEEDS_HUMAN
    question = task.escalations.get()
    assert "larger than 2 MiB" in question.detail
    assert question.options == ["stop"]
    assert sealing.seal_ready() == 0


def test_one_proposal_that_cannot_be_sealed_does_not_hold_up_the_others(project, requester):
    bad = make_report(project, requester)
    type(bad).objects.filter(pk=bad.pk).update(warnings=[{"kind": "x"}])
    good = make_report(project, requester)
    sealing.seal_ready()
    assert Approval.objects.get().proposal == good
    question = bad.task.escalations.get()
    assert (question.rule, question.options) == ("fault", ["retry_with_note", "stop"])
    assert sealing.seal_ready() == 0


_DIES = """
import os, sys
import django
django.setup()
from agents.workspace.git import Store
from approvals import effects
owner = {"effects": effects, "Store": Store}[sys.argv[1]]
real = getattr(owner, sys.argv[2])
def die(*args, **kwargs):
    if sys.argv[3] == "after":
        real(*args, **kwargs)
    os._exit(9)
setattr(owner, sys.argv[2], die)
effects.carry_out_due("doomed")
"""


def _environment() -> dict[str, str]:
    parts = urlsplit(os.environ["DATABASE_URL"])
    name = f"/{connection.settings_dict['NAME']}"
    paths = os.pathsep.join(path for path in sys.path if path)
    return {
        **os.environ,
        "DATABASE_URL": urlunsplit(parts._replace(path=name)),
        "DJANGO_SETTINGS_MODULE": "countersign.settings",
        "PYTHONPATH": paths,
    }


@pytest.mark.parametrize(
    ("owner", "name", "when", "left"),
    [
        ("effects", "act", "before", "doing"),
        ("Store", "push_main", "before", "doing"),
        ("Store", "push_main", "after", "doing"),
        ("effects", "finish", "after", "done"),
    ],
)
def test_a_process_that_dies_in_the_middle_leaves_exactly_one_merge(
    project, requester, lead, bare, tmp_path, owner, name, when, left
):
    effect = _approve(sealing.seal(make_change(project, requester, tmp_path)), lead)
    died = subprocess.run(
        [sys.executable, "-c", _DIES, owner, name, when],
        env=_environment(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert died.returncode == 9, died.stderr.decode()
    effect.refresh_from_db()
    assert effect.state == left
    running = Executor("next")
    running.start()
    try:
        _until(lambda: Effect.objects.filter(pk=effect.pk, state="done").exists())
    finally:
        assert running.stop(seconds=10)
    assert len(git(bare, "log", "--first-parent", "--format=%H", "main").split()) == 2
    effect.refresh_from_db()
    assert effect.result["commit"] == git(bare, "rev-parse", "main")


def test_a_celery_worker_of_the_effects_queue_hosts_the_loop_and_stops_on_sigterm(
    project, requester, lead, bare, tmp_path
):
    proposal = make_change(project, requester, tmp_path)
    command = ["-m", "celery", "-A", "countersign", "worker", "-P", "threads", "-c", "1"]
    with (tmp_path / "worker.log").open("wb") as log:
        worker = subprocess.Popen(
            [sys.executable, *command, "-Q", "effects", "--without-mingle", "--without-gossip"],
            env=_environment(),
            stdout=log,
            stderr=log,
        )
        try:
            _until(lambda: Approval.objects.filter(proposal=proposal).exists(), seconds=60)
            effect = _approve(Approval.objects.get(), lead)
            _until(lambda: Effect.objects.filter(pk=effect.pk, state="done").exists())
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(timeout=10) == 0
        finally:
            worker.kill()
            worker.wait(timeout=10)
    assert git(bare, "rev-parse", "main") == Effect.objects.get().result["commit"]


def test_a_repository_that_does_not_answer_holds_up_no_other_project(
    project, requester, lead, bare, tmp_path
):
    other = Project.objects.create(slug="other", name="Other", repository="x")
    for user, role in ((requester, "requester"), (lead, "lead")):
        Membership.objects.create(project=other, user=user, role=role)
    policies.change(other, by=lead, undo_seconds=0)
    (tmp_path / "other").mkdir()
    make_repository(tmp_path / "other", other)
    stuck = _approve(sealing.seal(make_change(project, requester, tmp_path)), lead)
    fine = _approve(sealing.seal(make_change(other, requester, tmp_path)), lead)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        project.repository = f"http://127.0.0.1:{silent.getsockname()[1]}/silent.git"
        project.save()
        running = Executor("side by side")
        running.start()
        _until(lambda: Effect.objects.filter(pk=stuck.pk, state="doing").exists())
        _until(lambda: Effect.objects.filter(pk=fine.pk, state="done").exists(), 60)
        assert Effect.objects.get(pk=stuck.pk).state == "doing"
    # The server is gone, so git gives up; nothing was sent.
    _until(lambda: Effect.objects.filter(pk=stuck.pk, state="failed").exists(), 60)
    assert running.stop(seconds=20)
