"""Runs repository code: without network, host files or secrets, under limits, and says how.

The mode is probed once per process by really running something in it.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Literal

from django.conf import settings

from agents.workspace.exceptions import SandboxUnavailable
from agents.workspace.running import Run, run_bounded

Mode = Literal["bubblewrap", "rlimits"]

_NOBODY = 65534
_CPU_SECONDS = 300
_LIMITS = {
    "as": 4 * 1024**3,
    "fsize": 64 * 1024**2,
    "nofile": 512,
    "nproc": 256,
    "core": 0,
}
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_SYSTEM_FILES = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d")
_PROGRAMS = ("/usr/local/bin", "/usr/bin", "/bin")

# Sets its own limits, then becomes the command. No process limit: it would count every process
# of the user the service runs as.
_LIMITER = """
import contextlib, os, resource, sys
for option in sys.argv[1:-1]:
    name, _, size = option[2:].partition("=")
    if name != "nproc":
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(getattr(resource, "RLIMIT_" + name.upper()), (int(size), int(size)))
os.execv("/bin/sh", ["/bin/sh", "-c", sys.argv[-1]])
"""


@cache
def available() -> Mode | None:
    """Return the strongest mode usable here: bubblewrap, resource limits only, or nothing."""
    if _bubblewrap_prefix() is not None:
        return "bubblewrap"
    return "rlimits" if os.name == "posix" else None


def run(
    command: str,
    *,
    folder: Path,
    seconds: float,
    allow_rlimits_only: bool,
    read_only: bool = False,
) -> Run:
    """Run a shell command in a folder, both thrown away by the caller; blocks, so use a thread.

    Raises SandboxUnavailable when there is no sandbox and limits alone are not allowed.
    The folder is given to the user nobody when the service runs as root.
    """
    if available() == "bubblewrap":
        prefix = _bubblewrap_prefix() or []
        if _drops_root(prefix) and not read_only:
            _give_away(folder)
        arguments = [*prefix, "--bind" if not read_only else "--ro-bind", str(folder), "/w"]
        # Entered by the user who runs it: root without its capabilities may not.
        arguments += ["--", *_user(prefix), "env", "--chdir=/w", *_limits(seconds)]
        return run_bounded(
            [*arguments, "/bin/sh", "-c", command],
            seconds=seconds,
            sandbox="bubblewrap",
            cwd="/",
            env={},
        )
    if available() is None or not allow_rlimits_only:
        raise SandboxUnavailable
    with tempfile.TemporaryDirectory(prefix="countersign-home-") as home:
        return run_bounded(
            [sys.executable, "-I", "-c", _LIMITER, *_limits(seconds)[1:], command],
            seconds=seconds,
            sandbox="rlimits",
            cwd=str(folder),
            env=_environment(home),
        )


@cache
def _bubblewrap_prefix() -> list[str] | None:
    """Return the arguments that work on this machine, None when none do."""
    if not shutil.which("bwrap"):
        return None
    # As root, becoming nobody for good is better: a process limit means nothing to root.
    ways = [_as_nobody()] if os.geteuid() == 0 else []
    ways.append([*_bubblewrap(), "--unshare-user", "--uid", str(_NOBODY), "--gid", str(_NOBODY)])
    for way in ways:
        probe = [*way, "--", *_user(way), *_limits(5), "/bin/sh", "-c", "exec true"]
        if run_bounded(probe, seconds=10, sandbox="bubblewrap", cwd="/", env={}).exit_code == 0:
            return way
    return None


def _bubblewrap() -> list[str]:
    system = [
        part
        for place in _SYSTEM
        if os.path.lexists(place)
        for part in (
            ["--symlink", os.readlink(place), place]
            if Path(place).is_symlink()
            else ["--ro-bind", place, place]
        )
    ]
    files = [part for place in _SYSTEM_FILES for part in ("--ro-bind-try", place, place)]
    environment = [part for item in _environment("/tmp").items() for part in ("--setenv", *item)]  # noqa: S108 - inside
    return [
        shutil.which("bwrap") or "bwrap",
        *("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"),
        *("--unshare-cgroup-try", "--die-with-parent", "--new-session", "--clearenv"),
        *("--cap-drop", "ALL"),
        *environment,
        *system,
        *("--perms", "0755", "--dir", "/etc", *files),
        *("--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/tmp"),  # noqa: S108 - inside
        *("--perms", "0755", "--dir", "/w"),
        *_toolchain(),
    ]


def _as_nobody() -> list[str]:
    kept = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")
    return [*_bubblewrap(), *(part for name in kept for part in ("--cap-add", name))]


def _drops_root(prefix: list[str]) -> bool:
    return "--cap-add" in prefix


def _user(prefix: list[str]) -> list[str]:
    if not _drops_root(prefix):
        return []
    who = [f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]
    return ["setpriv", *who, "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]


def _limits(seconds: float) -> list[str]:
    cpu = max(1, min(_CPU_SECONDS, int(seconds) + 1))
    return ["prlimit", *(f"--{name}={size}" for name, size in _LIMITS.items()), f"--cpu={cpu}"]


def _toolchain() -> list[str]:
    """Return the read-only mounts of the interpreter and of what the admin added."""
    arguments = []
    for place in _extra_places():
        for parent in reversed(Path(place).parents[:-1]):
            arguments += ["--perms", "0755", "--dir", str(parent)]
        arguments += ["--ro-bind", place, place]
    return arguments


@cache
def _extra_places() -> list[str]:
    """Return folders outside /usr that hold a toolchain: Python's, and SANDBOX_PATHS."""
    wanted = [*settings.SANDBOX_PATHS, sys.prefix, sys.base_prefix]
    places: list[str] = []
    for place in dict.fromkeys(str(Path(each).absolute()) for each in wanted):
        inside = any(Path(place).is_relative_to(known) for known in ("/usr", *places))
        if Path(place).is_dir() and not inside:
            places.append(place)
    return places


def _environment(home: str) -> dict[str, str]:
    programs = [f"{place}/bin" for place in (*settings.SANDBOX_PATHS, sys.prefix, sys.base_prefix)]
    return {
        "PATH": ":".join(dict.fromkeys([*programs, *_PROGRAMS])),
        "HOME": home,
        "TMPDIR": home,
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONHASHSEED": "0",
    }


def _give_away(folder: Path) -> None:
    """Let the user nobody write here. Links are given away themselves, never followed."""
    os.chown(folder, _NOBODY, _NOBODY)
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(Path(place) / name, _NOBODY, _NOBODY, follow_symlinks=False)
