"""Arguments of a call as text: one form for the seal, one reading for what people type."""

from __future__ import annotations

import json
from typing import Any

from agents import programs, storable
from agents.runtime.redaction import cleaned
from approvals.calls import fitting
from projects.exceptions import InvalidInput

MAX_CHARACTERS = 20_000  # more than a person reads: refused, never cut
MAX_DEPTH = 32
_SCHEMA_DEPTH = 200
_FIELD = "arguments"
_SECONDS = 5


def written(arguments: dict[str, Any]) -> str:
    """Return the one text of arguments: sorted names.

    Raises ValueError for a number that is none, and for what is nested too deep to be read.
    """
    if _nests_deeper(arguments, MAX_DEPTH):
        raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
    return plainly(arguments)


def is_readable(schema: dict[str, Any]) -> bool:
    """Tell whether a tool's schema can be shown: they nest deeper than what they describe."""
    return not _nests_deeper(schema, _SCHEMA_DEPTH)


def plainly(value: dict[str, Any]) -> str:
    """Return the one text of what is known to be shallow; raises ValueError for no number."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def _nests_deeper(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most):
        level = [item for each in level for item in _inside(each)]
        if not level:
            return False
    return True


def _inside(value: Any) -> list[Any]:
    match value:
        case dict():
            return list(value.values())
        case list():
            return value
    return []


def read(text: str, schema: dict[str, Any]) -> str:
    """Return what a person typed in its one form; raises InvalidInput saying what is wrong with it."""
    given = _parsed(text)
    if wrong := misfit(given, schema):
        raise InvalidInput(_FIELD, f"The tool does not take this: {wrong} Nothing was decided.")
    return written(given)


def misfit(arguments: dict[str, Any], schema: dict[str, Any]) -> str:
    """Return why arguments do not fit a tool's schema, or nothing.

    Looked at in a process of its own, for so long (`fitting`): a schema of a server can take for ever.
    """
    asked = {"arguments": arguments, "schema": schema}
    said = programs.ask(fitting.__file__, asked, seconds=_SECONDS)
    if not said.whole:
        return f"its schema cannot be used (it takes longer than {_SECONDS} seconds, or too much)."
    return str(json.loads(said.text))


def _parsed(text: str) -> dict[str, Any]:
    if len(text) > MAX_CHARACTERS:
        raise InvalidInput(_FIELD, f"Use at most {MAX_CHARACTERS:,} characters.")
    try:
        given = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)
        if isinstance(given, dict):
            written(given)  # not too deep for what follows
    except (ValueError, RecursionError) as error:
        raise InvalidInput(_FIELD, f"This is no JSON that can be sent: {error}.") from error
    if not isinstance(given, dict):
        raise InvalidInput(_FIELD, "Arguments are one JSON object, from { to }.")
    if storable.plain(given) != given:
        raise InvalidInput(_FIELD, "This holds characters that are not text. Remove them.")
    if cleaned(given) != given:
        raise InvalidInput(_FIELD, "This holds a key or password of Countersign. Remove it.")
    return given


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name given twice: parsers differ in which of the two they take (RFC 8259, 4)."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is given twice in one object")
    return found


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no number")
