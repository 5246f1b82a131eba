"""How dangerous a proposal is: a deterministic score with its reasons as sentences.

What a model says of it may raise it: it is one finding more, and the gravest counts.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from agents.cautions import TESTS
from agents.workspace.paths import matches
from approvals import dependencies, grave_paths
from approvals.models import Risk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MEDIUM_LINES, HIGH_LINES = 400, 1_500
MEDIUM_FILES, HIGH_FILES = 20, 80

WARNINGS = {
    "secret": (Risk.HIGH, "May contain a secret"),
    "hidden_character": (Risk.MEDIUM, "Contains hidden characters"),
    "lookalike_character": (Risk.MEDIUM, "Contains letters that look like others"),
    "line_endings": (Risk.MEDIUM, "Changes line endings"),
    # A model's words do nothing by themselves, and in a project that asks models they are its
    # work: what counts is that a person reads them, and no bulk approval goes over them.
    "prompt_injection": (Risk.MEDIUM, "Speaks to a model"),
    "egress": (Risk.MEDIUM, "Opens new ways into the network"),
    "outside_plan": (Risk.MEDIUM, "Changes files the plan did not mention"),
    "not_scanned": (Risk.MEDIUM, "Was too large to be searched"),
    "thinned_test": (Risk.MEDIUM, "Takes assertions out of tests"),
    "skipped_test": (Risk.MEDIUM, "Leaves tests out"),
    "conflict_mark": (Risk.MEDIUM, "Has conflicts nobody resolved"),
    "more": (Risk.MEDIUM, "Has more warnings than are listed"),
}
# Read from the files themselves, or no danger: a report whose files are left out.
TOLD_ELSEWHERE = {
    "binary",
    "deleted_test",
    "left_out",
    "mode_changed",
    "no_change",
    "submodule",
    "symlink",
}

# Whatever the project; the paths of its policy are asked beside.
_GRAVE = (
    (Risk.HIGH, grave_paths.AGENTS.holds, "Touches what agents are told"),
    (Risk.HIGH, grave_paths.CI.holds, "Touches what the build server or a git hook runs"),
    (Risk.HIGH, grave_paths.SECRETS.holds, "Touches authentication or secrets"),
    (Risk.MEDIUM, grave_paths.MIGRATIONS.holds, "Touches database migrations"),
)
_TELLING = (
    (Risk.MEDIUM, grave_paths.PACKAGES.holds, "Changes which packages are installed"),
    (Risk.MEDIUM, grave_paths.BUILD.holds, "Touches build files"),
    (Risk.MEDIUM, grave_paths.DEPLOYMENT.holds, "Touches what is deployed, or how"),
    (Risk.MEDIUM, grave_paths.ACCESS.holds, "Touches sessions, tokens or middleware"),
)
Finding = tuple[Risk, str]


def score(
    snapshot: dict[str, Any],
    *,
    money_paths: Sequence[str] = (),
    protected_paths: Sequence[str] = (),
    checks_expected: bool = True,
) -> tuple[Risk, list[str]]:
    """Return the risk of a snapshot's effects, files, claims, checks and warnings, and why.

    The same snapshot always gives the same answer; the gravest reasons come first.
    """
    files = snapshot["files"]
    findings = [
        *_paths(files, money_paths=money_paths, protected_paths=protected_paths),
        *_added(files),
        *_files(files, snapshot["warnings"]),
        *_size(files),
        *_warnings(snapshot["warnings"]),
        *_claims(snapshot["claims"]),
        *(_checks(snapshot["checks"], expected=checks_expected) if files else ()),
        *_effects(snapshot["effects"]),
        *_raised(snapshot["proposal"]),
    ]
    if not findings:
        return Risk.LOW, [_calm(files)]
    findings.sort(key=lambda finding: -finding[0].rank)
    return findings[0][0], list(dict.fromkeys(text for _, text in findings))


def _paths(
    files: list[dict[str, Any]], *, money_paths: Sequence[str], protected_paths: Sequence[str]
) -> Iterator[Finding]:
    touched = sorted({path for file in files for path in (file["path"], file["old_path"]) if path})
    for level, holds, sentence in (
        (Risk.HIGH, partial(_matches, protected_paths), "Touches protected paths"),
        *_GRAVE,
        (Risk.MEDIUM, partial(_matches, money_paths), "Touches money paths"),
        *_TELLING,
    ):
        if hits := [path for path in touched if holds(path)]:
            yield level, f"{sentence}: {_names(hits)}."


def _matches(globs: Sequence[str], path: str) -> bool:
    return matches(path, globs)


def _added(files: list[dict[str, Any]]) -> Iterator[Finding]:
    if names := dependencies.added(files):
        what = "a dependency" if len(names) == 1 else f"{len(names)} dependencies"
        yield Risk.MEDIUM, f"Adds {what}: {_names(names)}."


def _files(files: list[dict[str, Any]], warnings: list[dict[str, Any]]) -> Iterator[Finding]:
    thinned = {warning["path"] for warning in warnings if warning["kind"] == "deleted_test"}
    kinds: tuple[tuple[Risk, Callable[[dict[str, Any]], bool], str], ...] = (
        (Risk.HIGH, _is_submodule, "Adds or moves a submodule"),
        (Risk.HIGH, _is_link, "Adds or changes a symbolic link"),
        (Risk.MEDIUM, _mode_changed, "Changes file modes"),
        (Risk.MEDIUM, lambda file: bool(file["binary"]), "Changes binary files"),
        (
            Risk.MEDIUM,
            lambda file: file["path"] in thinned or _loses_tests(file),
            "Removes tests",
        ),
    )
    for level, applies, sentence in kinds:
        hits = [file["path"] for file in files if applies(file)]
        if hits:
            yield level, f"{sentence}: {_names(hits)}."


def _is_submodule(file: dict[str, Any]) -> bool:
    return "160000" in (file["old_mode"], file["new_mode"])


def _is_link(file: dict[str, Any]) -> bool:
    return "120000" in (file["old_mode"], file["new_mode"])


def _mode_changed(file: dict[str, Any]) -> bool:
    if file["status"] == "added":
        return bool(file["new_mode"] == "100755")
    return bool(file["status"] != "deleted" and file["old_mode"] != file["new_mode"])


def _loses_tests(file: dict[str, Any]) -> bool:
    path = file["old_path"] or file["path"]
    if not matches(path, TESTS):
        return False
    return bool(file["status"] == "deleted" or file["removed"] > file["added"])


def _size(files: list[dict[str, Any]]) -> Iterator[Finding]:
    lines = sum(file["added"] + file["removed"] for file in files)
    if lines > MEDIUM_LINES:
        level = Risk.HIGH if lines > HIGH_LINES else Risk.MEDIUM
        yield level, f"Changes {lines:,} lines; more than {MEDIUM_LINES:,} are hard to read."
    if len(files) > MEDIUM_FILES:
        level = Risk.HIGH if len(files) > HIGH_FILES else Risk.MEDIUM
        yield level, f"Changes {len(files)} files; more than {MEDIUM_FILES} are hard to read."


def _warnings(warnings: list[dict[str, Any]]) -> Iterator[Finding]:
    places: dict[str, list[str]] = {}
    for warning in warnings:
        line = f":{warning['line']}" if warning["line"] else ""
        place = warning["path"] or warning.get("place", "")
        places.setdefault(warning["kind"], []).append(f"{place}{line}")
    for kind, found in sorted(places.items()):
        if kind in WARNINGS:
            level, sentence = WARNINGS[kind]
            named = _names(list(dict.fromkeys(found)))
            yield level, f"{sentence}: {named}." if named else f"{sentence}."
        elif kind not in TOLD_ELSEWHERE:
            yield Risk.MEDIUM, f"Carries a warning: {kind.replace('_', ' ')}."


def _claims(claims: list[dict[str, Any]]) -> Iterator[Finding]:
    false = [claim["text"] for claim in claims if claim["verdict"] == "contradicted"]
    if false:
        what = "An agent's claim is" if len(false) == 1 else f"{len(false)} of the claims are"
        yield Risk.MEDIUM, f"{what} contradicted by our own check."


def _checks(checks: dict[str, Any], *, expected: bool) -> Iterator[Finding]:
    if checks.get("ran"):
        if checks.get("exit_code") != 0:
            yield Risk.HIGH, "The project's checks fail on the merged tree."
        elif checks.get("passed") == 0:
            skipped = checks.get("skipped")
            why = f"all {skipped:,} were skipped" if skipped else "they ran none"
            yield Risk.MEDIUM, f"No test of the project's checks passed: {why}."
        return
    why = str(checks.get("why_not") or "").strip().rstrip(".")
    if expected:
        yield Risk.MEDIUM, f"The project's checks were not run{': ' + why if why else ''}."
    else:
        yield Risk.MEDIUM, "The project has no checks to run."


def _effects(effects: list[dict[str, Any]]) -> Iterator[Finding]:
    for effect in effects:
        # A report stays inside Countersign: it cannot be unread, but it changes nothing.
        if effect["kind"] != "deliver" and not effect.get("reversible"):
            yield Risk.HIGH, f"The effect {effect['kind']} cannot be undone."


def _raised(proposal: dict[str, Any]) -> Iterator[Finding]:
    if raised := proposal.get("raised_risk"):
        yield Risk(raised["to"]), f"An agent raises it to {raised['to']}: “{raised['why']}”"


def _calm(files: list[dict[str, Any]]) -> str:
    if not files:
        return "A report: no file changes."
    lines = sum(file["added"] + file["removed"] for file in files)
    count = "1 file" if len(files) == 1 else f"{len(files)} files"
    return f"Small and reversible: {count}, {lines} lines; our checks pass."


def _names(paths: list[str]) -> str:
    named = [path for path in paths if path]
    rest = f" and {len(named) - 3} more" if len(named) > 3 else ""
    return ", ".join(named[:3]) + rest
