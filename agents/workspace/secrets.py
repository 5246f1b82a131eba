"""Finds credentials in text: few patterns, each precise enough to stop a person for."""

from __future__ import annotations

import re
from dataclasses import dataclass

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
_SECRET = re.compile("|".join(f"({pattern})" for pattern in _PATTERNS.values()))
_KINDS = tuple(_PATTERNS)


@dataclass(frozen=True, slots=True)
class Secret:
    """A credential in a text. The value itself is never kept, only how it begins."""

    line: int
    kind: str
    shown: str


def scan(text: str) -> list[Secret]:
    """Return the credentials in a text, in order; lines count from 1."""
    found = []
    line, seen = 1, 0
    for match in _SECRET.finditer(text):
        line += text.count("\n", seen, match.start())
        seen = match.start()
        found.append(Secret(line, _KINDS[(match.lastindex or 1) - 1], f"{match[0][:4]}…"))
    return found
