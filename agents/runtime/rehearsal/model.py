"""Makes a model of a script: the same wire as a real one, spoken word by word."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from django.conf import settings
from pydantic_ai.models.function import DeltaThinkingPart, DeltaToolCall, FunctionModel

from agents.runtime.hearing import Heard
from agents.runtime.rehearsal import reminding
from agents.runtime.rehearsal.answers import blocked, cannot_act
from agents.runtime.rehearsal.extracts import extract, plan_to_look
from agents.runtime.rehearsal.scene import Move, scene_of
from agents.runtime.rehearsal.story import play
from agents.workspace.demo import REMINDERS, SCENARIO

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pydantic_ai.messages import ModelMessage
    from pydantic_ai.models import Model
    from pydantic_ai.models.function import AgentInfo

    from agents.runtime.contract import Work
    from agents.runtime.rehearsal.scene import Scene

_PIECE = re.compile(r"\S+\s*|\s+")


def rehearsal_model(work: Work) -> Model:
    """Return the scripted model of one step."""

    async def speak(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        move = _next(scene_of(work, messages), info)
        async for piece in _spoken(move.thought):
            yield {0: DeltaThinkingPart(content=piece)}
        async for piece in _spoken(move.say):
            yield piece
        for index, call in enumerate(_wire(move, info)):
            # Unique in the conversation: ids are how results are matched to calls.
            call.tool_call_id = f"rehearsal-{len(messages)}-{index}"
            yield {index + 1: call}

    return Heard(FunctionModel(stream_function=speak, model_name="rehearsal"))


def _next(scene: Scene, info: AgentInfo) -> Move:
    move = _script(scene)(scene)
    granted = {tool.name for tool in info.function_tools}
    missing = [call.tool for call in move.calls if call.tool not in granted]
    if missing and scene.kind == "work":
        return blocked(scene, reminding.why_not(missing) or cannot_act(missing))
    calls = tuple(call for call in move.calls if call.tool in granted)
    if missing and not calls:  # only the router looks for things it can do without
        return plan_to_look(scene)
    return replace(move, calls=calls)


def _script(scene: Scene) -> Callable[[Scene], Move]:
    """Return the story that is asked for, if one is: they are told of the bundled repository alone."""
    request = scene.brief.get("request", "") if scene.brief.get("bundled") else ""
    if SCENARIO.fits(request):
        return play
    return reminding.play if REMINDERS.fits(request) else extract


async def _spoken(text: str) -> AsyncIterator[str]:
    pause = settings.REHEARSAL_PACE_MS / 1_000
    for piece in _PIECE.findall(text):
        yield piece
        if pause:
            await asyncio.sleep(pause)


def _wire(move: Move, info: AgentInfo) -> list[DeltaToolCall]:
    if move.answer is not None:
        name = info.output_tools[0].name
        return [DeltaToolCall(name, json.dumps(move.answer))]
    return [DeltaToolCall(call.tool, json.dumps(call.arguments)) for call in move.calls]
