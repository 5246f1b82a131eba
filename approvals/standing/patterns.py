"""Which arguments a standing grant lets through: one pattern for each argument, and no other argument.

What is compared is the text as it was given: nothing is decoded, trimmed or folded.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import models

from projects import characters
from projects.exceptions import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_PATTERN = 200  # characters of what a text begins with, or of a glob
MAX_TEXT = 1_000  # a longer text begins with nothing and fits no glob
MAX_WILDCARDS = 8
FIELD = "remember"
# Where a text goes up a folder, plainly or as an address writes it; a backslash is a slash somewhere.
_CLIMBS = ("..", "\\", "%2e", "%2f", "%5c", "%00", "%25")
# How an address begins: many take `https:host`, and `//host`, for `https://host`.
_ADDRESS = re.compile(r"(?i)\s*(?:(?:https?|wss?|ftp):|(?:[a-z][a-z0-9+.-]*:)?//)")
# How a pattern says so: a run or a gap within the scheme, none that could hold the host.
_TO_HOST = re.compile(r"(?i)(?:(?:[a-z0-9+.?-]|\*(?!\*))+:)?//")


class Kind(models.TextChoices):
    """How an argument is compared."""

    EXACT = "exact", "Exactly this"
    PREFIX = "prefix", "Begins with"
    GLOB = "glob", "Fits the pattern"
    ANY = "any", "Any value"


_TEXTS = (Kind.PREFIX, Kind.GLOB)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """What one argument may be; `value` is JSON when exact, else the text it is compared with."""

    kind: Kind
    value: Any = None

    def fits(self, given: Any) -> bool:
        """Tell whether an argument is one of those."""
        match self.kind:
            case Kind.ANY:
                return True
            case Kind.EXACT:
                return _text_of(given) == _text_of(self.value)
        if not isinstance(given, str) or not is_plain(given) or _leaves_host(self, given):
            return False
        if self.kind == Kind.PREFIX:
            return given.startswith(self.value)
        return fits_glob(given, self.value)


Patterns = dict[str, Pattern]


def fit(patterns: Mapping[str, Pattern], arguments: Mapping[str, Any]) -> bool:
    """Tell whether a call has just the arguments that are named, and each of them fits."""
    if patterns.keys() != arguments.keys():
        return False
    return all(pattern.fits(arguments[name]) for name, pattern in patterns.items())


def made_from(arguments: Mapping[str, Any], widened: Mapping[str, Pattern]) -> Patterns:
    """Return patterns for calls like this one: exact, but for the arguments that are widened.

    Raises InvalidInput when one is widened that the call does not have, or so that the call itself
    would not fit.
    """
    for name in widened:
        if name not in arguments:
            raise InvalidInput(FIELD, f"This call has no argument {name[:80]!r}.")
    made = {name: Pattern(kind=Kind.EXACT, value=value) for name, value in arguments.items()}
    for name, pattern in widened.items():
        if pattern.kind != Kind.EXACT:
            _check(name, pattern, arguments[name])
            made[name] = pattern
    return made


def written(patterns: Mapping[str, Pattern]) -> str:
    """Return the one text of patterns: it is what a mark covers and a row keeps."""
    said = {
        name: {"kind": str(pattern.kind), "value": pattern.value}
        for name, pattern in patterns.items()
    }
    return _text_of(said)


def read(text: str) -> Patterns:
    """Return the patterns of a text that `written` made; raises ValueError for any other."""
    said = json.loads(text)
    try:
        return {
            name: Pattern(kind=Kind(each["kind"]), value=each["value"])
            for name, each in said.items()
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("these are no patterns") from error


def is_plain(text: str) -> bool:
    """Tell whether a text may begin with something or fit a glob: short, plainly visible, going up nowhere."""
    if len(text) > MAX_TEXT or any(map(_is_unseen, text)) or characters.scan_confusables(text):
        return False
    folded = unicodedata.normalize("NFKC", text).lower()
    return not any(mark in folded for mark in _CLIMBS)


def fits_glob(text: str, glob: str) -> bool:
    """Tell whether the whole text fits, case and all; never slow, whatever either is.

    `*` is any run of characters but `/?#@:` and what some program takes for one of them, `**` any
    run, `?` one character but those; all others, brackets too, are themselves.
    """
    tokens = tuple(_tokens(glob))
    reached = _beyond_runs({0}, tokens)
    for one in text:
        reached = {
            at if tokens[at] in _RUNS else at + 1
            for at in reached
            if at < len(tokens) and _takes(tokens[at], one)
        }
        reached = _beyond_runs(reached, tokens)
        if not reached:
            return False
    return len(tokens) in reached


_RUNS = ("*", "**")
# A run within a host or a name must not leave it: `https://*.example.com` is no `https://a.org#.example.com`.
_ENDS = "/?#@:"


def _tokens(glob: str) -> Iterator[str]:
    at = 0
    while at < len(glob):
        size = 2 if glob.startswith("**", at) else 1
        yield glob[at : at + size]
        at += size


def _takes(token: str, one: str) -> bool:
    match token:
        case "**":
            return True
        case "*" | "?":
            return not _is_end(one)
    return token == one


def _is_end(one: str) -> bool:
    """Tell whether a character is an end, or becomes one where a host is made ASCII: a fullwidth #."""
    seen = one if one.isascii() else unicodedata.normalize("NFKC", one)
    return any(mark in seen for mark in _ENDS)


def _beyond_runs(reached: set[int], tokens: tuple[str, ...]) -> set[int]:
    """Add the places behind runs, which may be empty."""
    found, new = set(reached), reached
    while new:
        new = {at + 1 for at in new if at < len(tokens) and tokens[at] in _RUNS} - found
        found |= new
    return found


def _check(name: str, pattern: Pattern, given: Any) -> None:
    if pattern.kind not in _TEXTS:
        return
    if not isinstance(given, str):
        raise InvalidInput(FIELD, f"{name}: only text has a beginning or a pattern.")
    value = pattern.value
    if not isinstance(value, str) or not value.strip("*? "):
        raise InvalidInput(FIELD, f"{name}: write what it must say, or choose any value.")
    if len(value) > MAX_PATTERN or sum(value.count(one) for one in "*?") > MAX_WILDCARDS:
        raise InvalidInput(
            FIELD,
            f"{name}: use at most {MAX_PATTERN} characters, and of * and ? at most {MAX_WILDCARDS}.",
        )
    if not is_plain(value):
        raise InvalidInput(
            FIELD, f"{name}: this holds hidden or confusable characters, .. or a backslash."
        )
    if _leaves_host(pattern, given):
        raise InvalidInput(
            FIELD, f"{name}: say the whole end of the address's host, up to the slash behind it."
        )
    if not pattern.fits(given):
        raise InvalidInput(FIELD, f"{name}: what this very call says does not fit it.")


def _leaves_host(pattern: Pattern, given: str) -> bool:
    """Tell whether it leaves open which host a text names: `https://api.org` begins `https://api.org@evil.org`.

    A text that is an address fits only what says its whole host: `h` begins any.
    """
    begins = _TO_HOST.match(pattern.value)
    if not begins and _ADDRESS.match(unicodedata.normalize("NFKC", given)):
        return True
    before, is_address, rest = pattern.value.partition("//" if begins else "://")
    host, ends, path = rest.partition("/")
    if not is_address:
        return False
    if not host:  # a file is on no host; elsewhere a browser skips the slash and reads on
        return before.lower() != "file:" or not path[:1].isalnum()
    wild = pattern.kind == Kind.GLOB and ("**" in host or host.endswith(("*", "?")))
    feigned = any(not one.isascii() and _is_end(one) for one in host)
    return wild or feigned or not ends


def _is_unseen(one: str) -> bool:
    return unicodedata.category(one) == "Cc" or characters.is_hidden(one)


def _text_of(value: Any) -> str:
    """Return the one text of JSON: 1 is not 1.0, nor true."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
