"""Checks arguments against a tool's schema, as a program of its own: it reads both and says one line.

Schemas come from servers outside. One may take for ever, or all memory: by a regular expression, or by
references that multiply. So whoever asks runs this in a process with a limit, and without a database.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
from typing import Any

import jsonschema  # type: ignore[import-untyped]
from jsonschema.exceptions import (  # type: ignore[import-untyped]
    SchemaError,
    ValidationError,
)
from referencing import Registry
from referencing.exceptions import Unresolvable

_SAID = 300
_MEMORY = 1024**3
_CPU_SECONDS = 5


def misfit(arguments: dict[str, Any], schema: dict[str, Any]) -> str:
    """Return why arguments do not fit a tool's schema, or nothing; nothing is fetched for it."""
    try:
        kind = jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)
        kind.check_schema(schema)
        kind(schema, registry=Registry()).validate(arguments)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.absolute_path)
        said = error.message if len(error.message) <= _SAID else f"{error.message[:_SAID]}…"
        return f"{where}: {said}." if where else f"{said}."
    except (SchemaError, Unresolvable, RecursionError, MemoryError) as error:
        return f"its schema cannot be used ({type(error).__name__})."
    return ""


def main() -> None:
    """Read `{arguments, schema}` from standard input; write why they do not fit, as JSON."""
    with contextlib.suppress(ValueError):  # not every system can
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    asked = json.load(sys.stdin)
    json.dump(misfit(asked["arguments"], asked["schema"]), sys.stdout)


if __name__ == "__main__":
    main()
