"""Reads JSON bodies strictly: what another reader might take otherwise is refused."""

from __future__ import annotations

import json
import math
from typing import IO, TYPE_CHECKING, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from countersign.api.limits import limit_of, too_large

if TYPE_CHECKING:
    from collections.abc import Mapping


class StrictJSONParser(BaseParser):
    """application/json in UTF-8, up to the limit of its address; no NaN, no infinity, no key twice."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the decoded body; raises ParseError, or Problem 413."""
        path = parser_context["request"].path if parser_context else ""
        most = limit_of(path)
        body = stream.read(most + 1)
        if len(body) > most:
            raise too_large(path)
        return decode(body)


def decode(body: bytes) -> Any:
    """Return what strict JSON says; raises ParseError with the place."""
    try:
        return _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ParseError("The body is not UTF-8.") from error
    except RecursionError as error:
        raise ParseError("The body nests too deep.") from error
    except ValueError as error:
        raise ParseError(f"The body is not valid JSON: {error}") from error


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice in one object")
    return found


# Made once: `json.loads` would make one for every body.
_DECODER = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_unique
)
