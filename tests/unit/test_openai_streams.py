"""What comes in pieces becomes the answer a server would have sent whole; nothing is lost or moved."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from openai.types.chat import ChatCompletion
from pydantic_ai.exceptions import UnexpectedModelBehavior

from agents.runtime.hearing import Ear, _ear
from agents.runtime.openai_streams import Whole


class Listener:
    """Hears what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.thought: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def think(self, text: str) -> None:
        self.thought.append(text)


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"id": "1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def call(arguments: str, index: int | None = 0, **head: Any) -> dict[str, Any]:
    name = head.pop("name", None)
    function = {"arguments": arguments, **({"name": name} if name else {})}
    return chunk(tool_calls=[{"index": index, "function": function, **head}])


def whole(*chunks: dict[str, Any]) -> dict[str, Any]:
    made = Whole()
    for each in chunks:
        made.take(each)
    answer = made.completion()
    ChatCompletion.model_validate({**answer, "choices": answer["choices"] if made.finished else []})
    return answer


def message(*chunks: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = whole(*chunks, chunk(finish="stop"))["choices"][0]["message"]
    return told


def calls(*chunks: dict[str, Any]) -> list[tuple[str, str]]:
    made = message(*chunks)["tool_calls"]
    return [(each["function"]["name"], each["function"]["arguments"]) for each in made]


def test_words_and_arguments_become_whole() -> None:
    told = message(
        chunk(role="assistant", content=""),
        chunk(content="I "),
        chunk(content="look."),
        call('{"pa', id="a", name="read", type="function"),
        call('th": 1}'),
    )
    assert told["content"] == "I look."
    (only,) = told["tool_calls"]
    function = {"name": "read", "arguments": '{"path": 1}'}
    assert only == {"id": "a", "type": "function", "function": function}


@pytest.mark.parametrize(
    "pieces",
    [
        [call("1", 0, id="a", name="x"), call("2", 1, id="b", name="y"), call("3", 1)],
        [call("1", 0, id="a", name="x"), call("23", 0, id="b", name="y")],  # one number for all
        [call("1", None, id="a", name="x"), call("23", None, id="b", name="y")],  # none at all
        [
            call("1", 0, id="a", name="x"),
            call("2", 1, id="b", name="y"),
            call("", 0),
            call("3", 1),
        ],
        [call("1", 0, id="a", name="x"), call("2", 1, name="y"), call("3", 1)],  # no id
    ],
)
def test_two_calls_stay_two_however_they_are_numbered(pieces: list[dict[str, Any]]) -> None:
    assert calls(*pieces) == [("x", "1"), ("y", "23")]


def test_a_call_repeated_with_its_id_in_every_piece_is_one() -> None:
    assert calls(call("1", id="a", name="x"), call("2", id="a", name="x")) == [("x", "12")]


def test_calls_without_an_id_get_one_each() -> None:
    told = message(call("1", 0, name="x"), call("2", 1, name="y"))["tool_calls"]
    assert len({each["id"] for each in told}) == 2


def test_thoughts_are_kept_and_what_nobody_uses_is_not() -> None:
    told = message(
        chunk(reasoning="a"),
        chunk(reasoning="b", reasoning_details=[1]),
        chunk(content="c", annotations=[{"x": 1}], made_up={"y": 2}),
    )
    assert told == {"role": "assistant", "content": "c", "reasoning": "ab"}


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 6}, (5, 6, 11)),
        ({"prompt_tokens": 5, "completion_tokens": None}, (5, 0, 5)),
        ({"prompt_tokens": -1, "completion_tokens": "many"}, (0, 0, 0)),
        ({"prompt_tokens": 1.0, "prompt_tokens_details": {"cached_tokens": 1}}, (1, 0, 1)),
        ({"completion_tokens": 10**400}, (0, 0, 0)),
    ],
)
def test_tokens_are_counted_however_they_are_told(usage, counts) -> None:
    made = whole(chunk(content="a"), chunk(finish="stop"), {"choices": [], "usage": usage})
    read = ChatCompletion.model_validate(made).usage
    assert read is not None
    assert (read.prompt_tokens, read.completion_tokens, read.total_tokens) == counts


def test_names_of_another_kind_are_texts() -> None:
    last = {"id": 7, "model": 8, "created": "now", "system_fingerprint": 9, "choices": []}
    made = ChatCompletion.model_validate(whole(call("{}", id=5, name="x"), chunk("stop"), last))
    assert (made.id, made.model, made.created) == ("7", "8", 0)
    assert made.choices[0].message.tool_calls[0].id == "5"


def test_a_call_without_a_name_has_one_that_can_be_sent_back() -> None:
    assert calls(call("{}", id="a")) == [("unnamed", "{}")]


def test_a_thought_signature_is_kept_with_its_call() -> None:
    (made,) = message(call("{}", id="a", name="x", extra_content={"s": "1"}))["tool_calls"]
    assert made["extra_content"] == {"s": "1"}


def test_all_that_is_kept_is_counted() -> None:
    made = Whole()
    token = _ear.set(Ear(Listener(), 1_000))  # type: ignore[arg-type]
    try:
        pieces = [call("", number, id=f"id-{number}", name="x") for number in range(2_000)]
        with pytest.raises(UnexpectedModelBehavior):
            deque(map(made.take, pieces))
    finally:
        _ear.reset(token)


def test_the_end_keeps_its_reason_usage_and_model() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    last = {"id": "1", "model": "m", "created": 7, "choices": [], "usage": usage}
    made = whole(chunk(content="a"), chunk(finish="length"), last)
    assert (made["id"], made["model"], made["created"]) == ("1", "m", 7)
    assert (made["usage"], made["choices"][0]["finish_reason"]) == (usage, "length")


def test_without_a_reason_it_is_not_finished() -> None:
    made = Whole()
    made.take(chunk(content="a"))
    assert not made.finished
    made.take(chunk(finish="stop"))
    assert made.finished


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"choices": None},
        {"choices": [None]},
        {"choices": [{}]},
        {"choices": [{"delta": None}]},
        {"choices": [{"delta": {"tool_calls": [None, {}, {"function": None}]}}]},
        {"choices": [{"delta": {"tool_calls": 5}}]},
        {"choices": [{"delta": {"tool_calls": [{"function": {"arguments": {"a": 1}}}]}}]},
    ],
)
def test_odd_chunks_break_nothing(odd: dict[str, Any]) -> None:
    assert message(odd, chunk(content="a"))["content"] == "a"


def test_only_words_for_people_are_said() -> None:
    listener = Listener()
    token = _ear.set(Ear(listener, 1_000))  # type: ignore[arg-type]
    try:
        whole(
            chunk(content="<think>"),
            chunk(content="hm"),
            chunk(content="</think>"),
            chunk(reasoning="more", reasoning_content="more"),
            chunk(reasoning_content="yet", reasoning="yet"),
            chunk(content="Hello"),
            call("{}", id="a", name="x"),
        )
    finally:
        _ear.reset(token)
    assert "".join(listener.said).strip() == "Hello"
    assert "".join(listener.thought) == "hmmoreyet"  # once, though in two fields
