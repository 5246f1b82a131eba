"""What a rehearsal does when the story's change is on main already: it says so, with the lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents.requests import title_of
from agents.runtime.rehearsal.answers import blocked, claim, done, evidence
from agents.runtime.rehearsal.readings import marked, text_of, where
from agents.runtime.rehearsal.scene import Call, Move
from agents.workspace.demo import SCENARIO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agents.runtime.rehearsal.scene import Scene
    from agents.workspace.demo import Edit

LOOK = "quote-merged-story"
_PARTS: dict[str, tuple[Edit, ...]] = {
    "coder": SCENARIO.fix,
    "tester": SCENARIO.cover,
    "tech-writer": SCENARIO.describe,
}
_AGAIN = (
    "To play it again, let an admin of this machine run `.venv/bin/python manage.py reset_demo`: it "
    "sets main of the bundled repository back to its first commit. Then hand over the same request."
)


def reads(there: set[str]) -> tuple[Call, ...]:
    """Return the calls that read the story's files, those that exist."""
    paths = {edits[0].path for edits in _PARTS.values()} & there
    return tuple(Call("read_file", {"path": path}) for path in sorted(paths))


def parts_on_main(scene: Scene) -> set[str]:
    """Return the agents whose part of the story the files read hold already."""
    return {agent for agent, edits in _PARTS.items() if all(_holds(scene, each) for each in edits)}


def plan_to_say_so(scene: Scene, agent: str) -> Move:
    """Plan one read-only step that quotes what is merged."""
    step = {
        "id": LOOK,
        "agent": agent,
        "title": "Quote what is already merged",
        "instructions": "Read the files of the story, quote the lines that are merged already and say "
        "how to play it again. Change nothing.",
        "acceptance": "The merged lines are quoted.",
    }
    answer = {
        "title": f"Already merged: {title_of(scene.brief['request'])}",
        "outcome": "report",
        "steps": [step],
    }
    return Move(
        say="Main holds this change already, so I plan one step that says so.", answer=answer
    )


def say_so(scene: Scene) -> Move:
    """Play one turn of the step that says what is merged."""
    if scene.turn == 0:
        paths = {edits[0].path for edits in _PARTS.values()}
        return Move(say="I read the files of the story.", calls=reads(paths))
    found = list(_merged_lines(scene))
    if not found:
        return blocked(scene, "The files do not hold the story's change, so nothing can be quoted.")
    return done(
        scene,
        f"{_told(scene, found)} Nothing was changed.",
        claims=[
            claim(
                f"{each['path']} says it on main.",
                "text_present",
                text=each["quote"],
                paths=[each["path"]],
            )
            for each in found
        ],
        evidence=found,
        report=_report(scene, found),
    )


def _told(scene: Scene, found: list[dict[str, Any]]) -> str:
    whole = parts_on_main(scene) == set(_PARTS)
    said = "This story is already merged" if whole else "Parts of this story are already merged"
    return f"{said}: {', '.join('{path}:{line}'.format(**each) for each in found)}."


def _report(scene: Scene, found: list[dict[str, Any]]) -> str:
    lines = [f"- `{each['path']}:{each['line']}`: `{each['quote']}`" for each in found]
    for path in sorted({each["path"] for each in found}):
        reading = scene.read(path)
        line, shown = marked(reading) if reading else (0, "")
        if line:
            lines.append(f"- `{path}:{line}` still holds a hidden character: `{shown.strip()}`")
    return "\n\n".join([_told(scene, found), "\n".join(lines), _AGAIN])


def _merged_lines(scene: Scene) -> Iterator[dict[str, Any]]:
    """Yield of each merged part the line that shows it best: the longest one that is new."""
    for agent in sorted(parts_on_main(scene)):
        edit = max(_PARTS[agent], key=lambda each: len(each.new))
        reading = scene.read(edit.path)
        if reading is not None:
            line, quote = where(reading, max(_new_lines(edit), key=len))
            yield evidence(edit.path, line, quote)


def _holds(scene: Scene, edit: Edit) -> bool:
    """Tell whether a file has every line of an edit; others may stand between them by now."""
    reading = scene.read(edit.path)
    text = text_of(reading) if reading else ""
    return all(line in text for line in _new_lines(edit))


def _new_lines(edit: Edit) -> list[str]:
    old = edit.old.splitlines()
    return [line for line in edit.new.splitlines() if line.strip() and line not in old]
