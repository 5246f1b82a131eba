"""The rehearsed tech writer: corrects what a search finds; in round two, what it could not find."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.runtime.rehearsal.answers import blocked, claim, done, evidence
from agents.runtime.rehearsal.feedback import uninterpretable
from agents.runtime.rehearsal.readings import hits_of, marked, text_of, where
from agents.runtime.rehearsal.scene import Call, Move
from agents.workspace.demo import SCENARIO

if TYPE_CHECKING:
    from agents.runtime.rehearsal.readings import Hit
    from agents.runtime.rehearsal.scene import Scene

PATH = SCENARIO.describe[0].path
FOLDER = f"{PATH.partition('/')[0]}/"
_GLOB = f"{FOLDER}**"
_SEARCH = Call("search_text", {"text": SCENARIO.search})


def play_docs(scene: Scene) -> Move:
    """Play one turn of the tech writer."""
    again = bool(scene.brief.get("feedback"))
    moves = (
        (_reread, _rewrite, _search_again, _say_rewritten)
        if again
        else (_find, _correct, _search_again, _say)
    )
    return moves[min(scene.turn, len(moves) - 1)](scene)


def _find(scene: Scene) -> Move:
    reminded = f"Memory says: {scene.reminded[0]} " if scene.reminded else ""
    return Move(
        say=f"{reminded}I search for “{SCENARIO.search}” and read {PATH}.",
        calls=(_SEARCH, Call("read_file", {"path": PATH})),
    )


def _correct(scene: Scene) -> Move:
    reading, found = scene.read(PATH), _in_docs(scene)
    text = text_of(reading) if reading else ""
    if not found or not all(edit.old in text for edit in SCENARIO.describe):
        return blocked(scene, f"{PATH} does not look as expected, so nothing was changed.")
    places = ", ".join(f"{hit.path}:{hit.line}" for hit in found)
    return Move(
        say=f"“{SCENARIO.search}” is at {places}. I correct it, and the example below it.",
        calls=tuple(
            Call("edit_file", {"path": edit.path, "old": edit.old, "new": edit.new})
            for edit in SCENARIO.describe
        ),
    )


def _search_again(scene: Scene) -> Move:
    if scene.failures:
        return blocked(scene, f"An edit of {PATH} was refused: {scene.failures[-1].text[:300]}")
    return Move(
        say=f"I search for “{SCENARIO.search}” again.",
        calls=(_SEARCH, Call("read_file", {"path": PATH})),
    )


def _say(scene: Scene) -> Move:
    left, reading = _in_docs(scene), scene.read(PATH)
    if left or reading is None:
        places = ", ".join(f"{hit.path}:{hit.line}" for hit in left)
        return blocked(scene, f"“{SCENARIO.search}” is still at {places}.")
    line, quote = where(reading, SCENARIO.describe[0].new.partition(",")[0])
    summary = (
        f"{PATH} said that tax is rounded {SCENARIO.search} per line; line {line} and the example now "
        f"say once, half to even, on the total. A search for “{SCENARIO.search}” finds nothing in "
        f"{FOLDER} any more.{_history(scene)}"
    )
    return done(scene, summary, claims=_claims(), evidence=(evidence(PATH, line, quote),))


def _reread(scene: Scene) -> Move:
    paths = [item["path"] for item in scene.brief["feedback"] if item.get("path")]
    if paths and not any(path.startswith(FOLDER) for path in paths):
        return uninterpretable(scene, f"feedback on {FOLDER}")
    return Move(
        say=f"I was sent back to {PATH}. A search found nothing, so I read it character by character.",
        calls=(Call("read_file", {"path": PATH}),),
    )


def _rewrite(scene: Scene) -> Move:
    reading = scene.read(PATH)
    line, shown = marked(reading) if reading else (0, "")
    if not line:
        return uninterpretable(
            scene, f"how to find hidden characters in {PATH}, and there are none"
        )
    edit = {"path": PATH, "first": line, "last": line, "text": SCENARIO.reworded}
    return Move(
        say=f"{PATH}:{line} holds a character nobody sees: `{shown.strip()}`. I write the line anew.",
        calls=(Call("replace_lines", edit),),
    )


def _say_rewritten(scene: Scene) -> Move:
    left, reading = _in_docs(scene), scene.read(PATH)
    line, quote = where(reading, SCENARIO.reworded) if reading else (0, "")
    if left or reading is None or not line or marked(reading)[0]:
        return blocked(scene, f"{PATH} still holds a hidden character or “{SCENARIO.search}”.")
    summary = (
        f"{PATH}:{line} held “{SCENARIO.search}” with an invisible character inside, which is why the "
        f"search missed it. The line is written anew, and no hidden character is left in {PATH}."
    )
    return done(scene, summary, claims=_claims(), evidence=(evidence(PATH, line, quote),))


def _claims() -> tuple[dict[str, object], ...]:
    said = f"The docs no longer say “{SCENARIO.search}”."
    return (claim(said, "text_absent", text=SCENARIO.search, paths=[_GLOB]),)


def _in_docs(scene: Scene) -> list[Hit]:
    searched = scene.last("search_text")
    return [hit for hit in hits_of(searched) if hit.path.startswith(FOLDER)] if searched else []


def _history(scene: Scene) -> str:
    searched = scene.last("search_text")
    others = (
        [hit for hit in hits_of(searched) if not hit.path.startswith(FOLDER)] if searched else []
    )
    places = ", ".join(f"{hit.path}:{hit.line}" for hit in others)
    return f" {places} also says it and was left as it is." if places else ""
