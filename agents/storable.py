"""Makes text of models and repositories fit for a row: PostgreSQL takes no NUL, UTF-8 no half
characters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel


def text(value: str) -> str:
    """Replace NUL and lone surrogates by the replacement character."""
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def plain(value: Any) -> Any:
    """Return JSON-able data with every text made fit; unknown things become their repr."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return text(value)
        case dict():
            return {text(str(key)): plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(item) for item in value]
    return text(repr(value))


def dumped(message: BaseModel) -> dict[str, Any]:
    """Return a validated message as data for a JSON column."""
    data: dict[str, Any] = plain(message.model_dump(mode="json"))
    return data
