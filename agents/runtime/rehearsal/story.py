"""Who plays which part of the bundled story."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.runtime.rehearsal import merged
from agents.runtime.rehearsal.assembly import assemble
from agents.runtime.rehearsal.coding import play_code
from agents.runtime.rehearsal.extracts import extract, plan_to_look
from agents.runtime.rehearsal.scene import Call, Move
from agents.runtime.rehearsal.testing import play_tests
from agents.runtime.rehearsal.writing import play_docs
from agents.workspace.demo import SCENARIO

if TYPE_CHECKING:
    from typing import Any

    from agents.runtime.rehearsal.scene import Scene

_PARTS = {"coder": play_code, "tester": play_tests, "tech-writer": play_docs}
_KEYS = {"coder": "fix-rounding", "tester": "cover-rounding", "tech-writer": "describe-rounding"}
_AGENTS = {key: agent for agent, key in _KEYS.items()}


def play(scene: Scene) -> Move:
    """Play one turn of the bundled story."""
    if scene.kind == "route":
        return _look(scene) if scene.turn == 0 else _plan(scene)
    if scene.kind == "assemble":
        return assemble(scene)
    if scene.brief.get("key") == merged.LOOK:
        return merged.say_so(scene)
    part = _AGENTS.get(scene.brief.get("key", ""))
    return _PARTS[part](scene) if part else extract(scene)


def _look(scene: Scene) -> Move:
    asked = scene.brief["request"].strip().splitlines()[0][:120]
    return Move(
        say=f"The request: “{asked}”. I look at where the code and the docs speak of rounding.",
        thought="Rounding touches code, tests and docs. I look before I plan.",
        calls=(
            Call("list_files", {}),
            Call("search_text", {"text": SCENARIO.search}),
            *merged.reads(set(scene.brief.get("files", []))),
        ),
    )


def _plan(scene: Scene) -> Move:
    there = {path for path in scene.brief.get("files", []) if path}
    listed = scene.last("list_files")
    shown = listed.text if listed and not listed.failed else ""
    needed = {edit.path for edit in (*SCENARIO.fix, *SCENARIO.cover, *SCENARIO.describe)}
    if not all(path in there or path in shown for path in needed):
        return plan_to_look(scene)
    granted = {agent["slug"] for agent in scene.brief.get("agents", [])}
    there_already = merged.parts_on_main(scene) & granted
    wanted = granted & _KEYS.keys() - there_already
    if there_already and not wanted:
        return merged.plan_to_say_so(scene, min(there_already))
    steps = [step for agent, step in _steps().items() if agent in wanted]
    if not steps:
        return plan_to_look(scene)
    if "coder" not in wanted:
        steps = [{**step, "depends_on": []} for step in steps]
    answer = {"title": "Round tax once and correct the docs", "outcome": "change", "steps": steps}
    count = f"{len(steps)} steps" if len(steps) > 1 else "one step"
    return Move(say=f"I plan {count}.", answer=answer)


def _steps() -> dict[str, dict[str, Any]]:
    code, tests, docs = SCENARIO.fix[0].path, SCENARIO.cover[0].path, SCENARIO.describe[0].path
    return {
        "coder": {
            "id": _KEYS["coder"],
            "agent": "coder",
            "title": "Round tax once, on the invoice total",
            "instructions": "The project's checks fail. Run them, find the cause in the billing code "
            f"(start at {code}) and mend it there. Leave {SCENARIO.unchanged} as it is.",
            "files": [code],
            "acceptance": "The project's checks pass.",
        },
        "tester": {
            "id": _KEYS["tester"],
            "agent": "tester",
            "title": "Cover a tie with a test",
            "instructions": f"Add a test to {tests} for an amount that ends in exactly half a cent.",
            "depends_on": [_KEYS["coder"]],
            "files": [tests],
            "acceptance": "The new test is there and the project's checks pass.",
        },
        "tech-writer": {
            "id": _KEYS["tech-writer"],
            "agent": "tech-writer",
            "title": "Correct the docs on rounding",
            "instructions": f"Tax is to be rounded once, half to even, on the total of the invoice. "
            f"Search the docs for “{SCENARIO.search}” and correct what is stale, {docs} first.",
            "files": [docs],
            "acceptance": f"The docs no longer say “{SCENARIO.search}”.",
        },
    }
