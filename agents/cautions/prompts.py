"""Looks for text that speaks to a model: the agents that read the repository next would hear it."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from agents.cautions import lines
from agents.cautions.listing import warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agents.cautions.listing import Caution
    from agents.workspace.diffs import FileDiff

_MODEL = (
    r"(?:ai|llm|language models?|chat ?gpt|gpt-?\d\w*|claude|copilot|gemini|codex"
    r"|(?:ai|llm|coding|code review|review) (?:agents?|assistants?|reviewers?|bots?|models?)"
    r"|automated reviewers?)s?"
)
_ORDERS = r"(?:must|should|shall|ignore|disregard|approve|do not|don't|never|always|you are|please)"
# What is found is told in our words: what it says shall reach no model by way of a warning.
_SAYS = {
    "tells a model to forget its instructions": (
        r"\b(?:ignore|disregard|forget|override|bypass)\s+(?:(?:all|any|the|your|of|these|those|my"
        r"|every)\s+){0,4}(?:previous|prior|above|earlier|preceding|foregoing|system|original)\s+"
        r"(?:\w+\s+)?(?:instructions?|prompts?|rules|directions|guidelines|directives)\b"
    ),
    "gives a model another role": (
        r"\byou are now (?:(?:an?|the|my|in|acting as)\s+)*(?:\w+\s+){0,2}"
        r"(?:ai|llm|assistant|agent|model|chatbot|dan|jailbroken|unrestricted|(?:developer|god) mode)\b"
        r"|\b(?:pretend|act as if) (?:that )?you (?:are|were|have) (?:an? |no )"
        r"(?:\w+\s+){0,2}(?:ai|llm|assistant|model|restrictions|rules|guidelines)\b"
    ),
    "asks a model for its prompt": (
        r"\b(?:reveal|print|repeat|show|leak|output|disclose)\s+(?:me\s+)?(?:all\s+)?(?:of\s+)?"
        r"your\s+(?:\w+\s+)?(?:prompt|instructions)\b|\byour system prompt\b"
    ),
    "speaks as or to an AI": (
        r"\bas an? (?:ai|large language|llm|ai language)(?:\s*-\s*|\s*)(?:model|assistant|agent|reviewer)\b"
        rf"|\b(?:note|attention|message|instructions?|important|dear|hey|hello)[\s:,]+"
        rf"(?:(?:to|for|all|any|the|every)[\s:,]+)*{_MODEL}\b"
        rf"|\bif you are an? {_MODEL}\b"
        rf"|\b{_MODEL}\s+(?:must|should|shall|may)\s+(?:\w+\s+){{0,3}}"
        r"(?:approve|ignore|disregard|sign off|skip|trust)\b"
    ),
    "tells who reviews to approve or to keep silent": (
        r"\b(?:approve|merge|countersign|accept)\s+this\s+(?:change|pull request|pr|patch|diff"
        r"|proposal)\s+(?:without|immediately|unconditionally|no matter|regardless|blindly)\b"
        r"|\b(?:do not|don't|never)\s+(?:tell|mention|report|flag|reveal|warn)\b[^.\n]{0,40}"
        r"\b(?:this (?:change|file|comment|instruction)|these (?:lines|instructions))\b"
    ),
}
_TOKENS = re.compile(
    r"<\|(?:im_start|im_end|im_sep|system|user|assistant|endoftext|begin_of_text|end_of_text"
    r"|start_header_id|end_header_id|eot_id|end_of_turn)\|>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>"
)
_ADDRESSED = re.compile(rf"\b(?:{_MODEL}|agents?|assistants?|reviewers?)\b", re.IGNORECASE)
_ORDERED = re.compile(rf"\b{_ORDERS}\b", re.IGNORECASE)
_COMMENT = 600  # characters of a hidden comment that are read
_SPEECH = re.compile("|".join(f"({pattern})" for pattern in _SAYS.values()), re.IGNORECASE)
_WORDS = tuple(_SAYS)
# One of them is in all that is looked for, and in few files.
_SIGNS = (
    *("instruction", "prompt", "rules", "guideline", "direct", "you are", "you have", "you were"),
    *("llm", "language model", "gpt", "claude", "copilot", "gemini", "codex", "coding ", "review"),
    *("this change", "this pull", "this pr", "this patch", "this diff", "this file", "these lines"),
    *("this comment", "this instr", "<!--", "<|", "inst]", "<<sys", "<</sys", "_of_turn>"),
)
_AI = re.compile(r"\bais?\b")  # in many a word: a sign only by itself
_ODD = re.compile("[^\t\n -~]")
_BEGINS = "#/*-;>!<% \t\"'"


def look(file: FileDiff) -> Iterator[Caution]:
    """Yield where what a file gains speaks to a model."""
    numbered = list(lines.added(file))
    whole = _plain("\n".join(line for _, line in numbered))
    # A sentence may go on in the next line, behind the mark of a comment.
    bare = "\n".join(line.strip(_BEGINS) for line in whole.split("\n"))
    small = f"{whole} {' '.join(bare.split())}".lower()
    if not any(sign in small for sign in _SIGNS) and not _AI.search(small):
        return
    found = [
        *((at, _WORDS[(match.lastindex or 1) - 1]) for at, match in _found(_SPEECH, bare)),
        *((at, "has marks of a chat with a model") for at, _ in _found(_TOKENS, whole)),
        *((at, "speaks to agents in a comment") for at in _comments(whole)),
    ]
    path = lines.shown(file.path)
    for at, words in sorted(set(found)):
        yield warning("prompt_injection", path, numbered[at][0], f"It {words}.")


def _found(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, re.Match[str]]]:
    """Yield each match with its line, counted on from the one before: there may be thousands."""
    line = seen = 0
    for match in pattern.finditer(text):
        line += text.count("\n", seen, match.start())
        seen = match.start()
        yield line, match


def _comments(text: str) -> Iterator[int]:
    """Yield the lines in which a comment of a page begins that gives orders to agents."""
    before, *comments = text.split("<!--")
    at = before.count("\n")
    for comment in comments:
        said = comment[:_COMMENT].partition("-->")[0]
        if _ADDRESSED.search(said) and _ORDERED.search(said):
            yield at
        at += comment.count("\n")


def _plain(text: str) -> str:
    """Return text as a model reads it: other forms of a letter are the letter, the unseen is gone."""
    if text.isascii():
        return text
    kept = _ODD.sub(lambda odd: "" if unicodedata.category(odd[0]) == "Cf" else odd[0], text)
    rows = (unicodedata.normalize("NFKC", row).replace("\n", " ") for row in kept.split("\n"))
    return "\n".join(rows)
