"""Turns a model choice such as `openai:gpt-5` into a model, one client per process."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import anthropic
import openai
from django.conf import settings
from pydantic_ai.exceptions import (
    ModelConnectionError,
    ModelOverloadedError,
    ModelRateLimitError,
    ModelRequestTimeout,
    ModelServerError,
    ModelUnavailableError,
)
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.profiles import merge_profile
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.ollama import OllamaProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider
from pydantic_ai.settings import ModelSettings

from agents.runtime.rehearsal import rehearsal_model
from projects.exceptions import CountersignError

if TYPE_CHECKING:
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


class ModelMisnamed(CountersignError):
    """The model choice cannot be used."""


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
        return _profile_price(self.profile, response) or _listed_price(response)

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
    build = {"openai": _openai, "anthropic": _anthropic, "ollama": _ollama}[provider]
    return build(name.strip(), base_url)


def _openai(name: str, base_url: str) -> Model:
    url = base_url or settings.OPENAI_BASE_URL
    if not settings.OPENAI_API_KEY and not url:
        raise ModelMisnamed(
            f"OPENAI_API_KEY is not set, so openai:{name} cannot be used. Set it, or set "
            "OPENAI_BASE_URL to a server that needs no key."
        )
    # Servers without a key still want the header.
    client = _openai_client(url or None, settings.OPENAI_API_KEY or "none")
    if not url or "api.openai.com" in url:
        return _chat(name, OpenAIProvider(openai_client=client))
    return _chat(name, OpenAICompatibleProvider("openai-compatible", openai_client=client))


def _ollama(name: str, base_url: str) -> Model:
    client = _openai_client(base_url or settings.OLLAMA_BASE_URL, "ollama")
    return _chat(name, OllamaProvider(openai_client=client))


def _openai_client(url: str | None, key: str) -> openai.AsyncOpenAI:
    # max_retries=0: hidden retries would neither be counted nor shown.
    return openai.AsyncOpenAI(
        base_url=url, api_key=key, max_retries=0, http_client=openai.DefaultAioHttpClient()
    )


def _chat(
    name: str, provider: OpenAIProvider | OpenAICompatibleProvider | OllamaProvider
) -> OpenAIChatModel:
    # Without this a stream that was cut off is taken for an answer.
    strict = OpenAIModelProfile(openai_chat_streaming_requires_finish_reason=True)
    profile = merge_profile(provider.model_profile(name), strict)
    return OpenAIChatModel(name, provider=provider, profile=profile)


def _anthropic(name: str, base_url: str) -> Model:
    url = base_url or settings.ANTHROPIC_BASE_URL
    if not settings.ANTHROPIC_API_KEY and not url:
        raise ModelMisnamed(
            f"ANTHROPIC_API_KEY is not set, so anthropic:{name} cannot be used. Set it."
        )
    client = anthropic.AsyncAnthropic(
        base_url=url or None,
        api_key=settings.ANTHROPIC_API_KEY or "none",
        max_retries=0,
        http_client=anthropic.DefaultAioHttpClient(),
    )
    return AnthropicModel(name, provider=AnthropicProvider(anthropic_client=client))


def _profile_price(profile: ModelProfile, response: ModelResponse) -> Decimal | None:
    asked, answered = profile.usd_per_million_input, profile.usd_per_million_output
    if asked is None and answered is None:
        return None
    usage = response.usage
    total = usage.input_tokens * (asked or 0) + usage.output_tokens * (answered or 0)
    return Decimal(total) / 1_000_000


def _listed_price(response: ModelResponse) -> Decimal | None:
    if response.provider_name == "ollama":
        return Decimal(0)  # runs on one's own machine
    try:
        return response.cost().total_price
    except (LookupError, ValueError, AssertionError):
        return None
