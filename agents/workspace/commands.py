"""Starts git, and is the only module that does: nothing inherited, nothing configured by content."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from typing import TYPE_CHECKING

from agents.workspace import addresses, exceptions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LOCAL_SECONDS = 60
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_CONFIG = {
    "core.attributesFile": "/dev/null",
    "core.excludesFile": "/dev/null",
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "core.quotePath": "false",
    "diff.renameLimit": "5000",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "protocol.version": "2",
    "receive.autogc": "false",
}
_KEPT = ("PATH", "HOME", "LANG", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", "TMPDIR")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")


def run_git(
    *arguments: str,
    git_dir: Path,
    given: bytes = b"",
    seconds: float = LOCAL_SECONDS,
    fine: Sequence[int] = (0,),
    extra: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run git on one git directory with nothing inherited; raises GitFailed on other exits."""
    process = subprocess.Popen(  # noqa: S603 - fixed program, no shell
        ["git", *arguments],  # noqa: S607 - git comes from the PATH of the service
        env={**_environment(git_dir), **(extra or {})},
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(given, timeout=seconds)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise exceptions.GitFailed(f"git {arguments[0]} took longer than {seconds:g} s.") from None
    if process.returncode not in fine:
        raise exceptions.GitFailed(_what_git_said(arguments[0], errors))
    return subprocess.CompletedProcess(arguments, process.returncode, output, errors)


def _environment(git_dir: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in (*_KEPT, *_PROXIES) if name in os.environ}
    config = {
        f"GIT_CONFIG_{part}_{number}": text
        for number, item in enumerate(_CONFIG.items())
        for part, text in zip(("KEY", "VALUE"), item, strict=True)
    }
    return {
        **kept,
        **config,
        "GIT_CONFIG_COUNT": str(len(_CONFIG)),
        "GIT_DIR": str(git_dir),
        "GIT_INDEX_FILE": str(git_dir / "no-index"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": ":".join(addresses.PROTOCOLS),
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=15",
        "GIT_HTTP_LOW_SPEED_LIMIT": "1",
        "GIT_HTTP_LOW_SPEED_TIME": "30",
        "LC_ALL": "C",
    }


def _what_git_said(command: str, errors: bytes) -> str:
    said = addresses.without_secrets(errors.decode(errors="replace").strip())
    lines = [re.sub(r"[^\x20-\x7e]", "?", line) for line in said.splitlines() if line.strip()]
    return f"git {command}: {' · '.join(lines)[-400:]}" if lines else f"git {command} failed."


def check_sha(name: str) -> str:
    """Return an object name, refusing anything else before git could read it as an option."""
    if not _SHA.fullmatch(name):
        raise exceptions.GitFailed(f"{name[:80]!r} is not an object name.")
    return name
