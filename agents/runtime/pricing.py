"""Estimates what a model call will cost before it is made."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

from pydantic_ai.messages import (
    BaseToolCallPart,
    ModelResponse,
    RetryPromptPart,
    TextPart,
    ThinkingPart,
)
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.usage import RequestUsage

from agents.breakers.reserving import Asking, Price

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydantic_ai.messages import ModelMessage
    from pydantic_ai.models import Model

    from agents.runtime.offering import ModelCall
    from agents.runtime.providers import Chosen

# Cautious: English text has about 4 characters a token, code and JSON about 3.
_CHARACTERS = 3
_SAMPLE = 1_000  # tokens
_NOTHING = Decimal(0)
_FREE = Price(input=_NOTHING, output=_NOTHING)


def asking(chosen: Chosen, call: ModelCall) -> Asking:
    """Return what the call about to be made sends and may cost."""
    return Asking(
        input_tokens=_estimate(call),
        output_tokens=chosen.profile.max_output_tokens,
        price=price_of(chosen),
    )


def price_of(chosen: Chosen) -> Price | None:
    """Return the highest price among the model and its fallbacks; None when one is not known."""
    profile = chosen.profile
    asked, answered = profile.usd_per_million_input, profile.usd_per_million_output
    if asked is not None or answered is not None:
        return Price(
            input=(asked or _NOTHING) / 1_000_000, output=(answered or _NOTHING) / 1_000_000
        )
    models = chosen.model.models if isinstance(chosen.model, FallbackModel) else [chosen.model]
    prices = [_listed(*_name(model)) for model in models]
    known = [price for price in prices if price is not None]
    if len(known) < len(prices):
        return None
    return Price(
        input=max(price.input for price in known), output=max(price.output for price in known)
    )


def listed(response: ModelResponse) -> Decimal | None:
    """Return what an answer cost by the public list of prices, or None when that does not know it."""
    name, provider = response.model_name or "", response.provider_name or ""
    price = _listed(name, provider, response.provider_url or "")
    # To look for a name that is not on the list takes longest: 0.2 ms after each answer.
    if price is None:
        return None
    if price is _FREE:
        return _NOTHING
    try:
        return response.cost().total_price
    except (LookupError, ValueError, AssertionError):
        return None


def _name(model: Model) -> tuple[str, str, str]:
    return model.model_name, model.system, model.base_url or ""


@lru_cache(maxsize=200)
def _listed(name: str, provider: str, url: str) -> Price | None:
    if provider == "ollama":
        return _FREE  # runs on one's own machine
    totals = []
    for sample in (RequestUsage(input_tokens=_SAMPLE), RequestUsage(output_tokens=_SAMPLE)):
        answer = ModelResponse(
            parts=[],
            usage=sample,
            model_name=name,
            provider_name=provider,
            provider_url=url or None,
        )
        try:
            totals.append(answer.cost().total_price / _SAMPLE)
        except (LookupError, ValueError, AssertionError):
            return None
    return Price(input=totals[0], output=totals[1])


def _estimate(call: ModelCall) -> int:
    """Count on from what the provider counted last; before that, by characters."""
    messages = call.messages
    for back, message in enumerate(reversed(messages)):
        if isinstance(message, ModelResponse) and message.usage.input_tokens:
            counted = message.usage.input_tokens + message.usage.output_tokens
            later = messages[len(messages) - back :]
            return counted + _length(later) // _CHARACTERS
    return (_length(messages) + call.overhead) // _CHARACTERS


def _length(messages: Sequence[ModelMessage]) -> int:
    return sum(_characters(message.parts) for message in messages)


def _characters(parts: Iterable[object]) -> int:
    total = 0
    for part in parts:
        match part:
            case BaseToolCallPart():
                total += len(part.args_as_json_str())
            case RetryPromptPart():
                total += len(part.model_response())
            case TextPart() | ThinkingPart():
                total += len(part.content)
            case _:
                total += len(str(getattr(part, "content", "")))
    return total
