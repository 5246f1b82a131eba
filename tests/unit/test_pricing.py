"""What an answer costs by the public list of prices."""

from __future__ import annotations

from decimal import Decimal

from pydantic_ai.messages import ModelResponse
from pydantic_ai.usage import RequestUsage

from agents.runtime import pricing


def answer(model: str, provider: str = "openai") -> ModelResponse:
    usage = RequestUsage(input_tokens=1_000, output_tokens=1_000)
    return ModelResponse(parts=[], usage=usage, model_name=model, provider_name=provider)


def test_a_listed_model_costs_what_its_tokens_do():
    known = answer("gpt-4o")
    assert pricing.listed(known) == known.cost().total_price > 0


def test_a_name_that_is_not_listed_is_looked_for_once():
    unknown = answer("my-own-model-of-today")
    assert pricing.listed(unknown) is None
    before = pricing._listed.cache_info()
    assert pricing.listed(unknown) is None
    after = pricing._listed.cache_info()
    assert (after.hits - before.hits, after.misses) == (1, before.misses)


def test_a_model_of_ones_own_machine_costs_nothing():
    assert pricing.listed(answer("llama3", "ollama")) == Decimal(0)
