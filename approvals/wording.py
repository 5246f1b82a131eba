"""Finds hidden characters and lookalikes in what is said of a change: in all that is sealed with its files.

The files' own lines, and their names, are searched where the change is assembled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents.cautions import warning
from projects import characters

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agents.cautions import Caution

MOST = 40  # warnings of one proposal; its files have their own
_MOST_OF_ONE_PLACE = 5  # of one kind


def warnings(sealed: dict[str, Any]) -> list[Caution]:
    """Return what to warn of in a snapshot, but for the lines of its files."""
    said = dict.fromkeys((place, text) for place, text in _said(sealed) if characters.is_odd(text))
    found = list(_in_old_names(sealed["files"]))
    found += [each for place, text in said for each in _in_words(place, text)]
    if len(found) <= MOST:
        return found
    more = f"{len(found) - MOST} more warnings of what is said of the change are not listed."
    return [*found[:MOST], warning("more", "", 0, more)]


def _said(sealed: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what others wrote, with the place where it stands."""
    proposal, task = sealed["proposal"], sealed["task"]
    yield "the title", proposal["title"]
    yield "the summary", proposal["summary"]
    yield "the report", proposal["report"]
    yield "the reason given for its risk", (proposal.get("raised_risk") or {}).get("why", "")
    for number, claim in enumerate(sealed["claims"], start=1):
        yield f"claim {number}", claim["text"]
        yield f"the evidence of claim {number}", claim["evidence"]
    yield "the title of the task", task["title"]
    yield "the request", task["request"]
    yield from _named(sealed)


def _named(sealed: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "the name of who asked", sealed["requester"]["name"]
    for editor in sealed.get("edited_by", ()):
        yield "the name of who edited it", editor["name"]
    for agent in sealed["agents"]:
        yield "the name of an agent", agent["name"]
    for author in _authors(sealed["files"]):
        yield "the title of a step", author["title"]
        yield "the name of an agent", author["name"]
        yield "the name of who worked on it", author.get("person", "")
    for effect in sealed["effects"]:
        yield "the name of the branch", effect.get("branch", "")
        yield "the name of the project", effect.get("project", "")


def _authors(files: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return (hunk["author"] for file in files for hunk in file["hunks"] if hunk["author"])


def _in_old_names(files: Iterable[dict[str, Any]]) -> Iterator[Caution]:
    for file in files:
        if file["old_path"] != file["path"] and characters.is_odd(file["old_path"]):
            for found in _in_words("its old name", file["old_path"]):
                yield {**found, "path": file["path"]}


def _in_words(place: str, text: str) -> Iterator[Caution]:
    shown = characters.without_ordinary(text)
    kinds = (
        ("hidden_character", characters.scan(shown), ""),
        ("lookalike_character", characters.scan_confusables(shown), ", looks like another letter"),
    )
    for kind, found, looks in kinds:
        for at, each in enumerate(found[:_MOST_OF_ONE_PLACE], start=1):
            left = len(found) - at if at == _MOST_OF_ONE_PLACE else 0
            line = f"line {each.line} of " if "\n" in text else ""
            more = f"; {left} more there" if left else ""
            said = f"{each.codepoint} {each.name}, in {line}{place}{looks}{more}"
            yield {**warning(kind, "", 0, said), "place": place}
