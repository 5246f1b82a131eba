"""What the words of a claim speak of, held against what we found, whatever check it names.

English words, read clause by clause. It only ever takes a verdict away: what it does not
understand is proven by nothing here, and what was proven is told in our own sentence.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from projects.characters import reveal, strip

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from agents.workspace.checks import CheckReport

_SENTENCE = re.compile(r"[.;!?](?=\s|$)")
_CLAUSE = re.compile(r",|\b(?:and|while)\b(?! (?:found|saw|there|has|have|had|none|it)\b)")
_NOT = r"\b(?:no|not|none|nothing|never|without|zero|neither|nor|cannot|free of|clean of)\b|n't\b"
_NONE = re.compile(_NOT)
_RUN = r"\b(?:(?:unit)?tests?|checks?|suites?|specs?|builds?|pipelines?|ci)\b"
_PASS = re.compile(
    rf"{_RUN}(?:(?!{_NOT}|\b(?:but|except)\b).)*?\b(?:pass|passes|passed|passing|green|succeed\w*)\b"
    r"|\b(?:pass|passes|passed) (?:all|every|the (?:\w+ )?(?:tests?|checks?|suite|pipeline)\b)"
    rf"|\b(?:passing|green) {_RUN}|\b(?:all|everything) (?:is |are |now |\d+ )*(?:green\b|pass)"
    r"|\b\d+(?: of \d+)? pass(?:ed)?\b"
)
_NO_FAILURE = re.compile(
    r"\b(?:no|zero|0|without|any) (?:test |check )?failures?\b|\bno failing\b|\bnothing fails\b"
    rf"|\bno (?:\w+ )?{_RUN} fail|{_RUN} (?:do not|don't|does not|never) fail"
)
_ADMITS = re.compile(r"\b[1-9]\d*(?: of \d+)?(?: \w+)? fail|\bfails?\b|\bstill fail")
_CHANGE = re.compile(r"\b(?:chang|touch|modif|edit|alter|updat|affect|rewrit|rewrote|written|diff)")
_FILE = re.compile(r"\b(?:files?|folders?|director(?:y|ies)|paths?|modules?)\b|\w/|\*|\w\.[a-z]\w*")
_ONLY = re.compile(r"\b(?:only|solely|just|exclusively|(?:limited|confined|restricted) to)\b")
_NO_OTHER = re.compile(
    r"\b(?:no(?:thing)?|not|never) (?:\w+ ){0,3}?(?:other|else|outside|beyond|elsewhere)\b"
)
_REST = re.compile(
    r"\b(?:rest|remainder|everything else|all else|others|other (?:files?|folders?|code))\b"
)
_LEFT = re.compile(
    r"\b(?:unchanged|untouched|unmodified|unedited|intact|identical|left alone)\b"
    r"|(?:\b(?:not|never)|n't) (?:been |be )?(?:chang|touch|modif|edit)"
)
_BUT = re.compile(r"\b(?:but|except\w*|besides?|apart|other than|outside|only)\b")


def _of_tests(done: str) -> re.Pattern[str]:
    return re.compile(rf"\btests?\b.*\b(?:{done})|\b(?:{done})\w*\b.*\btests?\b")


# What a claim denies, the warnings that say it is so, and what they say.
_DENIED: tuple[tuple[re.Pattern[str], Collection[str], str], ...] = (
    (
        re.compile(
            r"\b(?:secrets?|credentials?|passphrases?)\b"
            r"|\b(?:api|access|auth|aws|private|signing|ssh)[ -](?:keys?|tokens?)\b"
            r"|\b(?:keys?|tokens?|passwords?)\b.*\b(?:add|commit|leak|contain|includ|hard|expos|embed)"
            r"|\b(?:add|commit|leak|contain|includ|hard|expos|embed).*\b(?:keys?|tokens?|passwords?)\b"
        ),
        {"secret"},
        "may hold a secret",
    ),
    (
        re.compile(r"\b(?:hidden|invisible|zero-width|bidi\w*|look-?alikes?|homoglyphs?)\b"),
        {"hidden_character", "lookalike_character"},
        "has a hidden or look-alike character",
    ),
    (_of_tests("remov|delet|dropp|lost"), {"deleted_test"}, "has fewer tests"),
    (
        _of_tests("skip|disabl|weaken"),
        {"deleted_test", "skipped_test", "thinned_test"},
        "has fewer tests, or asks less of them",
    ),
    (re.compile(r"\bconflict"), {"conflict_mark"}, "has a conflict that is not resolved"),
    (re.compile(r"\b(?:file )?modes?\b|\bexecutables?\b"), {"mode_changed"}, "has another mode"),
    (re.compile(r"\bbinar(?:y|ies)\b"), {"binary"}, "is binary"),
    (re.compile(r"\bsym(?:bolic )?links?\b"), {"symlink"}, "is a symbolic link"),
    (re.compile(r"\bsubmodules?\b"), {"submodule"}, "is a submodule"),
)


def against(
    text: str,
    *,
    kind: str,
    checks: CheckReport,
    warnings: Sequence[dict[str, Any]],
    changed: Collection[str],
) -> str:
    """Return what we found that the words deny, in one sentence of ours; empty where nothing.

    `kind` is the check the claim names, `changed` the paths that differ from main.
    """
    for sentence in _SENTENCE.split(strip(text).casefold().replace("\u2019", "'")):
        if ran := _of_checks(sentence, kind, checks):
            return ran
        for clause in _CLAUSE.split(sentence):
            found = next(_of_warnings(clause, warnings), "") or _of_files(clause, changed)
            if found:
                return found
    return ""


def _of_checks(sentence: str, kind: str, checks: CheckReport) -> str:
    if checks.green or not _says_they_pass(sentence):
        return ""
    if checks.ran:
        return f"Checks on the merged tree: {checks.sentence}"
    # Who names our run, or no check, is told why there is none; a report has nothing to run.
    named = kind in {"checks_pass", "none"} or not checks.why_not
    return "" if named else f"Our checks did not run: {checks.sentence}"


def _says_they_pass(sentence: str) -> bool:
    if _NO_FAILURE.search(sentence):
        return True
    if _ADMITS.search(sentence):
        return False
    before = (sentence[: found.start()] for found in _PASS.finditer(sentence))
    return any(not _NONE.search(_CLAUSE.split(words)[-1]) for words in before)


def _of_warnings(clause: str, warnings: Sequence[dict[str, Any]]) -> Iterator[str]:
    if _NONE.search(clause):
        for words, kinds, fact in _DENIED:
            if words.search(clause):
                yield from (f"{_place(each)} {fact}" for each in warnings if each["kind"] in kinds)
    if _says_nothing_else(clause):
        outside = (each for each in warnings if each["kind"] == "outside_plan")
        yield from (f"{_place(each)} changed; the plan did not mention it" for each in outside)


def _says_nothing_else(clause: str) -> bool:
    if _REST.search(clause) and _LEFT.search(clause):
        return True
    changes, file = _CHANGE.search(clause), _FILE.search(clause)
    if _NO_OTHER.search(clause):
        return bool(changes or file or "nothing else" in clause)
    return bool(_ONLY.search(clause) and changes and file)


def _of_files(clause: str, changed: Collection[str]) -> str:
    if not _LEFT.search(clause) or _BUT.search(clause):
        return ""
    named = (path for path in sorted(changed) if _names(clause, path.casefold()))
    return next((f"{reveal(path)} differs from main" for path in named), "")


def _names(clause: str, path: str) -> bool:
    return re.search(rf"(?<![\w./-]){re.escape(path)}(?![\w/-]|\.\w)", clause) is not None


def _place(warning: dict[str, Any]) -> str:
    line = f":{warning['line']}" if warning["line"] else ""
    return f"{reveal(warning['path'])}{line}"
