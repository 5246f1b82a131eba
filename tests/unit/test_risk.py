"""The risk score: the same snapshot gives the same level, and every level gives its reasons."""

from __future__ import annotations

import pytest

from approvals.models import Risk
from approvals.risk import score

MERGE = {"kind": "git.merge", "reversible": True}
GREEN = {"ran": True, "exit_code": 0}


def _file(path: str, **facts: object) -> dict:
    return {
        "path": path,
        "old_path": "",
        "status": "modified",
        "binary": False,
        "added": 3,
        "removed": 1,
        "old_mode": "100644",
        "new_mode": "100644",
        **facts,
    }


def _snapshot(*files: dict, **facts: object) -> dict:
    parts = {"files": list(files), "claims": [], "checks": GREEN, "warnings": [], "proposal": {}}
    return {**parts, "effects": [MERGE], **facts}


def test_a_small_green_change_is_low_and_says_why():
    level, reasons = score(_snapshot(_file("src/app.py")))
    assert level == Risk.LOW
    assert reasons == ["Small and reversible: 1 file, 4 lines; our checks pass."]


def test_a_report_is_low():
    effects = [{"kind": "deliver", "reversible": False}]
    level, reasons = score(_snapshot(checks={}, effects=effects))
    assert (level, reasons) == (Risk.LOW, ["A report: no file changes."])


@pytest.mark.parametrize(
    ("path", "level", "word"),
    [
        (".github/workflows/ci.yml", Risk.HIGH, "build server"),
        ("src/auth/session.py", Risk.HIGH, "authentication"),
        ("config/.env.production", Risk.HIGH, "secrets"),
        ("deploy/server.pem", Risk.HIGH, "secrets"),
        ("app/migrations/0002_x.py", Risk.MEDIUM, "migrations"),
        ("billing/invoice.py", Risk.MEDIUM, "money"),
        ("uv.lock", Risk.MEDIUM, "packages"),
        ("web/package-lock.json", Risk.MEDIUM, "packages"),
        ("Makefile", Risk.MEDIUM, "build files"),
        ("tests/conftest.py", Risk.MEDIUM, "build files"),
        ("ops/prod.tf", Risk.HIGH, "protected"),
    ],
)
def test_dangerous_paths_raise_the_level(path, level, word):
    found, reasons = score(
        _snapshot(_file(path)), money_paths=["**/billing/**"], protected_paths=["ops/**"]
    )
    assert found == level
    assert word in reasons[0]
    assert path in reasons[0]


@pytest.mark.parametrize("path", ["src/authors.py", "docs/tokenizer.md", "src/latest_results.py"])
def test_harmless_names_that_look_alike_stay_low(path):
    assert score(_snapshot(_file(path)))[0] == Risk.LOW


def test_the_old_path_of_a_rename_counts():
    file = _file("src/plain.py", old_path="src/auth/session.py", status="renamed")
    assert score(_snapshot(file))[0] == Risk.HIGH


@pytest.mark.parametrize(
    ("facts", "level", "word"),
    [
        ({"binary": True}, Risk.MEDIUM, "binary"),
        ({"new_mode": "100755"}, Risk.MEDIUM, "modes"),
        ({"new_mode": "120000"}, Risk.HIGH, "symbolic link"),
        ({"new_mode": "160000"}, Risk.HIGH, "submodule"),
        ({"old_mode": "", "new_mode": "100755", "status": "added"}, Risk.MEDIUM, "modes"),
    ],
)
def test_unusual_files_raise_the_level(facts, level, word):
    found, reasons = score(_snapshot(_file("src/thing", **facts)))
    assert found == level
    assert any(word in reason for reason in reasons)


def test_removed_tests_are_named():
    gone = _file("tests/test_tax.py", status="deleted", new_mode="", added=0, removed=20)
    thinner = _file("tests/test_total.py", added=1, removed=9)
    grown = _file("tests/test_new.py", added=9, removed=1)
    level, reasons = score(_snapshot(gone, thinner, grown))
    assert level == Risk.MEDIUM
    assert reasons == ["Removes tests: tests/test_tax.py, tests/test_total.py."]


@pytest.mark.parametrize(
    ("lines", "level"),
    [(400, Risk.LOW), (401, Risk.MEDIUM), (1_500, Risk.MEDIUM), (1_501, Risk.HIGH)],
)
def test_size_counts_at_its_thresholds(lines, level):
    assert score(_snapshot(_file("src/app.py", added=lines, removed=0)))[0] == level


@pytest.mark.parametrize(("count", "level"), [(20, "low"), (21, "medium"), (81, "high")])
def test_the_number_of_files_counts(count, level):
    assert score(_snapshot(*[_file(f"src/m{n}.py") for n in range(count)]))[0] == level


@pytest.mark.parametrize(
    ("checks", "level", "word"),
    [
        ({"ran": True, "exit_code": 1}, Risk.HIGH, "fail"),
        ({"ran": True, "exit_code": None}, Risk.HIGH, "fail"),
        ({"ran": False, "why_not": "no sandbox"}, Risk.MEDIUM, "not run: no sandbox"),
        ({}, Risk.MEDIUM, "not run"),
        ({**GREEN, "passed": 0, "skipped": 9}, Risk.MEDIUM, "passed: all 9 were skipped"),
        ({**GREEN, "passed": 0, "skipped": 0}, Risk.MEDIUM, "passed: they ran none"),
    ],
)
def test_checks_that_do_not_pass_raise_the_level(checks, level, word):
    found, reasons = score(_snapshot(_file("src/app.py"), checks=checks))
    assert found == level
    assert word in reasons[0]


def test_some_skipped_tests_among_others_raise_nothing():
    checks = {**GREEN, "passed": 200, "skipped": 9}
    assert score(_snapshot(_file("src/app.py"), checks=checks))[0] == Risk.LOW
    unknown = {**GREEN, "passed": None, "skipped": None}  # neither unittest nor pytest
    assert score(_snapshot(_file("src/app.py"), checks=unknown))[0] == Risk.LOW


def test_hidden_characters_contradicted_claims_and_secrets_come_with_their_place():
    warnings = [
        {"kind": "hidden_character", "path": "docs/a.md", "line": 12, "text": "x"},
        {"kind": "secret", "path": "src/key.txt", "line": 1, "text": "x"},
    ]
    claims = [{"text": "No half up", "verdict": "contradicted"}]
    level, reasons = score(_snapshot(_file("docs/a.md"), warnings=warnings, claims=claims))
    assert level == Risk.HIGH
    assert reasons[0] == "May contain a secret: src/key.txt:1."
    assert "Contains hidden characters: docs/a.md:12." in reasons
    assert "An agent's claim is contradicted by our own check." in reasons


@pytest.mark.parametrize(
    ("path", "to", "level"),
    [
        ("src/app.py", "medium", Risk.MEDIUM),
        ("src/app.py", "high", Risk.HIGH),
        (".github/workflows/ci.yml", "medium", Risk.HIGH),
    ],
)
def test_a_model_raises_the_risk_and_never_lowers_it(path, to, level):
    said = {"raised_risk": {"to": to, "why": "Invoices of May are sent again."}}
    found, reasons = score(_snapshot(_file(path), proposal=said))
    assert found == level
    assert f"An agent raises it to {to}: “Invoices of May are sent again.”" in reasons


def test_an_effect_that_cannot_be_undone_is_high():
    effects = [{"kind": "mcp.call", "reversible": False}]
    assert score(_snapshot(effects=effects))[0] == Risk.HIGH


def test_the_same_snapshot_always_gets_the_same_answer():
    snapshot = _snapshot(_file("uv.lock"), _file("billing/a.py"), _file("Makefile", binary=True))
    answers = [score(snapshot, money_paths=["billing/**"]) for _ in range(5)]
    assert answers.count(answers[0]) == 5
