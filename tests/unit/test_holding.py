"""The same change on another main, and each single thing that makes it another change."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from approvals import holding
from approvals.holding import Difference, difference

HUNK = {
    "id": "h1",
    "old_start": 3,
    "old_lines": 1,
    "new_start": 3,
    "new_lines": 1,
    "section": "",
    "text": "-a\n+b\n",
    "author": {"agent": "coder", "name": "Code agent", "step": "s1", "title": "Fix", "attempt": 1},
}
FILE = {
    "id": "f1",
    "path": "notes.py",
    "old_path": "notes.py",
    "status": "modified",
    "binary": False,
    "added": 1,
    "removed": 1,
    "old_mode": "100644",
    "new_mode": "100644",
    "old_blob": "a" * 40,
    "new_blob": "b" * 40,
    "hunks": [HUNK],
}
EFFECT = {
    "kind": "git.merge",
    "repository": "/demo",
    "project": "Demo",
    "branch": "main",
    "base": "1" * 40,
    "head": "2" * 40,
    "tree": "3" * 40,
    "files": 1,
    "added": 1,
    "removed": 1,
    "reversible": True,
}
SEALED: dict[str, Any] = {
    "version": 1,
    "task": {"id": "t", "number": 7, "label": "T-7", "title": "Fix", "request": "Fix it"},
    "requester": {"id": "mira", "name": "Mira"},
    "round": 1,
    "proposal": {
        "id": "p1",
        "version": 1,
        "kind": "change",
        "title": "Round once",
        "summary": "Once.",
        "report": "",
        "model": "rehearsal",
    },
    "files": [FILE],
    "claims": [{"text": "Tests pass", "agent": "coder", "verdict": "proven", "evidence": "4"}],
    "checks": {
        "command": "pytest",
        "sandbox": "bubblewrap",
        "ran": True,
        "exit_code": 0,
        "passed": 4,
        "failed": 0,
        "skipped": 1,
        "timed_out": False,
        "seconds": "1.2",
        "output_tail": "OK",
    },
    "warnings": [],
    "agents": [{"slug": "coder", "version": 1}],
    "planned_by": [{"slug": "router", "version": 1}],
    "memories": [{"id": "m"}],
    "usage": {"seconds": 9, "usd": "0.1", "tokens": 5, "turns": 2},
    "single_person": False,
    "nonce": "n1",
    "effects": [EFFECT],
    "risk": {"level": "medium", "reasons": ["Touches money paths: notes.py."]},
    "policy": {"id": "v1", "version": 1, "signatures_needed": 1, "signatures_hold": True},
    "expires_at": "2026-11-30T00:00:00+00:00",
}


def put(path: str, value: Any, sealed: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the snapshot with another value at a path."""
    changed = deepcopy(sealed or SEALED)
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place: Any = changed
    for part in way:
        place = place[part]
    place[last] = value
    return changed


def test_the_same_is_the_same():
    assert difference(SEALED, deepcopy(SEALED)) is None


OF_EACH_SEAL = {
    "nonce": "n2",
    "expires_at": "2026-12-01T00:00:00+00:00",
    "usage": {"seconds": 99},
    "follows": {"approval": "x"},
    "asked_again": {"name": "risk", "path": ""},
    "proposal.id": "p2",
    "proposal.version": 2,
    "files.0.id": "f2",
    "files.0.hunks.0.id": "h2",
    "files.0.hunks.0.author.step": "s2",
    "files.0.hunks.0.author.attempt": 2,
    "effects.0.base": "4" * 40,
    "effects.0.head": "5" * 40,
    "effects.0.tree": "6" * 40,
    "claims.0.evidence": "5",
    "checks.seconds": "9.9",
    "checks.output_tail": "OK again",
    "checks.passed": 5,
    "checks.skipped": 0,
    "risk.level": "low",
}


@pytest.mark.parametrize("path", OF_EACH_SEAL)
def test_what_each_seal_has_of_its_own_makes_no_other_change(path):
    assert difference(SEALED, put(path, OF_EACH_SEAL[path])) is None


OTHERS = {
    "version": (2, "version"),
    "task.id": ("u", "task"),
    "task.number": (8, "task"),
    "task.label": ("T-8", "task"),
    "task.title": ("Other", "task"),
    "task.request": ("Other", "task"),
    "requester.id": ("ravi", "requester"),
    "requester.name": ("Ravi", "requester"),
    "round": (2, "round"),
    "proposal.kind": ("report", "proposal"),
    "proposal.title": ("Other", "proposal"),
    "proposal.summary": ("Other", "proposal"),
    "proposal.report": ("Other", "proposal"),
    "proposal.model": ("other", "proposal"),
    "files.0.path": ("other.py", "the list of files of notes.py"),
    "files.0.old_path": ("other.py", "old_path of notes.py"),
    "files.0.status": ("added", "status of notes.py"),
    "files.0.binary": (True, "binary of notes.py"),
    "files.0.added": (2, "added of notes.py"),
    "files.0.removed": (2, "removed of notes.py"),
    "files.0.old_mode": ("100755", "old_mode of notes.py"),
    "files.0.new_mode": ("100755", "new_mode of notes.py"),
    "files.0.old_blob": ("c" * 40, "old_blob of notes.py"),
    "files.0.new_blob": ("c" * 40, "new_blob of notes.py"),
    "files.0.unheard_of": (1, "unheard_of of notes.py"),
    "files.0.hunks": ([], "the hunks of notes.py"),
    "files.0.hunks.0.old_start": (4, "the hunks of notes.py"),
    "files.0.hunks.0.old_lines": (2, "the hunks of notes.py"),
    "files.0.hunks.0.new_start": (4, "the hunks of notes.py"),
    "files.0.hunks.0.new_lines": (2, "the hunks of notes.py"),
    "files.0.hunks.0.section": ("def x", "the hunks of notes.py"),
    "files.0.hunks.0.text": ("-a\n+c\n", "the hunks of notes.py"),
    "files.0.hunks.0.author": (None, "the hunks of notes.py"),
    "files.0.hunks.0.author.agent": ("tester", "the hunks of notes.py"),
    "files.0.hunks.0.author.person": ("Dana", "the hunks of notes.py"),
    "files": ([], "the list of files of notes.py"),
    "claims": ([], "claims"),
    "claims.0.text": ("Other", "claims"),
    "claims.0.agent": ("tester", "claims"),
    "claims.0.verdict": ("contradicted", "claims"),
    "checks": ({}, "checks"),
    "checks.command": ("true", "checks"),
    "checks.sandbox": ("rlimits", "checks"),
    "checks.ran": (False, "checks"),
    "checks.exit_code": (1, "checks"),
    "checks.passed": (3, "checks"),
    "checks.failed": (1, "checks"),
    "checks.skipped": (2, "checks"),
    "checks.timed_out": (True, "checks"),
    "warnings": ([{"kind": "secret", "path": "notes.py"}], "warnings"),
    "agents": ([{"slug": "coder", "version": 2}], "agents"),
    "planned_by": ([{"slug": "router", "version": 2}], "planned_by"),
    "memories": ([], "memories"),
    "edited_by": ([{"id": "dana", "name": "Dana"}], "edited_by"),
    "single_person": (True, "single_person"),
    "effects": ([], "effects"),
    "effects.0.kind": ("deliver", "effects"),
    "effects.0.repository": ("/other", "effects"),
    "effects.0.project": ("Other", "effects"),
    "effects.0.branch": ("release", "effects"),
    "effects.0.files": (2, "effects"),
    "effects.0.added": (2, "effects"),
    "effects.0.removed": (2, "effects"),
    "effects.0.reversible": (False, "effects"),
    "risk.level": ("high", "risk"),
    "risk.reasons": (["Others."], "risk"),
    "policy.id": ("v2", "policy"),
    "policy.version": (2, "policy"),
    "policy.signatures_needed": (2, "policy"),
    "policy.signatures_hold": (False, "policy"),
    "policy.every_file_viewed": (True, "policy"),
    "unheard_of": (1, "unheard_of"),
}


@pytest.mark.parametrize("path", OTHERS)
def test_anything_else_makes_it_another_change(path):
    value, name = OTHERS[path]
    assert str(difference(SEALED, put(path, value))) == name


def test_where_the_policy_asks_more_of_a_higher_risk_the_risk_is_told():
    new = put("risk.level", "high")
    new["policy"] = {**new["policy"], "typed_confirmation": True, "every_file_viewed": True}
    assert difference(SEALED, new) == Difference(name="risk")


def test_every_sealed_field_is_tried():
    tried = {path.split(".")[0] for path in (*OTHERS, *OF_EACH_SEAL)}
    assert set(SEALED) <= tried
    own = {f"proposal.{name}" for name in SEALED["proposal"]}
    own |= {f"effects.0.{name}" for name in EFFECT} | {
        f"checks.{name}" for name in SEALED["checks"]
    }
    own |= {f"files.0.{name}" for name in FILE} | {f"files.0.hunks.0.{name}" for name in HUNK}
    assert own <= {*OTHERS, *OF_EACH_SEAL}


@pytest.mark.parametrize("consent", [False, None, "true", 1])
def test_without_the_consent_of_who_signed_nothing_is_the_same(consent):
    old = put("policy.signatures_hold", consent)
    assert difference(old, deepcopy(old)) == Difference(name="the policy's consent")


def test_consent_of_the_new_seal_alone_is_none():
    old = put("policy.signatures_hold", value=False)
    assert difference(old, SEALED) == Difference(name="the policy's consent")


def test_checks_that_failed_before_never_hold():
    red = put("checks.exit_code", 1)
    assert difference(red, deepcopy(red)) == Difference(name="checks")
    assert difference(red, SEALED) == Difference(name="checks")


def test_what_was_left_out_since_is_a_difference():
    more = put("edited_by", [{"id": "dana"}])
    assert difference(more, SEALED) == Difference(name="edited_by")


def test_two_files_in_another_order_are_another_change():
    two = put("files", [FILE, {**FILE, "path": "other.py"}])
    turned = put("files", list(reversed(two["files"])))
    assert difference(two, turned) == Difference(name="the list of files")


def test_a_report_is_not_merged_onto_anything():
    report = put("effects", [{"kind": "deliver", "to": "Mira", "reversible": False}])
    assert difference(report, deepcopy(report)) == Difference(name="effects")


def test_it_asks_nobody_and_changes_nothing():
    old, new = deepcopy(SEALED), put("nonce", "n2")
    before = deepcopy(new)
    holding.difference(old, new)
    assert (old, new) == (SEALED, before)


def test_what_was_sealed_before_planners_were_holds_where_they_are():
    before = {name: value for name, value in SEALED.items() if name != "planned_by"}
    assert difference(before, SEALED) is None
    assert difference(before, deepcopy(before)) is None
    assert difference(SEALED, before) == Difference(name="planned_by")
