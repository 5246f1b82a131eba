"""Failpoints: every call names a registered point, and each fires as often as it was armed."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

from projects import failpoints

ROOT = Path(__file__).resolve().parents[2]
HOUSE = ("agents", "approvals", "memory", "platform")


def calls() -> Counter[str]:
    """Count the failpoint calls in the house by their name; a computed name is a mistake."""
    found: Counter[str] = Counter()
    for path in (path for top in HOUSE for path in (ROOT / top).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("failpoint"):
                (name,) = node.args
                assert isinstance(name, ast.Constant), f"{path}:{node.lineno}"
                found[name.value] += 1
    return found


def test_every_point_is_called_once_and_every_call_is_a_point():
    assert calls() == Counter(dict.fromkeys(failpoints.POINTS, 1))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(failpoints, "_FOLDER", str(tmp_path))
    return tmp_path


def test_armed_point_fires_as_often_as_it_was_armed(folder):
    failpoints.arm(folder, "turn.stored", "raise", times=2)
    failpoints.failpoint("turn.begun")
    for _ in range(2):
        with pytest.raises(failpoints.FailpointReached, match=r"turn\.stored"):
            failpoints.failpoint("turn.stored")
    failpoints.failpoint("turn.stored")
    assert failpoints.disarm(folder) == ["turn.stored", "turn.stored"]
    assert list(folder.iterdir()) == []


def test_unarmed_points_do_nothing_and_unknown_ones_cannot_be_armed(folder):
    failpoints.arm(folder, "turn.stored", "kill")
    assert failpoints.disarm(folder) == []
    failpoints.failpoint("turn.stored")
    with pytest.raises(ValueError, match="no failpoint"):
        failpoints.arm(folder, "turn.imagined", "kill")
