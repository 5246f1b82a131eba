"""Neighbouring chunks of one kind become one; nothing of them is lost or moved."""

from __future__ import annotations

from typing import Any

from agents.runtime.openai_streams import Runs


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"id": "1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def call(arguments: str, index: int = 0, **head: Any) -> dict[str, Any]:
    name = head.pop("name", None)
    function = {"arguments": arguments, **({"name": name} if name else {})}
    return chunk(tool_calls=[{"index": index, "function": function, **head}])


def joined(*chunks: dict[str, Any]) -> list[dict[str, Any]]:
    runs = Runs()
    taken = [each for one in chunks for each in runs.take(one)]
    return [each["choices"][0] if each["choices"] else each for each in [*taken, *runs.end()]]


def deltas(*chunks: dict[str, Any]) -> list[dict[str, Any]]:
    return [choice["delta"] for choice in joined(*chunks)]


def test_words_and_arguments_become_one_chunk_each() -> None:
    made = deltas(
        chunk(role="assistant", content=""),
        chunk(content="I "),
        chunk(content="look."),
        call('{"pa', id="a", name="read"),
        call('th": 1}'),
        chunk(finish="tool_calls"),
    )
    assert [each.get("content") for each in made] == ["", "I look.", None, None]
    (only,) = made[2]["tool_calls"]
    assert only == {"index": 0, "id": "a", "function": {"name": "read", "arguments": '{"path": 1}'}}


def test_the_first_chunk_goes_on_at_once() -> None:
    assert list(Runs().take(chunk(content="I"))) == [chunk(content="I")]


def test_two_calls_stay_two() -> None:
    first = chunk(role="assistant")
    made = deltas(
        first, call("1", 0, id="a", name="x"), call("2", 1, id="b", name="y"), call("3", 1)
    )
    told = [each["tool_calls"][0]["function"]["arguments"] for each in made[1:]]
    assert told == ["1", "23"]


def test_order_between_kinds_is_kept() -> None:
    first = chunk(role="assistant")
    made = deltas(first, chunk(reasoning="a"), chunk(content="b"), chunk(content="c"))
    assert made[1:] == [{"reasoning": "a"}, {"content": "bc"}]


def test_thinking_tags_and_what_is_unknown_stand_alone() -> None:
    first = chunk(role="assistant")
    odd = chunk(content="x", logprobs_of_mine=[1])
    made = deltas(first, chunk(content="<think>"), chunk(content="a"), chunk(content="b"), odd)
    assert [each.get("content") for each in made[1:]] == ["<think>", "ab", "x"]


def test_the_end_keeps_its_reason_and_usage() -> None:
    usage = {"id": "1", "choices": [], "usage": {"prompt_tokens": 1}}
    made = joined(chunk(content="a"), chunk(content="b"), chunk(finish="stop"), usage)
    assert made[-2]["finish_reason"] == "stop"
    assert made[-1] == usage
