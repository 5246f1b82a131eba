"""Lets a model call through: its provider answers, its cost is reserved, or it is not made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic_ai.exceptions import (
    ModelConnectionError,
    ModelHTTPError,
    ModelOverloadedError,
    ModelRateLimitError,
    ModelRequestTimeout,
    ModelServerError,
    ModelUnavailableError,
)
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.settings import ModelSettings

from agents.breakers import providers, reserving
from agents.runtime import checkpoints, pricing, turns
from agents.runtime.database import in_db
from agents.runtime.halting import Halted
from agents.runtime.redaction import capped, clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic_ai.messages import ModelResponse
    from pydantic_ai.models import Model

    from agents.runtime.checkpoints import Outlook, Progress
    from agents.runtime.contract import Work
    from agents.runtime.offering import ModelCall
    from agents.runtime.providers import Chosen

# Trouble of the provider, not of the request.
_OUTAGES = (
    ModelConnectionError,  # timeouts among them
    ModelRequestTimeout,
    ModelRateLimitError,
    ModelServerError,
    ModelUnavailableError,
    ModelOverloadedError,
)
# Classes of the HTTP clients for a connection that never stood: nothing was sent.
_UNCONNECTED = frozenset(
    {"ConnectError", "ConnectTimeout", "ClientConnectorError", "ConnectionTimeoutError"}
)
_HOMES = ("api.openai.com", "api.anthropic.com")


@dataclass(kw_only=True, eq=False)
class Gate:
    """Stands before every model call of one attempt, and hears how it went."""

    work: Work
    chosen: Chosen
    progress: Progress
    reserved: reserving.Reserved | None = None
    _probing: tuple[str, ...] = ()

    async def enter(self, call: ModelCall) -> Outlook:
        """Return what a turn must know; with the cost of the call reserved unless it is refused.

        Raises Halted while the provider is left alone. A rehearsal calls nobody and costs nothing.
        """
        if self.chosen.rehearsal:
            return await turns.looked(turns.Look(work=self.work, progress=self.progress))
        look = turns.Look(
            work=self.work,
            progress=self.progress,
            call=pricing.asking(self.chosen, call),
            behind=_keys(self.chosen.model),
            probe_seconds=float(self.chosen.profile.timeout_seconds),
        )
        outlook = await turns.looked(look)
        self._probing = outlook.probing
        held = outlook.reserved
        self.reserved = held if isinstance(held, reserving.Reserved) else None
        return outlook

    def fitted(self, settings: ModelSettings) -> ModelSettings:
        """Return the settings with an answer no longer than what is reserved for it."""
        if self.reserved is None or not self.reserved.tight:
            return settings
        return ModelSettings({**settings, "max_tokens": self.reserved.output_tokens})

    def cut(self, response: ModelResponse) -> dict[str, Any]:
        """Return the limit that ended an answer early, because not more of it could be paid."""
        if self.reserved is None or response.finish_reason != "length":
            return {}
        return self.reserved.tight

    async def answered(self) -> None:
        """Hear that the provider answered; nothing is written unless it was being tried."""
        if self._probing:
            probing, self._probing = self._probing, ()
            await in_db(providers.healed, probing)

    async def failed(self, error: BaseException) -> None:
        """Hear of an error: give back what cannot be billed, count what is the provider's trouble."""
        if self.chosen.rehearsal:
            return
        errors = list(_leaves(error))
        if any(isinstance(each, Halted) for each in errors):
            return  # our own signal
        if errors and all(_unbilled(each) for each in errors):
            await in_db(self._release)
        outages = [each for each in errors if isinstance(each, _OUTAGES)]
        if outages:
            self._probing = ()
            told = capped(clean(str(outages[-1])), 300)
            await in_db(providers.failed, _keys(self.chosen.model), told)
        else:
            await self.answered()

    def _release(self) -> None:
        with checkpoints.leased(self.work):
            reserving.release(self.work.attempt)


def _keys(model: Model) -> tuple[str, ...]:
    models = model.models if isinstance(model, FallbackModel) else [model]
    return tuple(dict.fromkeys(_key(each) for each in models))


def _key(model: Model) -> str:
    """Return the provider, and its address where it is another than its own; no password of it."""
    url = urlsplit(model.base_url or "")
    if not url.hostname or url.hostname in _HOMES:
        return model.system[:300]
    port = f":{url.port}" if url.port else ""
    return f"{model.system}@{url.hostname}{port}{url.path.rstrip('/')}"[:300]


def _unbilled(error: BaseException) -> bool:
    """Tell whether the provider turned the call away, or was never reached."""
    if isinstance(error, ModelHTTPError):
        return True
    cause: BaseException | None = error
    while cause is not None:
        if not _UNCONNECTED.isdisjoint(kind.__name__ for kind in type(cause).__mro__):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _leaves(error: BaseException) -> Iterator[BaseException]:
    inside = getattr(error, "exceptions", None)
    if inside is None:
        yield error
    for each in inside or ():
        yield from _leaves(each)
