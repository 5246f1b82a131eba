"""Turns a model choice such as `openai:gpt-5` into a model, one client per process."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from django.conf import settings
from pydantic_ai.exceptions import (
    ModelConnectionError,
    ModelOverloadedError,
    ModelRateLimitError,
    ModelRequestTimeout,
    ModelServerError,
    ModelUnavailableError,
)
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from agents.runtime import pricing
from agents.runtime.exceptions import ModelMisnamed
from agents.runtime.rehearsal import rehearsal_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic_ai.messages import ModelResponse
    from pydantic_ai.models import Model

    from agents.models import ModelProfile
    from agents.runtime.contract import Work

REHEARSAL = "rehearsal"
_PROVIDERS = ("openai", "anthropic", "ollama")
# What another model may heal. A refused key is not among them: hiding it would hide the fault.
_FALL_BACK_ON = (
    ModelConnectionError,
    ModelRequestTimeout,
    ModelRateLimitError,
    ModelServerError,
    ModelUnavailableError,
    ModelOverloadedError,
)


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The model of one attempt, its name for people, and its settings."""

    model: Model
    label: str
    settings: ModelSettings
    profile: ModelProfile

    @property
    def rehearsal(self) -> bool:
        """Tell whether no language model does the thinking."""
        return self.label == REHEARSAL

    def usd(self, response: ModelResponse) -> Decimal | None:
        """Return what one answer cost, or None when its price is not known."""
        if self.rehearsal:
            return Decimal(0)
        price = _profile_price(self.profile, response)  # 0 is a price: one's own server
        return pricing.listed(response) if price is None else price

    def name_of(self, response: ModelResponse) -> str:
        """Return the model that answered, which a fallback may have changed."""
        if self.rehearsal:
            return REHEARSAL
        provider = self.label.partition(":")[0]
        answered = (response.model_name or "").strip()
        return f"{provider}:{answered}"[:200] if answered and not self._alone else self.label

    @property
    def _alone(self) -> bool:
        return not isinstance(self.model, FallbackModel)


def choose(work: Work) -> Chosen:
    """Return the model this step thinks with; raises ModelMisnamed with what to correct."""
    profile = work.step.version.model_profile
    label = profile.model or work.step.task.model
    if label == REHEARSAL:
        return Chosen(
            model=rehearsal_model(work), label=label, settings=ModelSettings(), profile=profile
        )
    models = [_cached(name, profile.base_url) for name in (label, *profile.fallbacks)]
    model = FallbackModel(*models, fallback_on=_FALL_BACK_ON) if len(models) > 1 else models[0]
    return Chosen(model=model, label=label, settings=_settings(profile), profile=profile)


def _settings(profile: ModelProfile) -> ModelSettings:
    chosen = ModelSettings(
        max_tokens=profile.max_output_tokens, timeout=float(profile.timeout_seconds)
    )
    if profile.temperature is not None:
        chosen["temperature"] = profile.temperature
    return chosen


_models: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, ...], Model]] = (
    WeakKeyDictionary()
)


def _cached(name: str, base_url: str) -> Model:
    # Connections belong to a loop; keys are part of the cache key so that a changed key is used.
    cache = _models.setdefault(asyncio.get_running_loop(), {})
    key = (name, base_url, *_environment())
    if key not in cache:
        cache[key] = _build(name, base_url)
    return cache[key]


async def close() -> None:
    """Close the connections that the models of this loop keep."""
    for model in _models.pop(asyncio.get_running_loop(), {}).values():
        inner: Any = model.wrapped if isinstance(model, WrapperModel) else model
        await inner.client.close()


def _environment() -> tuple[str, ...]:
    return (
        settings.OPENAI_BASE_URL,
        settings.OPENAI_API_KEY,
        settings.ANTHROPIC_BASE_URL,
        settings.ANTHROPIC_API_KEY,
        settings.OLLAMA_BASE_URL,
    )


def _build(choice: str, base_url: str) -> Model:
    provider, colon, name = choice.partition(":")
    if not colon or provider not in _PROVIDERS or not name.strip():
        raise ModelMisnamed(
            f"{choice!r} is not a model choice. Set COUNTERSIGN_MODEL, or the agent's model profile, "
            "to openai:NAME, anthropic:NAME, ollama:NAME or rehearsal."
        )
    return _maker(provider)(name.strip(), base_url)


def _maker(provider: str) -> Callable[[str, str], Model]:
    """Load a provider when it is first asked for: the two SDKs take 70 MB and seconds to import."""
    if provider == "anthropic":
        from agents.runtime.anthropic_models import from_anthropic

        return from_anthropic
    from agents.runtime.openai_models import from_ollama, from_openai

    return from_openai if provider == "openai" else from_ollama


def _profile_price(profile: ModelProfile, response: ModelResponse) -> Decimal | None:
    asked, answered = profile.usd_per_million_input, profile.usd_per_million_output
    if asked is None and answered is None:
        return None
    usage = response.usage
    total = usage.input_tokens * (asked or 0) + usage.output_tokens * (answered or 0)
    return Decimal(total) / 1_000_000


# The configured model is loaded with the runtime: later, the import would hold up its loop.
if (_configured := settings.COUNTERSIGN_MODEL.partition(":")[0]) in _PROVIDERS:
    _maker(_configured)
