"""What people ask of a step reaches its agent: every word, and each hunk once."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from agents import asking
from agents.messages import MAX_ASKED, StepResult
from agents.rounds import Feedback
from agents.runtime import prompting
from projects.exceptions import InvalidInput

LINES = [
    f"+    value_{number} = compute({number}, rounding='half-even')\n" for number in range(400)
]
WORK = {
    "request": "THE WHOLE REQUEST " + "r" * 15_000 + " TO ITS END",
    "project": "acme",
    "title": "Fix it",
    "instructions": "i" * 4_000,
    "acceptance": "a" * 400,
    "files": ["f" * 300] * 40,
    "needs": [{"key": "k", "agent": "coder", "title": "Look", "result": {"report": "x" * 20_000}}]
    * 3,
    "earlier": {"summary": "s" * 20_000},
    "checks_command": "",
}


def hunk(text: str, key: str = "a", old: int = 0, new: int = 1):
    file = SimpleNamespace(path="a.py")
    return SimpleNamespace(pk=key, text=text, old_start=old, new_start=new, file=file)


def on_line(of, number: int, note: str, *, line: str = "x = 1") -> Feedback:
    place = f"line {number} as proposed"
    return Feedback(
        agent_slug="", note=note, hunk=of, by="Dana", place=place, line=line, at=number - 1
    )


def kept(*asked: Feedback) -> list[dict]:
    return asking.kept(asked, of="Code agent", round_number=1)


def told(feedback: list[dict], **facts) -> str:
    return prompting.prompt(SimpleNamespace(brief={**WORK, "feedback": feedback, **facts}), [])


def test_twenty_comments_on_one_new_file_are_all_told_with_the_request() -> None:
    new = hunk("".join(LINES))
    said = [on_line(new, 20 * number, f"Comment number {number}.") for number in range(1, 21)]
    prompt = told(kept(*said, Feedback(agent_slug="", note="THE GENERAL NOTE")))
    missing = [number for number in range(1, 21) if f"Comment number {number}.\n" not in prompt]
    assert missing == []
    assert "THE GENERAL NOTE" in prompt
    assert "TO ITS END" in prompt
    assert len(prompt) <= prompting.BRIEF_CHARACTERS


def test_as_much_as_may_be_asked_is_told_in_full() -> None:
    each = asking.MOST_CHARACTERS // 100 - 145
    many = [
        on_line(hunk("".join(LINES), key=str(number)), number, f"{number}: {'n' * each}")
        for number in range(1, 101)
    ]
    prompt = told(kept(*many))
    assert [number for number in range(1, 101) if f"\n{number}: nnn" not in prompt] == []
    assert "TO ITS END" in prompt


def test_a_hunk_is_kept_once_and_printed_after_all_that_was_said() -> None:
    first, other = hunk("-a\n+b\n"), hunk("-c\n+d\n", key="b")
    feedback = kept(on_line(first, 2, "One."), on_line(other, 2, "Two."), on_line(first, 1, "Six."))
    assert [one["hunk"] for one in feedback] == ["-a\n+b\n", "-c\n+d\n", ""]
    assert [one.get("hunk_of") for one in feedback] == [None, None, 1]
    prompt = told(feedback)
    assert prompt.count("-a\n+b") == 1
    assert "On a.py (1, 3):" in prompt
    assert prompt.index("Six.") < prompt.index("TO ITS END") < prompt.index("-a\n+b")


def test_of_a_long_hunk_the_lines_around_each_place_are_kept_with_where_they_are() -> None:
    rows = ["-gone\n", *(f"+new {number}\n" for number in range(1, 101))]
    long = hunk("".join(rows), old=40, new=40)
    [one, _] = kept(on_line(long, 2, "First."), on_line(long, 60, "Later."))
    pieces = [row for row in one["hunk"].splitlines() if row.startswith("@@")]
    assert pieces == ["@@ -40,1 +40,7 @@", "@@ -40,0 +92,13 @@"]
    assert "+new 1\n" in one["hunk"]
    assert "+new 59\n" in one["hunk"]
    assert "+new 30\n" not in one["hunk"]


def test_of_a_hunk_that_was_refused_as_a_whole_all_is_kept() -> None:
    long = hunk("".join(LINES))
    refused = Feedback(agent_slug="", note="No.", hunk=long)
    [line, whole] = kept(on_line(long, 3, "Why?"), refused)
    assert (line["hunk"], whole["hunk_of"]) == (long.text, 1)


def test_a_very_long_line_is_cut_and_rows_that_are_not_there_are_left_out() -> None:
    long = hunk("".join(["+" + "x" * 90_000 + "\n", *LINES]))
    [one] = kept(on_line(long, 2, "Why?"))
    assert len(one["hunk"]) < 1_500
    [gone] = kept(on_line(long, 9_000, "Why?"))
    assert "value_399" in gone["hunk"]


def test_more_than_can_be_told_is_refused_in_words() -> None:
    new = hunk("".join(LINES))
    with pytest.raises(InvalidInput, match=r"ask of Code agent comes to 5\d,\d{3} characters"):
        kept(*(on_line(new, number, "n" * 5_000) for number in range(1, 11)))


def test_an_agent_can_answer_each_thing_it_may_be_asked() -> None:
    asked = [Feedback(agent_slug="", note="") for _ in range(MAX_ASKED)]
    answers = [
        {"number": number, "verdict": "done", "text": "Did it."}
        for number, _ in enumerate(kept(*asked), 1)
    ]
    result = StepResult(status="done", summary="Did it.", answers=answers)
    assert len(result.answers) == MAX_ASKED
    with pytest.raises(InvalidInput):
        kept(*asked, Feedback(agent_slug="", note=""))
