"""The smoke run of the chaos: a selection of failpoints and faults, no violation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 900  # seconds; two minutes on a machine that does nothing else


def test_a_house_that_is_broken_at_every_turn_loses_and_doubles_nothing():
    command = [sys.executable, "-m", "tests.chaos", "--smoke"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=LONGEST, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr[-5_000:]
