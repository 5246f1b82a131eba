"""Models behind OpenAI's protocol: OpenAI itself, any compatible server, Ollama."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from django.conf import settings
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.profiles import merge_profile
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.ollama import OllamaProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

from agents.runtime.exceptions import ModelMisnamed
from agents.runtime.openai_wire import Client

if TYPE_CHECKING:
    from pydantic_ai.models import Model, ModelRequestParameters
    from pydantic_ai.tools import ToolDefinition


def from_openai(name: str, base_url: str) -> Model:
    """Return a model of OpenAI or of a compatible server; raises ModelMisnamed without a key."""
    url = base_url or settings.OPENAI_BASE_URL
    if not settings.OPENAI_API_KEY and not url:
        raise ModelMisnamed(
            f"OPENAI_API_KEY is not set, so openai:{name} cannot be used. Set it, or set "
            "OPENAI_BASE_URL to a server that needs no key."
        )
    # Servers without a key still want the header.
    client = _client(url or None, settings.OPENAI_API_KEY or "none")
    if not url or "api.openai.com" in url:
        return _chat(name, OpenAIProvider(openai_client=client))
    return _chat(name, OpenAICompatibleProvider("openai-compatible", openai_client=client))


def from_ollama(name: str, base_url: str) -> Model:
    """Return a model of an Ollama server."""
    client = _client(base_url or settings.OLLAMA_BASE_URL, "ollama")
    return _chat(name, OllamaProvider(openai_client=client))


def _client(url: str | None, key: str) -> Client:
    # max_retries=0: hidden retries would neither be counted nor shown.
    return Client(base_url=url, api_key=key, max_retries=0)


def _chat(
    name: str, provider: OpenAIProvider | OpenAICompatibleProvider | OllamaProvider
) -> OpenAIChatModel:
    strict = OpenAIModelProfile(
        # Strict chat templates refuse a second system message, and one that is not the first.
        openai_chat_supports_multiple_system_messages=False,
        supports_inline_system_prompts=False,
    )
    profile = merge_profile(provider.model_profile(name), strict)
    return _Chat(name, provider=provider, profile=profile)


class _Chat(OpenAIChatModel):
    """Makes a provider's form of each tool's schema once, and not for every request."""

    def customize_request_parameters(
        self, model_request_parameters: ModelRequestParameters
    ) -> ModelRequestParameters:
        """Return the parameters with schemas as the provider takes them."""
        asked = model_request_parameters
        given = [*asked.function_tools, *asked.output_tools]
        key = (
            str(self.profile),
            *((id(tool.parameters_json_schema), tool.strict) for tool in given),
        )
        if asked.output_object is not None:
            return super().customize_request_parameters(asked)
        if key not in _customized:
            made = super().customize_request_parameters(asked)
            if len(_customized) > _MOST_SCHEMAS:
                _customized.clear()
            # With what was given: an id is free again once its object is gone.
            _customized[key] = given, [*made.function_tools, *made.output_tools]
        tools = [
            replace(tool, parameters_json_schema=known.parameters_json_schema, strict=known.strict)
            for tool, known in zip(given, _customized[key][1], strict=True)
        ]
        split = len(asked.function_tools)
        return replace(asked, function_tools=tools[:split], output_tools=tools[split:])


_MOST_SCHEMAS = 200
_customized: dict[tuple[Any, ...], tuple[list[ToolDefinition], list[ToolDefinition]]] = {}
