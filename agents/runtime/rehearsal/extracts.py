"""What a rehearsal does with any other request: finds and quotes, and claims no more."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from agents.requests import title_of
from agents.runtime.rehearsal.answers import NO_MODEL, blocked, evidence
from agents.runtime.rehearsal.assembly import assemble
from agents.runtime.rehearsal.readings import hits_of, lines_of, paths_of
from agents.runtime.rehearsal.scene import Call, Move

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agents.runtime.rehearsal.scene import Done, Scene

LOOK = "find-passages"
_WORDS = 5
_FILES = 4
_QUOTES = 10
_PER_FILE = 3
_AROUND = 1  # lines before and after a hit
_COMMON = frozenset(
    [
        "about",
        "add",
        "after",
        "again",
        "all",
        "also",
        "and",
        "any",
        "are",
        "because",
        "been",
        "before",
        "being",
        "but",
        "can",
        "change",
        "code",
        "could",
        "did",
        "does",
        "done",
        "each",
        "every",
        "file",
        "files",
        "find",
        "fix",
        "for",
        "from",
        "get",
        "give",
        "got",
        "had",
        "has",
        "have",
        "her",
        "here",
        "him",
        "his",
        "how",
        "into",
        "its",
        "just",
        "let",
        "like",
        "line",
        "look",
        "make",
        "may",
        "more",
        "must",
        "need",
        "needs",
        "new",
        "not",
        "now",
        "off",
        "old",
        "one",
        "only",
        "other",
        "our",
        "out",
        "own",
        "please",
        "project",
        "put",
        "repository",
        "run",
        "say",
        "says",
        "see",
        "she",
        "should",
        "show",
        "some",
        "than",
        "that",
        "the",
        "their",
        "them",
        "then",
        "there",
        "these",
        "they",
        "this",
        "those",
        "too",
        "try",
        "two",
        "update",
        "use",
        "using",
        "want",
        "was",
        "way",
        "were",
        "what",
        "when",
        "where",
        "which",
        "while",
        "who",
        "why",
        "will",
        "with",
        "would",
        "write",
        "yes",
        "you",
        "your",
    ]
)
_ENDINGS = "ings", "ing", "edly", "ed", "es", "s"
_PROSE = ".md", ".rst", ".txt", ".adoc"
_STEM = 3  # letters that must stay
_NAMED = 150  # what a file name or folder that says a word counts, shared by all that say it


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
    title = title_of(scene.brief["request"])
    answer = {"title": title, "outcome": "report", "steps": [step]}
    return Move(
        say="No language model is configured, so I plan one step that only looks and quotes.",
        answer=answer,
    )


def words_of(request: str) -> list[str]:
    """Return the telling words of a request: names first, then the longest."""
    found = re.findall(r"[\w./-]{3,}", request)
    plain = [word.strip("./-") for word in found if word.strip("./-")]
    names = [w for w in plain if re.search(r"[_./\d]|[a-z][A-Z]", w)]
    longer = [w for w in plain if w.casefold() not in _COMMON]
    ordered = [*names, *sorted(longer, key=len, reverse=True)]
    return list({word.casefold(): word for word in reversed(ordered)}.values())[::-1][:_WORDS]


def stem_of(word: str) -> str:
    """Return what the forms of a plain English word share; a name is left as it is."""
    if not word.isalpha() or not word[1:].islower():
        return word
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _STEM:
            return word.removesuffix(ending)
    return word


def _search(scene: Scene) -> Move:
    words = list(dict.fromkeys(map(stem_of, words_of(scene.brief.get("request", "")))))
    calls = tuple(Call("search_text", {"text": word, "ignore_case": True}) for word in words)
    return Move(
        say=f"I search for {', '.join(words)}." if words else "I list the files.",
        calls=(Call("list_files", {}), *calls),
    )


def _read(scene: Scene) -> Move:
    best = _best(scene)
    if not best:
        return _quote(scene)
    return Move(
        say=f"The words are in {', '.join(best)}. I read them.",
        calls=tuple(Call("read_file", {"path": path}) for path in best),
    )


def _best(scene: Scene) -> list[str]:
    """Return the files to read: the best of the prose and of the code, then what ranks next."""
    ranked = [path for path, _ in _ranked(scene)]
    prose = [path for path in ranked if path.endswith(_PROSE)]
    code = [path for path in ranked if path not in prose]
    first = {*prose[: _FILES // 2], *code[: _FILES // 2]}
    chosen = sorted(ranked, key=lambda path: path not in first)[:_FILES]
    return sorted(chosen, key=ranked.index)


def _quote(scene: Scene) -> Move:
    quotes = list(_quotes(scene))[:_QUOTES]
    searched = ", ".join(each.arguments.get("text", "") for each in _searches(scene))
    found = "\n".join(f"{q['path']}:{q['line']}: {q['quote']}" for q in quotes)
    told = f"Passages found for {searched}:\n{found}" if quotes else "No file holds these words."
    summary = f"{NO_MODEL}\n\nNothing was changed. {told if searched else ''}".strip()
    return blocked(scene, summary, evidence=quotes)


def _searches(scene: Scene) -> list[Done]:
    return [each for each in scene.done if each.tool == "search_text" and not each.failed]


def _ranked(scene: Scene) -> list[tuple[str, int]]:
    """Return files by how many different words they hold; a word found everywhere says little."""
    count: Counter[str] = Counter()
    listed = scene.last("list_files")
    files = paths_of(listed) if listed and not listed.failed else []
    for searched in _searches(scene):
        word = str(searched.arguments.get("text", "")).casefold()
        holding = {hit.path for hit in hits_of(searched)}
        named = {path for path in files if word in path.casefold()}
        count.update(dict.fromkeys(holding, 1 + 100 // max(1, len(holding))))
        count.update(dict.fromkeys(named, 1 + _NAMED // max(1, len(named))))
    return sorted(count.items(), key=lambda item: (-item[1], item[0]))


def _quotes(scene: Scene) -> Iterator[dict[str, Any]]:
    """Yield the passages, the best file first and none crowding out the others."""
    for reading in (each for each in scene.done if each.tool == "read_file" and not each.failed):
        path, lines = str(reading.arguments.get("path")), lines_of(reading)
        seen: set[int] = set()
        quoted = 0
        for number in _telling(scene, path):
            if number in lines and number not in seen and quoted < _PER_FILE:
                around = range(number - _AROUND, number + _AROUND + 1)
                seen.update(around)
                quoted += 1
                yield evidence(path, number, "\n".join(lines[n] for n in around if n in lines))


def _telling(scene: Scene, path: str) -> list[int]:
    """Return the lines of a file that were found, those with the most words first."""
    hits = (hit for searched in _searches(scene) for hit in hits_of(searched))
    lines = Counter(hit.line for hit in hits if hit.path == path)
    # A file found by its name alone is quoted from its beginning.
    return sorted(lines, key=lambda line: (-lines[line], line)) or [1]
