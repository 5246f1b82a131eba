"""The body of a request for work as the edge reads it: what it takes, the API's serializer takes."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType
from rest_framework.exceptions import ParseError

from agents.requests import MAX_CHARACTERS
from countersign.api.parsers import decode


class LimitsShape(msgspec.Struct, forbid_unknown_fields=True):
    """What the task may use in all; the bounds are those of the API's `LimitsInput`."""

    seconds: Annotated[int, Meta(ge=1, le=10**7)] | UnsetType = UNSET
    tokens: Annotated[int, Meta(ge=1, le=10**10)] | UnsetType = UNSET
    usd: Annotated[float, Meta(ge=-(10.0**9), le=10.0**9)] | UnsetType = UNSET
    rounds: Annotated[int, Meta(ge=1, le=100)] | UnsetType = UNSET
    steps: Annotated[int, Meta(ge=1, le=100)] | UnsetType = UNSET


class SubmitShape(msgspec.Struct, forbid_unknown_fields=True):
    """A request for work without chosen agents, which need rows to be looked up."""

    project: Annotated[str, Meta(min_length=1, max_length=60)]
    request: Annotated[str, Meta(max_length=MAX_CHARACTERS)]
    limits: LimitsShape | UnsetType = UNSET
    context: dict[str, Any] | UnsetType = UNSET

    def asked(self) -> dict[str, Any]:
        """Return what was given, as `requests.ask` takes it."""
        given: dict[str, Any] = {"request": self.request}
        if self.limits is not UNSET:
            given["limits"] = msgspec.structs.asdict(self.limits)
            given["limits"] = {k: v for k, v in given["limits"].items() if v is not UNSET}
        if self.context is not UNSET:
            given["context"] = self.context
        return given


def read(body: bytes) -> SubmitShape | None:
    """Return the request, None for a body that is left to the API: it says what is wrong with it."""
    try:
        return msgspec.convert(decode(body), SubmitShape)
    except (ParseError, msgspec.ValidationError, UnicodeEncodeError):  # half a character
        return None
