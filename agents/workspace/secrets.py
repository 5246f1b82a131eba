"""Finds credentials in text: few patterns, each precise enough to stop a person for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATTERNS = {
    "private key": r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----",
    "AWS access key": r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b",
    "GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{60,255})\b",
    "GitLab token": r"\bglpat-[A-Za-z0-9_-]{20,}",
    "Slack token": r"\bxox[abeoprs]-[A-Za-z0-9-]{20,}",
    "Slack webhook": r"https://hooks\.slack\.com/services/T\w{8,}/B\w{8,}/\w{20,}",
    "Stripe key": r"\b[rs]k_live_[A-Za-z0-9]{20,}",
    "Google API key": r"\bAIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])",
    "Anthropic key": r"\bsk-ant-[A-Za-z0-9_-]{30,}",
    "OpenAI key": r"\bsk-(?:proj-|svcacct-)?[A-Za-z0-9_-]{0,80}T3BlbkFJ[A-Za-z0-9_-]{20,}",
    "PyPI token": r"\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,}",
    "Countersign token": r"\bcs_[A-Za-z0-9]{8,16}_[A-Za-z0-9_-]{32,}",
    # Not the words that documentation puts there.
    "password in a URL": r"\b[a-z][a-z0-9+.-]{1,30}://[^\s/:@{}$<>]+:"
    r"(?!(?i:password|passwd|secret|changeme|example|x+|\*+)@)[^\s/:@{}$<>]{6,}@[^\s/@{}$<>]+",
}
_COMPILED = {kind: re.compile(pattern) for kind, pattern in _PATTERNS.items()}
# What each of them cannot be without: looked for first, for that is a hundred times as fast.
_SIGNS = {
    "private key": ("PRIVATE KEY",),
    "AWS access key": ("AKIA", "ASIA"),
    "GitHub token": ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    "GitLab token": ("glpat-",),
    "Slack token": ("xox",),
    "Slack webhook": ("hooks.slack.com",),
    "Stripe key": ("k_live_",),
    "Google API key": ("AIza",),
    "Anthropic key": ("sk-ant-",),
    "OpenAI key": ("T3BlbkFJ",),
    "PyPI token": ("pypi-AgEIcHlwaS5vcmc",),
    "Countersign token": ("cs_",),
    "password in a URL": ("://",),
}
_BEFORE, _LONGEST = 120, 2_000  # characters: before a sign, and of a whole credential
_AT_ONCE = 3 * _LONGEST


@dataclass(frozen=True, slots=True)
class Secret:
    """A credential in a text. The value itself is never kept, only how it begins."""

    line: int
    kind: str
    shown: str


def scan(text: str) -> list[Secret]:
    """Return the credentials in a text, in order; lines count from 1."""
    found = []
    line, seen, end = 1, 0, 0
    for match, kind in sorted(_matches(text), key=lambda each: each[0].start()):
        if match.start() < end:
            continue
        line += text.count("\n", seen, match.start())
        seen, end = match.start(), match.end()
        found.append(Secret(line, kind, f"{match[0][:4]}…"))
    return found


def _matches(text: str) -> Iterator[tuple[re.Match[str], str]]:
    for kind, signs in _SIGNS.items():
        for sign in signs:
            done, at = 0, text.find(sign)
            while at >= 0:
                start, end = max(done, at - _BEFORE), at + _AT_ONCE
                match = _COMPILED[kind].search(text, start, end)
                if match:
                    yield match, kind
                # Where none is, none begins but near the end: signs alone cost no more than text.
                done = match.end() if match else end - _LONGEST
                at = text.find(sign, done)
