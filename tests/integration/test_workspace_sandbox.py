"""Repository code cannot reach the network, the host, secrets, or live on after its run."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from agents.workspace import sandbox
from agents.workspace.checks import run_checks
from agents.workspace.exceptions import SandboxUnavailable
from agents.workspace.git import Store
from agents.workspace.running import run_bounded
from tests.workspace_fixtures import make_repository

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

needs_sandbox = pytest.mark.needs_sandbox
usable = pytest.mark.skipif(
    sandbox.available() != "bubblewrap", reason="no usable bubblewrap on this machine"
)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., sandbox.Run]:
    folder = tmp_path / "tree"
    folder.mkdir()

    def inside(command: str, seconds: float = 20, **options: bool) -> sandbox.Run:
        options.setdefault("allow_rlimits_only", False)
        return sandbox.run(command, folder=folder, seconds=seconds, **options)

    inside.folder = folder
    return inside


@needs_sandbox
@usable
def test_python_and_the_shell_work(run):
    (run.folder / "x.py").write_text("print('hello')\n")
    done = run("python x.py && echo $((1 + 1)) | sed s/2/two/")
    assert (done.exit_code, done.output) == (0, "hello\ntwo\n")
    assert done.sandbox == "bubblewrap"
    assert run("exit 7").exit_code == 7
    assert run("python -c 'import sys; print(sys.version_info[:2])'").output.strip() == str(
        sys.version_info[:2]
    )


@needs_sandbox
@usable
def test_nothing_of_the_host_is_there(run, tmp_path, monkeypatch):
    monkeypatch.setenv("CANARY_KEY", "hush-hush")
    (tmp_path / "outside").write_text("hush-hush")
    (run.folder / "link").symlink_to(tmp_path / "outside")
    for command in (
        "env; cat /proc/*/environ | tr '\\0' '\\n'",
        "cat /etc/passwd /etc/shadow",
        "cat link",
        f"cat {tmp_path}/outside",
        f"ls {tmp_path} {os.getcwd()}",
        "cat /proc/1/cmdline /proc/1/environ",
        "ls /proc/1/root/root /proc/1/cwd",
    ):
        done = run(command)
        assert "hush-hush" not in done.output, command
        assert "root:" not in done.output, command
    assert run("test -e /work").exit_code in {0, 1}
    assert run("id -u; id -g; grep CapEff /proc/self/status").output.split() == [
        "65534",
        "65534",
        "CapEff:",
        "0" * 16,
    ]


@needs_sandbox
@usable
def test_the_toolchain_cannot_be_changed(run):
    done = run(f"touch {sys.prefix}/x {sys.base_prefix}/x /usr/x /x; true")
    assert done.output.count("cannot touch") == 4


@needs_sandbox
@usable
def test_the_network_is_closed(run):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = f"import socket; socket.create_connection(('127.0.0.1', {port}), 2)"
        done = run(f'python -c "{code}"')
    assert done.exit_code != 0
    assert "refused" in done.output
    assert "1" not in run("ls /sys/class/net 2>/dev/null | grep -cv '^lo$'").output.split()


@needs_sandbox
@usable
def test_abstract_sockets_of_the_host_are_out_of_reach(run):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0countersign-test")
        server.listen()
        code = "import socket; socket.socket(socket.AF_UNIX).connect(chr(0) + 'countersign-test')"
        assert "refused" in run(f'python -c "{code}"').output


@needs_sandbox
@usable
def test_time_is_limited_and_nothing_lives_on(run):
    started = time.monotonic()
    done = run("sleep 987654 & setsid sleep 987654 & sleep 987654", seconds=1)
    assert time.monotonic() - started < 5
    assert done.timed_out
    assert done.exit_code is None
    run("setsid sleep 987654 & exit 0")
    deadline = time.monotonic() + 5
    while _running("sleep 987654") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _running("sleep 987654")


def _running(command: str) -> bool:
    told = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return command in told.stdout.splitlines()


@needs_sandbox
@usable
def test_memory_files_and_processes_are_limited(run):
    assert "MemoryError" in run("python -c 'x = bytearray(8 * 1024 ** 3)'").output
    done = run("head -c 200000000 /dev/zero > big; ls -l big")
    assert int(done.output.split()[-5]) <= 64 * 1024**2
    code = (
        "import os, time\n"
        "n = 0\n"
        "try:\n"
        "    for n in range(1000):\n"
        "        if os.fork() == 0:\n"
        "            time.sleep(5)\n"
        "            os._exit(0)\n"
        "except OSError as error:\n"
        "    print('stopped', n < 400, error)\n"
    )
    (run.folder / "fork.py").write_text(code)
    done = run("python fork.py", seconds=8)
    assert "stopped True" in done.output


@needs_sandbox
@usable
def test_the_disk_of_the_host_cannot_be_filled(run, monkeypatch):
    if "--size" not in sandbox._bubblewrap_prefix():
        pytest.skip("this bubblewrap cannot bound what is written")
    small = ["4000000" if part == str(1024**3) else part for part in sandbox._bubblewrap_prefix()]
    monkeypatch.setattr(sandbox, "_bubblewrap_prefix", lambda: small)
    for place in ("big", "$HOME/big"):
        assert "No space left" in run(f"head -c 20000000 /dev/zero > {place}").output
    assert list(run.folder.iterdir()) == []


@needs_sandbox
@usable
def test_it_works_the_same_for_a_service_that_is_not_root(run, monkeypatch):
    mapped = sandbox._ways(sized=True)[-1]
    monkeypatch.setattr(sandbox, "_bubblewrap_prefix", lambda: mapped)
    monkeypatch.setenv("CANARY_KEY", "hush-hush")
    (run.folder / "x.py").write_text("print('hello')\n")
    (run.folder / "x.sh").write_text("echo run")
    (run.folder / "x.sh").chmod(0o755)
    done = run("python x.py && ./x.sh && id -u && touch new && ls && cat /proc/*/environ")
    assert done.output.startswith("hello\nrun\n65534\nnew\nx.py\nx.sh\n")
    assert "hush-hush" not in done.output
    assert sorted(each.name for each in run.folder.iterdir()) == ["x.py", "x.sh"]


@needs_sandbox
@usable
def test_output_of_any_size_is_cut_in_the_middle(run):
    done = run("echo first; yes | head -c 100000000; echo last")
    assert done.cut
    assert len(done.output) < 300_000
    assert done.output.startswith("first\n")
    assert done.output.endswith("last\n")
    assert "bytes of output were cut here" in done.output


@needs_sandbox
@usable
def test_a_folder_can_be_read_only(run):
    (run.folder / "a").write_text("a")
    done = run("cat a; touch b", read_only=True)
    assert done.output.startswith("atouch: cannot touch")


def test_without_a_sandbox_nothing_runs_unless_limits_alone_are_allowed(run, monkeypatch):
    monkeypatch.setattr(sandbox, "available", lambda: "rlimits")
    with pytest.raises(SandboxUnavailable, match="install bubblewrap"):
        run("echo hi")
    done = run("echo hi; python -c 'x = bytearray(8 * 1024 ** 3)'", allow_rlimits_only=True)
    assert done.sandbox == "rlimits"
    assert done.output.startswith("hi\n")
    assert "MemoryError" in done.output
    monkeypatch.setattr(sandbox, "available", lambda: None)
    with pytest.raises(SandboxUnavailable):
        run("echo hi", allow_rlimits_only=True)


def test_limits_alone_pass_no_secrets_on(run, monkeypatch):
    monkeypatch.setattr(sandbox, "available", lambda: "rlimits")
    monkeypatch.setenv("CANARY_KEY", "hush-hush")
    done = run("env; ulimit -f; sleep 1 &", allow_rlimits_only=True)
    assert "hush-hush" not in done.output
    assert f"HOME={os.environ.get('HOME')}\n" not in done.output
    late = run("sleep 100", seconds=0.5, allow_rlimits_only=True)
    assert late.timed_out


def test_a_program_that_is_not_there_is_an_exit_code(run, tmp_path):
    done = run_bounded(["/bin/sh", "-c", "nonesuch"], seconds=5, sandbox="", cwd="/", env={})
    assert done.exit_code == 127


class Project:
    checks_command = "python -m unittest discover -s tests -t . -v"
    allow_rlimits_only = False


FAILING = (
    "import unittest\n\n\nclass T(unittest.TestCase):\n    def test_a(self):\n        self.fail()\n"
)


@needs_sandbox
@usable
def test_checks_run_on_a_copy_that_is_thrown_away(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    files = {"tests/__init__.py": "", "tests/test_a.py": FAILING}
    repository = make_repository(tmp_path / "origin.git", files)
    store = Store(tmp_path / "store.git", repository=str(repository), main="main")
    before = sorted(each.name for each in tmp_path.iterdir())
    report = run_checks(Project(), store, store.fetch())
    assert (report.ran, report.passed, report.failed, report.exit_code) == (True, 0, 1, 1)
    assert "FAIL: test_a" in report.output_tail
    assert sorted(each.name for each in tmp_path.iterdir()) == [*before, "store.git"]


def test_a_project_without_checks_says_so(tmp_path):
    class Bare(Project):
        checks_command = " "

    report = run_checks(Bare(), Store(tmp_path, repository="/x", main="main"), "0" * 40)
    assert (report.ran, report.why_not) == (False, "The project has no checks command.")


def test_run_ends_when_nobody_waits_for_it_any_more():
    asked = iter([False, False, True])
    done = run_bounded(
        ["sleep", "60"], seconds=60, sandbox="", cwd="/", env={}, stopped=lambda: next(asked)
    )
    assert (done.exit_code, done.seconds < 10) == (None, True)
