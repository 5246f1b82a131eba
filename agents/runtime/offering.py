"""What a model is offered with each call: the rules, the tools, and the one its answer goes into."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from pydantic import TypeAdapter
from pydantic_ai.messages import InstructionPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import GenerateToolJsonSchema, ToolDefinition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic_ai.messages import ModelMessage
    from pydantic_ai.settings import ModelSettings

    from agents.messages import Answer, Plan, ProposalDraft, StepResult

_HAND_IN = "Hand in your answer and end your work. Call it once, when nothing else is left to do."


@dataclass(frozen=True)
class Offered:
    """A tool as a model sees it, and how many characters that takes."""

    definition: ToolDefinition
    characters: int

    @classmethod
    def of(cls, definition: ToolDefinition) -> Offered:
        """Measure a definition; done once for each, since schemas are long."""
        schema = json.dumps(definition.parameters_json_schema)
        return cls(definition, len(schema) + len(definition.description or ""))


@dataclass(frozen=True, kw_only=True)
class ModelCall:
    """A call of a model that is about to be made."""

    messages: Sequence[ModelMessage]
    instructions: str
    tools: Sequence[Offered]
    output: Offered
    settings: ModelSettings

    @property
    def overhead(self) -> int:
        """Count the characters that go with every call, whatever was said before."""
        tools = sum(tool.characters for tool in self.tools)
        return len(self.instructions) + tools + self.output.characters

    def parameters(self) -> ModelRequestParameters:
        """Return what pydantic-ai's models take beside the messages."""
        return ModelRequestParameters(
            function_tools=[tool.definition for tool in self.tools],
            output_mode="tool",
            output_tools=[self.output.definition],
            allow_text_output=False,
            instruction_parts=[InstructionPart(content=self.instructions)],
        )


@cache
def output_tool(output: type[Plan | StepResult | Answer | ProposalDraft], name: str) -> Offered:
    """Return the tool by which an answer of this type is handed in: its schema takes long to make."""
    schema = TypeAdapter(output).json_schema(schema_generator=GenerateToolJsonSchema)
    schema.pop("title", None)
    told = schema.pop("description", "")
    return Offered.of(
        ToolDefinition(
            name=name,
            description=f"{_HAND_IN} {told}".rstrip(),
            parameters_json_schema=schema,
            strict=False,
            kind="output",
        )
    )
