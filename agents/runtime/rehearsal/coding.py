"""The rehearsed code agent: sees the failure, reads the cause, mends it, sees the checks pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.runtime.rehearsal.answers import blocked, claim, done, evidence
from agents.runtime.rehearsal.feedback import asked_for, uninterpretable
from agents.runtime.rehearsal.readings import checks_of, text_of, where
from agents.runtime.rehearsal.scene import Call, Move
from agents.workspace.demo import SCENARIO

if TYPE_CHECKING:
    from agents.runtime.rehearsal.scene import Scene

PATH = SCENARIO.fix[0].path
_CAUSE = "ROUND_HALF_UP"
_EXPLAINED = "comment", "docstring", "explain", "document", "why"
_MENDED = "        return to_cents(sum((line.tax() for line in self.lines), ZERO))\n"
_COMMENT = (
    "        # Each line keeps its exact tax: rounded cents per line would add up to an error.\n"
)


def play_code(scene: Scene) -> Move:
    """Play one turn of the code agent."""
    if scene.brief.get("feedback"):
        return _explain(scene)
    moves = (_run, _look, _mend, _run_again, _report)
    return moves[min(scene.turn, len(moves) - 1)](scene)


def _run(scene: Scene) -> Move:
    reminded = f"Memory says: {scene.reminded[0]} " if scene.reminded else ""
    return Move(say=f"{reminded}I run the project's checks first.", calls=(Call("run_checks", {}),))


def _look(scene: Scene) -> Move:
    run = scene.last("run_checks")
    found = checks_of(run) if run else None
    if found is None or not found.ran:
        why = found.why_not if found else "run_checks gave no result"
        return blocked(scene, f"The checks could not run, so nothing was changed. {why}")
    if found.green:
        return blocked(scene, f"The checks pass already ({found.told}); there is nothing to mend.")
    names = f": {', '.join(found.failing)}" if found.failing else ""
    return Move(
        say=f"{found.told}{names}. I look for where amounts are rounded.",
        calls=(Call("search_text", {"text": _CAUSE}), Call("read_file", {"path": PATH})),
    )


def _mend(scene: Scene) -> Move:
    reading = scene.read(PATH)
    text = text_of(reading) if reading else ""
    if reading is None or not all(edit.old in text for edit in SCENARIO.fix):
        return blocked(scene, f"{PATH} does not look as expected, so nothing was changed.")
    line, quote = where(reading, f"{_CAUSE}) for")
    return Move(
        say=f"{PATH}:{line} rounds every line before adding them up: `{quote.strip()}`. "
        "I add up the exact amounts and round once.",
        calls=tuple(
            Call("edit_file", {"path": edit.path, "old": edit.old, "new": edit.new})
            for edit in SCENARIO.fix
        ),
    )


def _run_again(scene: Scene) -> Move:
    if scene.failures:
        return blocked(scene, f"An edit of {PATH} was refused: {scene.failures[-1].text[:300]}")
    return Move(
        say="I run the checks again and read the file once more.",
        calls=(Call("run_checks", {}), Call("read_file", {"path": PATH})),
    )


def _report(scene: Scene) -> Move:
    runs = [checks_of(each) for each in scene.done if each.tool == "run_checks"]
    after, reading = runs[-1], scene.read(PATH)
    if not after.green or reading is None:
        return blocked(scene, f"The checks still fail after the change: {after.told}.")
    line, quote = where(reading, "return to_cents(sum((line.tax()")
    summary = (
        f"{PATH} rounded the tax of every line half up and added the rounded amounts. It now adds the "
        f"exact amounts and rounds once (line {line}). Checks before: {runs[0].told}; after: {after.told}. "
        f"{SCENARIO.unchanged} was left alone."
    )
    return done(
        scene,
        summary,
        claims=(
            claim(f"The project's checks pass ({after.told} in my last run).", "checks_pass"),
            claim(f"{SCENARIO.unchanged} is unchanged.", "file_unchanged", path=SCENARIO.unchanged),
        ),
        evidence=(evidence(PATH, line, quote),),
    )


def _explain(scene: Scene) -> Move:
    if not asked_for(scene, _EXPLAINED):
        return uninterpretable(scene, "a comment that explains the line")
    moves = (_read, _comment, _run_again, _explained)
    return moves[min(scene.turn, len(moves) - 1)](scene)


def _read(scene: Scene) -> Move:
    return Move(
        say=f"I was asked to explain the change. I read {PATH}.",
        calls=(Call("read_file", {"path": PATH}),),
    )


def _comment(scene: Scene) -> Move:
    reading = scene.read(PATH)
    if reading is None or _MENDED not in text_of(reading):
        return blocked(scene, f"{PATH} does not hold the line to explain, so nothing was changed.")
    if _COMMENT in text_of(reading):
        line, quote = where(reading, _COMMENT.strip())
        return blocked(scene, f"{PATH}:{line} explains it already: {quote.strip()}")
    edit = {"path": PATH, "old": _MENDED, "new": _COMMENT + _MENDED}
    return Move(say="I say why above the line.", calls=(Call("edit_file", edit),))


def _explained(scene: Scene) -> Move:
    run, reading = scene.last("run_checks"), scene.read(PATH)
    line, quote = where(reading, _COMMENT.strip()) if reading else (0, "")
    if run is None or not line:
        return blocked(scene, f"The comment is not in {PATH}.")
    told = checks_of(run)
    claims = [
        claim("The new comment is there.", "text_present", text=_COMMENT.strip(), paths=[PATH])
    ]
    if told.green:
        claims.append(claim(f"The project's checks pass ({told.told}).", "checks_pass"))
    return done(
        scene,
        f"Asked to explain the change: {PATH}:{line} now says why. Checks: {told.told}.",
        claims=claims,
        evidence=(evidence(PATH, line, quote),),
    )
