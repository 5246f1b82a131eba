"""Models of Anthropic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anthropic
from django.conf import settings
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.providers.anthropic import AnthropicProvider

from agents.runtime.exceptions import ModelMisnamed
from agents.runtime.hearing import Heard

if TYPE_CHECKING:
    from pydantic_ai.models import Model


def from_anthropic(name: str, base_url: str) -> Model:
    """Return a model of Anthropic; raises ModelMisnamed without a key."""
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
    return Heard(AnthropicModel(name, provider=AnthropicProvider(anthropic_client=client)))
