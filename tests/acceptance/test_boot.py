"""One command starts everything, says so on one screen, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from projects.signing_keys import public_half
from tests.stack import Stack, refused, stack_environment


@pytest.fixture
def data_dir():
    folder = Path(tempfile.mkdtemp(prefix="countersign-boot-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def stack():
    with Stack() as running:
        yield running


def process_tree(pid: int) -> set[int]:
    """Return a process and all its descendants."""
    found = {pid}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found |= process_tree(int(child))
    return found


def alive(pids: set[int]) -> set[int]:
    """Keep the processes that still run; a zombie does not."""
    running = set()
    for pid in pids:
        try:
            status = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if ") Z " not in status:
            running.add(pid)
    return running


def gone_within(pids: set[int], seconds: float) -> set[int]:
    """Wait for processes to end; return those that have not."""
    deadline = time.monotonic() + seconds
    while alive(pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    return alive(pids)


def one_sentence(text: str) -> str:
    """Return what was said, which must be one line without a traceback."""
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) == 1, text
    assert "Traceback" not in text
    return lines[0]


def test_screen_says_what_a_person_needs(stack):
    for wanted in (
        f"http://localhost:{stack.reach['COUNTERSIGN_PORT']}",
        "rehearsal",
        "COUNTERSIGN_MODEL=openai:NAME",
        str(stack.data_dir),
        *(account["password"] for account in stack.accounts.values()),
    ):
        assert wanted in stack.output


def test_accounts_are_private_and_work(stack):
    path = stack.data_dir / "demo-accounts.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(stack.accounts) == ["requester", "lead", "second_lead", "admin"]
    for name, account in stack.accounts.items():
        assert account["username"] == name
        assert account["token"].startswith("cs_")


def test_parts_are_ready_and_the_process_lives(stack):
    status, parts = stack.readiness()
    assert status == 200
    workers = {"agents worker", "effects worker"}
    services = {"database", "migrations", "redis", "broker"}
    assert set(parts) == {*services, "signing key", *workers}
    assert all(parts.values())


def test_the_web_process_alone_is_given_the_key_to_sign_with(stack):
    given = {
        name: b"COUNTERSIGN_SIGNING_KEY" in Path(f"/proc/{pid}/environ").read_bytes()
        for name, pid in stack.pids.items()
    }
    assert [name for name, has_it in given.items() if has_it] == ["web"]
    assert (stack.data_dir / "signing-key").stat().st_mode & 0o777 == 0o600
    (public,) = (stack.data_dir / "signing-keys.pub").read_text().split()
    assert public == public_half((stack.data_dir / "signing-key").read_text())


def test_a_signing_key_that_is_too_short_is_refused_in_one_sentence(tmp_path):
    said = one_sentence(refused(tmp_path, {"COUNTERSIGN_SIGNING_KEY": "short"}))
    assert "COUNTERSIGN_SIGNING_KEY is no key: A signing key needs at least 32 characters" in said


def test_other_commands_find_the_services(stack):
    done = stack.manage("shell", "--no-imports", "-c", _COUNT_PROJECTS)
    assert done.stdout.strip() == "['billing-demo']", done.stderr


_COUNT_PROJECTS = "from projects.models import Project; print(list(Project.objects.values_list('slug', flat=True)))"


def test_second_start_in_the_same_data_directory_is_refused(stack):
    said = one_sentence(refused(stack.data_dir))
    assert f"{stack.data_dir} is in use by process {stack.pids['supervisor']}" in said
    assert stack.ready()


def test_busy_port_is_refused(data_dir):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = one_sentence(refused(data_dir, {"COUNTERSIGN_PORT": port}))
    assert said.startswith(f"Port {port} cannot be used")


def test_readiness_tells_a_missing_worker_and_it_comes_back(stack):
    for name in ("effects", "web"):
        assert stack.restart(name) > 0
    assert "The effects worker ended (signal SIGKILL)" in stack.output


@pytest.mark.parametrize(
    ("env", "wanted"),
    [
        ({"COUNTERSIGN_PORT": "eighty"}, "COUNTERSIGN_PORT must be a whole number"),
        ({"COUNTERSIGN_PORT": "70000"}, "COUNTERSIGN_PORT must be 0 to 65535"),
        ({"SECRET_KEY_FILE": "/nowhere/key"}, "SECRET_KEY_FILE names /nowhere/key"),
        ({"DATABASE_URL_FILE": "/nowhere/url"}, "DATABASE_URL_FILE names /nowhere/url"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY is shorter"),
        ({"COUNTERSIGN_MODEL": "gpt-5"}, "COUNTERSIGN_MODEL is 'gpt-5'"),
        ({"COUNTERSIGN_MODEL": "openai:gpt-5"}, "OPENAI_API_KEY is not set"),
        ({"DATABASE_URL": "mysql://here/db"}, "DATABASE_URL must look like postgresql://"),
        ({"DATABASE_URL": "postgresql://x@127.0.0.1:1/db"}, "The database at postgresql://"),
        ({"REDIS_URL": "redis://127.0.0.1:1/0"}, "Redis at redis://127.0.0.1:1/0 does not answer"),
        ({"CELERY_BROKER_URL": "amqp://127.0.0.1:1//"}, "The broker at amqp://127.0.0.1:1"),
        ({"CELERY_BROKER_URL": "confluentkafka://here"}, "CELERY_BROKER_URL begins with confluent"),
        ({"COUNTERSIGN_AGENT_WORKERS": "0"}, "COUNTERSIGN_AGENT_WORKERS must be 1 to 64"),
        ({"KAFKA_URL": "here:9092"}, "KAFKA_URL must look like kafka://host:9092"),
        ({"ALLOWED_HOSTS": "example.com"}, "ALLOWED_HOSTS leaves out localhost"),
        ({"ALLOWED_HOSTS": ","}, "ALLOWED_HOSTS leaves out localhost"),
        ({"COUNTERSIGN_SANDBOX_PATHS": "/nowhere"}, "COUNTERSIGN_SANDBOX_PATHS names /nowhere"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_unusable_setting_gets_one_sentence(data_dir, env, wanted):
    lines = [line for line in refused(data_dir, env).splitlines() if "First start" not in line]
    said = one_sentence("\n".join(line for line in lines if "Everything is stopped" not in line))
    assert wanted in said


def test_unwritable_data_directory_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    said = one_sentence(refused(tmp_path / "file" / "data"))
    assert "cannot be written" in said
    assert "COUNTERSIGN_DATA_DIR" in said


def test_lost_accounts_file_means_new_passwords(stack):
    old = stack.accounts
    (stack.data_dir / "demo-accounts.json").unlink()
    assert stack.manage("seed").returncode == 0
    renewed = stack.accounts
    assert renewed.keys() == old.keys()
    assert renewed["lead"]["password"] != old["lead"]["password"]
    assert stack.manage("seed").returncode == 0
    assert stack.accounts == renewed


def test_stop_leaves_no_process_and_the_next_start_has_the_data(data_dir):
    with Stack(data_dir=data_dir) as first:
        accounts = first.accounts
        tree = process_tree(first.pids["supervisor"])
        assert len(tree) >= 6
        assert first.stop(signal.SIGTERM) < 10
        assert not alive(tree)
        assert first.process is not None
        assert first.process.returncode == 0
        assert not (data_dir / "runtime.json").exists()
    with Stack(data_dir=data_dir) as second:
        assert second.ready_after < 20 * crowded()
        assert second.accounts == accounts
        killed = process_tree(second.pids["supervisor"])
        second.kill("supervisor")
        assert not gone_within(killed, 10)
    through_make(data_dir)


def through_make(data_dir):
    """Start after the crash with make, and stop make."""
    env = stack_environment(data_dir)
    with subprocess.Popen(
        ["make", "up"], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as make:
        try:
            assert make.stdout is not None
            said = []
            for line in iter(make.stdout.readline, ""):
                said.append(line)
                if "Ctrl-C stops everything" in line:
                    break
            assert "Ctrl-C stops everything" in said[-1], "".join(said)
            tree = process_tree(make.pid)
            began = time.monotonic()
            make.terminate()
            make.communicate(timeout=20)
            assert time.monotonic() - began < 10
            assert not alive(tree)
        finally:
            if make.poll() is None:
                make.kill()


def crowded() -> float:
    """Return how many processes want each processor: what is promised is for a quiet machine."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
