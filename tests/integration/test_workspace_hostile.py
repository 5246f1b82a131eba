"""Repositories built to run programs on our machine: none of them does, whatever call we make."""

from __future__ import annotations

import ast
import stat
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agents.workspace.exceptions import PushRefused
from agents.workspace.files import Workspace
from agents.workspace.git import Store
from tests.workspace_fixtures import git, grow, make_repository

AT = datetime(2026, 3, 1, tzinfo=UTC)
ATTRIBUTES = "* filter=evil diff=evil merge=evil ident export-subst\n"
HOOKS = (
    "pre-receive",
    "update",
    "post-receive",
    "post-update",
    "push-to-checkout",
    "reference-transaction",
    "post-checkout",
    "post-merge",
    "post-index-change",
    "fsmonitor-watchman",
    "pre-auto-gc",
    "proc-receive",
)


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A program that leaves a mark when anything runs it."""
    program = tmp_path / "trap.sh"
    program.write_text(f'#!/bin/sh\necho "$0 $*" >> {tmp_path}/sprung\ncat\n')
    program.chmod(0o755)
    return program


def _set_traps(git_dir: Path, trap: Path) -> None:
    for name in (
        "core.fsmonitor",
        "core.pager",
        "core.editor",
        "core.sshCommand",
        "core.gitProxy",
        "core.askPass",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "diff.evil.textconv",
        "diff.evil.command",
        "diff.external",
        "merge.evil.driver",
        "gpg.program",
        "credential.helper",
        "uploadpack.packObjectsHook",
        "receive.procReceiveRefs",
        "sequence.editor",
        "pager.diff",
        "pager.log",
        "interactive.diffFilter",
        "uploadArchive.trap",
    ):
        git(git_dir, "config", "--local", name, str(trap))
    for name in ("diff", "merge", "push", "fetch", "upload-pack", "receive-pack", "update-index"):
        git(git_dir, "config", "--local", f"alias.{name}", f"!{trap}")
    extra = git_dir / "evil.config"
    extra.write_text(f"[core]\n\tfsmonitor = {trap}\n\thooksPath = {git_dir}/hooks\n")
    git(git_dir, "config", "--local", "include.path", str(extra))
    hooks = git_dir / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in HOOKS:
        (hooks / name).write_bytes(trap.read_bytes())
        (hooks / name).chmod(0o755)
    (git_dir / "info").mkdir(exist_ok=True)
    (git_dir / "info" / "attributes").write_text(ATTRIBUTES)


def _use_everything(store: Store, folder: Path) -> None:
    head = store.fetch()
    workspace = Workspace(store, folder)
    workspace.materialise(head)
    workspace.write("a.txt", b"changed\n")
    left = store.commit(workspace.snapshot(), parents=[head], message="Left", at=AT)
    right = grow(store, head, {"b.txt": "other\n"}, at=AT)
    clash = grow(store, head, {"a.txt": "clash\n"}, at=AT)
    merge = store.merge(left, right)
    assert merge.conflicts == []
    assert store.merge(left, clash).conflicts == ["a.txt"]
    new = store.commit(merge.tree, parents=[left, right], message="Merge", at=AT)
    assert store.diff(head, new)
    assert store.blob(new, "a.txt") == b"changed\n"
    store.find_on_main("Countersign-Task", "x")
    store.push_main(new, expected=head)
    assert store.main_now() == new


FILES = {
    "a.txt": "a\n",
    "b.txt": "b\n",
    ".gitattributes": ATTRIBUTES,
    ".lfsconfig": "[lfs]\n\turl = http://127.0.0.1:1/\n",
    ".gitmodules": '[submodule "x"]\n\tpath = x\n\turl = ext::sh -c touch\n\tupdate = !sh\n',
    "embedded.git/HEAD": "ref: refs/heads/main\n",
    "embedded.git/config": "[core]\n\tbare = true\n\tfsmonitor = touch /tmp/x\n",
    "hooks/pre-commit": "#!/bin/sh\n",
}


def test_a_hostile_bare_repository_runs_nothing(tmp_path, trap):
    repository = make_repository(tmp_path / "origin.git", FILES)
    _set_traps(repository, trap)
    store = Store(tmp_path / "store.git", repository=str(repository), main="main")
    _use_everything(store, tmp_path / "ws" / "step")
    assert not (tmp_path / "sprung").exists()


def test_the_traps_do_spring_for_a_careless_git(tmp_path, trap):
    repository = make_repository(tmp_path / "origin", FILES, bare=False)
    _set_traps(repository / ".git", trap)
    (repository / "a.txt").write_text("changed\n")
    subprocess.run(["git", "status"], cwd=repository, capture_output=True, check=False)
    assert (tmp_path / "sprung").exists()


@pytest.mark.parametrize("filters", [True, False])
def test_a_hostile_working_repository_runs_nothing(tmp_path, trap, filters):
    repository = make_repository(tmp_path / "origin", FILES, bare=False)
    _set_traps(repository / ".git", trap)
    if not filters:
        git(repository / ".git", "config", "--local", "--remove-section", "filter.evil")
    store = Store(tmp_path / "store.git", repository=str(repository), main="main")
    before = (repository / "a.txt").read_bytes()
    if filters:
        with pytest.raises(PushRefused, match="runs programs"):
            _use_everything(store, tmp_path / "ws" / "step")
        assert (repository / "a.txt").read_bytes() == before
    else:
        _use_everything(store, tmp_path / "ws" / "step")
    assert not (tmp_path / "sprung").exists()


def test_the_environment_of_the_service_does_not_steer_git(tmp_path, trap, monkeypatch):
    repository = make_repository(tmp_path / "origin.git", FILES)
    home = tmp_path / "home"
    (home / ".config" / "git").mkdir(parents=True)
    (home / ".gitconfig").write_text(
        f'[core]\n\tfsmonitor = {trap}\n[diff]\n\texternal = {trap}\n[filter "evil"]\n'
        f"\tclean = {trap}\n\tsmudge = {trap}\n[credential]\n\thelper = !{trap}\n"
    )
    (home / ".config" / "git" / "attributes").write_text(ATTRIBUTES)
    for name, value in {
        "HOME": str(home),
        "GIT_DIR": str(tmp_path / "elsewhere"),
        "GIT_WORK_TREE": str(home),
        "GIT_EXTERNAL_DIFF": str(trap),
        "GIT_EDITOR": str(trap),
        "GIT_PAGER": str(trap),
        "GIT_SSH": str(trap),
        "GIT_ASKPASS": str(trap),
        "GIT_TRACE": str(tmp_path / "sprung"),
        "GIT_CONFIG_PARAMETERS": f"'core.fsmonitor={trap}'",
        "GIT_OBJECT_DIRECTORY": str(home),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(home),
        "GIT_NAMESPACE": "other",
        "GIT_INDEX_FILE": str(home / "index"),
    }.items():
        monkeypatch.setenv(name, value)
    store = Store(tmp_path / "store.git", repository=str(repository), main="main")
    _use_everything(store, tmp_path / "ws" / "step")
    assert not (tmp_path / "sprung").exists()


def test_only_one_module_starts_git():
    root = Path(__file__).parents[2]
    packages = ("agents", "approvals", "memory", "platform")
    starters = []
    for file in (each for package in packages for each in (root / package).rglob("*.py")):
        lists = (
            n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.List | ast.Tuple)
        )
        firsts = (node.elts[0] for node in lists if node.elts)
        if any(isinstance(first, ast.Constant) and first.value == "git" for first in firsts):
            starters.append(file.relative_to(root).as_posix())
    assert starters == ["agents/workspace/commands.py"]
    text = (root / starters[0]).read_text()
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL"):
        assert f'"{name}"' in text


def test_the_store_is_for_the_service_alone(tmp_path):
    repository = make_repository(tmp_path / "origin.git", {"a": "a"})
    store = Store(tmp_path / "stores" / "s.git", repository=str(repository), main="main")
    store.fetch()
    assert stat.S_IMODE((tmp_path / "stores").stat().st_mode) == 0o700
    assert not (store.git_dir / "hooks").exists()
