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
from typing import TYPE_CHECKING, Literal

from django.conf import settings

from agents.workspace.exceptions import SandboxUnavailable
from agents.workspace.running import Run, run_bounded

if TYPE_CHECKING:
    from collections.abc import Callable

Mode = Literal["bubblewrap", "rlimits"]

_NOBODY = 65534
_CPU_SECONDS = 300
_TMP = "/tmp"  # noqa: S108 - a file system of its own, inside
_SOURCE, _TREE = "/source", "/w/tree"
_ENTER = f'cd {_TREE} && exec /bin/sh -c "$1"'
_DISK_BYTES = 1024**3  # of the copy, and of /tmp: both are memory
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
import contextlib, ctypes, os, resource, sys
with contextlib.suppress(AttributeError, OSError):
    ctypes.CDLL(None).prctl(1, 9)  # die with the service
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
    stopped: Callable[[], bool] = lambda: False,
) -> Run:
    """Run a shell command in a copy of a folder; blocks, so use a thread.

    Under bubblewrap the copy lives in memory of a bounded size, so the folder never changes
    (`read_only`: the folder itself, for looking). Under resource limits only, the command runs in
    the folder, which the caller throws away.
    Raises SandboxUnavailable when there is no sandbox and limits alone are not allowed.
    """
    if available() == "bubblewrap":
        prefix = _bubblewrap_prefix() or []
        mounts = ["--ro-bind", str(folder), _TREE if read_only else _SOURCE]
        inside = _ENTER if read_only else f"cp -dR --preserve=mode {_SOURCE} {_TREE} && {_ENTER}"
        shell = ["/bin/sh", "-c", inside, "sh", command]
        return run_bounded(
            [*prefix, *mounts, "--", *_user(prefix), *_limits(seconds), *shell],
            seconds=seconds,
            sandbox="bubblewrap",
            cwd="/",
            env={},
            stopped=stopped,
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
            stopped=stopped,
        )


@cache
def _bubblewrap_prefix() -> list[str] | None:
    """Return the arguments that work on this machine, None when none do."""
    if not shutil.which("bwrap"):
        return None
    # Older versions (before 0.8) cannot bound what is written; that is still a sandbox.
    for sized in (True, False):
        for prefix in _ways(sized=sized):
            probe = [*prefix, "--", *_user(prefix), *_limits(5), "/bin/sh", "-c", "exec true"]
            if run_bounded(probe, seconds=10, sandbox="", cwd="/", env={}).exit_code == 0:
                return prefix
    return None


def _ways(*, sized: bool) -> list[list[str]]:
    plain = _bubblewrap(sized=sized)
    kept = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")
    as_nobody = [*plain, *(part for name in kept for part in ("--cap-add", name))]
    mapped = [*plain, "--unshare-user", "--uid", str(_NOBODY), "--gid", str(_NOBODY)]
    # As root, becoming nobody for good is better: a process limit means nothing to root.
    return [as_nobody, mapped] if os.geteuid() == 0 else [mapped]


def _bubblewrap(*, sized: bool) -> list[str]:
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
    size = ["--size", str(_DISK_BYTES)] if sized else []
    files = [part for place in _SYSTEM_FILES for part in ("--ro-bind-try", place, place)]
    environment = [part for item in _environment(_TMP).items() for part in ("--setenv", *item)]
    return [
        shutil.which("bwrap") or "bwrap",
        *("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"),
        *("--unshare-cgroup-try", "--die-with-parent", "--new-session", "--clearenv"),
        *("--cap-drop", "ALL"),
        *environment,
        *system,
        *("--perms", "0755", "--dir", "/etc", *files),
        *("--proc", "/proc", "--dev", "/dev"),
        *(part for place in (_TMP, "/w") for part in (*size, "--perms", "1777", "--tmpfs", place)),
        *_toolchain(),
    ]


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
