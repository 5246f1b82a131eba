"""What a rehearsal does with any other request: finds and quotes, and claims no more."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from agents.runtime.rehearsal.answers import NO_MODEL, blocked, evidence
from agents.runtime.rehearsal.assembly import assemble
from agents.runtime.rehearsal.readings import hits_of, lines_of
from agents.runtime.rehearsal.scene import Call, Move

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agents.runtime.rehearsal.readings import Hit
    from agents.runtime.rehearsal.scene import Done, Scene

LOOK = "find-passages"
_WORDS = 5
_FILES = 3
_QUOTES = 12
_AROUND = 1  # lines before and after a hit
_COMMON = frozenset(
    [
        "about",
        "after",
        "again",
        "also",
        "because",
        "been",
        "before",
        "being",
        "change",
        "code",
        "could",
        "does",
        "done",
        "each",
        "every",
        "file",
        "files",
        "find",
        "from",
        "give",
        "have",
        "here",
        "into",
        "just",
        "like",
        "line",
        "look",
        "make",
        "more",
        "must",
        "need",
        "needs",
        "only",
        "other",
        "please",
        "project",
        "repository",
        "should",
        "show",
        "some",
        "than",
        "that",
        "their",
        "them",
        "then",
        "there",
        "these",
        "they",
        "this",
        "those",
        "update",
        "using",
        "want",
        "were",
        "what",
        "when",
        "where",
        "which",
        "while",
        "will",
        "with",
        "would",
        "write",
        "your",
    ]
)


def extract(scene: Scene) -> Move:
    """Play one turn of a request that no scenario fits."""
    if scene.kind == "route":
        return plan_to_look(scene)
    if scene.kind == "assemble":
        return assemble(scene)
    if scene.brief.get("feedback"):
        return blocked(
            scene, f"A rehearsal cannot interpret free feedback; it did nothing. {NO_MODEL}"
        )
    moves = (_search, _read, _quote)
    return moves[min(scene.turn, len(moves) - 1)](scene)


def plan_to_look(scene: Scene) -> Move:
    """Plan one read-only step."""
    agents = [agent["slug"] for agent in scene.brief.get("agents", [])]
    chosen = "coder" if "coder" in agents else (agents or ["coder"])[0]
    step = {
        "id": LOOK,
        "agent": chosen,
        "title": "Find the passages the request is about",
        "instructions": "Search the repository for the words of the request, read the best files and "
        "quote the passages with path and line. Change nothing.",
        "acceptance": "The passages are quoted.",
    }
    answer = {"title": "Look for what the request is about", "outcome": "report", "steps": [step]}
    return Move(
        say="No language model is configured, so I plan one step that only looks and quotes.",
        answer=answer,
    )


def words_of(request: str) -> list[str]:
    """Return the telling words of a request: names first, then the longest."""
    found = re.findall(r"[\w./-]{3,}", request)
    plain = [word.strip("./-") for word in found if word.strip("./-")]
    names = [w for w in plain if re.search(r"[_./\d]|[a-z][A-Z]", w)]
    longer = [w for w in plain if len(w) >= 4 and w.casefold() not in _COMMON]
    ordered = [*names, *sorted(longer, key=len, reverse=True)]
    return list({word.casefold(): word for word in reversed(ordered)}.values())[::-1][:_WORDS]


def _search(scene: Scene) -> Move:
    words = words_of(scene.brief.get("request", ""))
    calls = tuple(Call("search_text", {"text": word}) for word in words)
    return Move(
        say=f"I search for {', '.join(words)}." if words else "I list the files.",
        calls=calls or (Call("list_files", {}),),
    )


def _read(scene: Scene) -> Move:
    best = [path for path, _ in _ranked(scene)[:_FILES]]
    if not best:
        return _quote(scene)
    return Move(
        say=f"The words are in {', '.join(best)}. I read them.",
        calls=tuple(Call("read_file", {"path": path}) for path in best),
    )


def _quote(scene: Scene) -> Move:
    quotes = list(_quotes(scene))[:_QUOTES]
    searched = ", ".join(each.arguments.get("text", "") for each in _searches(scene))
    found = "\n".join(f"{q['path']}:{q['line']}: {q['quote']}" for q in quotes[:6])
    told = f"Passages found for {searched}:\n{found}" if quotes else "No file holds these words."
    summary = f"{NO_MODEL}\n\nNothing was changed. {told if searched else ''}".strip()
    return blocked(scene, summary, evidence=quotes)


def _searches(scene: Scene) -> list[Done]:
    return [each for each in scene.done if each.tool == "search_text" and not each.failed]


def _ranked(scene: Scene) -> list[tuple[str, int]]:
    """Return files by how many different words they hold; a word found everywhere says little."""
    count: Counter[str] = Counter()
    for searched in _searches(scene):
        paths = {hit.path for hit in hits_of(searched)}
        for path in paths:
            count[path] += 1 + (100 // len(paths))
    return sorted(count.items(), key=lambda item: (-item[1], item[0]))


def _quotes(scene: Scene) -> Iterator[dict[str, Any]]:
    readings = {
        each.arguments.get("path"): lines_of(each)
        for each in scene.done
        if each.tool == "read_file" and not each.failed
    }
    seen: set[tuple[str, int]] = set()
    for hit in _hits(scene):
        lines = readings.get(hit.path, {})
        if hit.line in lines and (hit.path, hit.line) not in seen:
            around = range(hit.line - _AROUND, hit.line + _AROUND + 1)
            seen.update((hit.path, number) for number in around)
            quote = "\n".join(lines[number] for number in around if number in lines)
            yield evidence(hit.path, hit.line, quote)


def _hits(scene: Scene) -> list[Hit]:
    order = {path: place for place, (path, _) in enumerate(_ranked(scene))}
    hits = [hit for searched in _searches(scene) for hit in hits_of(searched)]
    return sorted(hits, key=lambda hit: (order.get(hit.path, 0), hit.line))
