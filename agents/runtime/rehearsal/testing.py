"""The rehearsed test agent: adds the case of a tie, later one more edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.runtime.rehearsal.answers import blocked, claim, done, evidence
from agents.runtime.rehearsal.feedback import asked_for, uninterpretable
from agents.runtime.rehearsal.readings import checks_of, text_of, where
from agents.runtime.rehearsal.scene import Call, Move
from agents.workspace.demo import SCENARIO, Edit

if TYPE_CHECKING:
    from agents.runtime.rehearsal.scene import Scene

PATH = SCENARIO.cover[0].path
CODE = SCENARIO.fix[0].path
_EDGES = "case", "edge", "even", "negative", "credit", "tie", "test"
_NEXT = """        self.assertEqual(Invoice("8", (pencil(3),)).tax(), Decimal("0.32"))
"""
_CREDIT = Edit(
    path=PATH,
    old=_NEXT,
    new=f"""{_NEXT}
    def test_a_negative_tie_goes_to_the_even_cent(self) -> None:
        credit = Line("Credit", 1, Decimal("-1.50"), SEVEN_PERCENT)
        self.assertEqual(Invoice("9", (credit,)).tax(), Decimal("-0.10"))
""",
)


def play_tests(scene: Scene) -> Move:
    """Play one turn of the test agent."""
    again = bool(scene.brief.get("feedback"))
    if again and not asked_for(scene, _EDGES):
        return uninterpretable(scene, "a request for another test case")
    edits = (_CREDIT,) if again else SCENARIO.cover
    if scene.turn == 0:
        return _read()
    if scene.turn == 1:
        return _write(scene, edits)
    return _run(scene) if scene.turn == 2 else _report(scene, edits)


def _read() -> Move:
    return Move(
        say=f"I read {PATH} and the code it tests.",
        calls=(Call("read_file", {"path": PATH}), Call("read_file", {"path": CODE})),
    )


def _write(scene: Scene, edits: tuple[Edit, ...]) -> Move:
    reading = scene.read(PATH)
    text = text_of(reading) if reading else ""
    if not all(edit.old in text for edit in edits):
        return blocked(scene, f"{PATH} does not look as expected, so no test was added.")
    if all(edit.new in text for edit in edits):
        return blocked(scene, f"{PATH} holds this test already.")
    return Move(
        say=f"{PATH} has no test for {_names(edits)[0].removeprefix('test_').replace('_', ' ')}. I add it.",
        calls=tuple(
            Call("edit_file", {"path": edit.path, "old": edit.old, "new": edit.new})
            for edit in edits
        ),
    )


def _run(scene: Scene) -> Move:
    if scene.failures:
        return blocked(scene, f"An edit of {PATH} was refused: {scene.failures[-1].text[:300]}")
    return Move(
        say="I run the checks with it.",
        calls=(Call("run_checks", {}), Call("read_file", {"path": PATH})),
    )


def _report(scene: Scene, edits: tuple[Edit, ...]) -> Move:
    run, reading = scene.last("run_checks"), scene.read(PATH)
    told = checks_of(run) if run else None
    if told is None or reading is None or not told.ran:
        why = told.why_not if told else ""
        return blocked(scene, f"The new test is in {PATH}, but the checks could not run. {why}")
    if not told.green:
        return blocked(scene, f"With the new test the checks fail: {told.told}.")
    names = _names(edits)
    line, quote = where(reading, names[0])
    return done(
        scene,
        f"Added {', '.join(names)} at {PATH}:{line}. Checks with it: {told.told}.",
        claims=(
            claim(f"The project's checks pass ({told.told} in my last run).", "checks_pass"),
            claim(f"{names[0]} is in {PATH}.", "text_present", text=names[0], paths=[PATH]),
        ),
        evidence=(evidence(PATH, line, quote),),
    )


def _names(edits: tuple[Edit, ...]) -> list[str]:
    """Return the tests that are added."""
    return [
        line.split("def ")[1].split("(")[0]
        for edit in edits
        for line in edit.new.splitlines()
        if "def test_" in line and line not in edit.old
    ]
