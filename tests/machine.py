"""Gets the machine ready for the tests: as root on Debian or Ubuntu, it installs what they need.

Run before pytest by `make test`. Elsewhere nothing is installed; tests/report.py says at the
end what was skipped and how to enable it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

WANTED = {
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "bubblewrap": ("bwrap",),
    "rabbitmq-server": ("rabbitmq-server",),
}
# Debian's own way to say that an installed package may not start its service: the tests start a
# RabbitMQ of their own, and this machine must not get one that listens.
POLICY = Path("/usr/sbin/policy-rc.d")
LONGEST = 600  # seconds for everything apt does
LOG = Path("tests/artifacts/apt.log")


def main() -> int:
    """Install what is missing where that is ours to do; a failure is told, not fatal."""
    missing = [name for name, commands in WANTED.items() if not any(map(shutil.which, commands))]
    if not missing or os.geteuid() != 0 or not shutil.which("apt-get"):
        return 0
    print(f"Installing {' and '.join(missing)} with apt-get for the tests.", flush=True)
    LOG.parent.mkdir(parents=True, exist_ok=True)
    try:
        with no_service_starts(), LOG.open("w") as log:
            for command in (["update"], ["install", "--no-install-recommends", *missing]):
                subprocess.run(
                    ["apt-get", "--quiet", "--yes", "-o", "DPkg::Lock::Timeout=120", *command],
                    env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    timeout=LONGEST,
                    check=True,
                )
    except (OSError, subprocess.SubprocessError) as error:
        print(f"That failed ({error}); its output is in {LOG}. The tests run without.")
    return 0


@contextmanager
def no_service_starts() -> Iterator[None]:
    """Let packages be installed without starting services; a policy that is there stays."""
    try:
        with POLICY.open("x") as policy:
            policy.write("#!/bin/sh\nexit 101\n")
    except FileExistsError:
        yield
        return
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


if __name__ == "__main__":
    sys.exit(main())
