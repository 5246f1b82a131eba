"""Many comments reach their agents whole: no hunk twice, no word cut off, nothing shifted."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from agents.models import Hunk, Step
from agents.runtime import briefs, prompting
from approvals.decisions import MAX_COMMENTS
from approvals.models import Comment, Signature
from projects.exceptions import InvalidInput
from tests.api_fixtures import by_session
from tests.integration import test_commenting as commenting

pytestmark = pytest.mark.django_db

change = commenting.change
made = commenting.made
LAST = "The last thing I ask."


def _many(change, count: int, note: str = "Why?") -> list:
    return [commenting._on(change, note=f"{note} {number}") for number in range(1, count + 1)]


def test_as_many_comments_as_one_may_make_keep_their_hunk_once_and_are_all_told(change, lead):
    said = _many(change, MAX_COMMENTS)
    commenting._decide(change, lead, "request_changes", *said, note=LAST)
    step = Step.objects.get(round=2, agent__slug="coder")
    text = commenting._hunk(change)["text"]
    assert [one["hunk"] for one in step.feedback if one["hunk"]] == [text]
    assert {one.get("hunk_of") for one in step.feedback[1:-1]} == {1}
    brief = {
        "title": step.title,
        "instructions": step.instructions,
        "request": "THE REQUEST",
        "feedback": briefs._feedback(step),
    }
    prompt = prompting.prompt(SimpleNamespace(brief=brief), [])
    missing = [one.note for one in said if f"\n{one.note}\n" not in prompt]
    assert missing == []
    assert LAST in prompt
    assert "THE REQUEST" in prompt
    assert prompt.count(text) == 1


def test_what_cannot_be_told_at_once_is_refused_and_changes_nothing(change, lead):
    said = _many(change, 12, "n" * 4_990)
    with pytest.raises(InvalidInput, match="can be told at once") as refused:
        commenting._decide(change, lead, "request_changes", *said)
    assert refused.value.field == "comments"
    url = f"/api/v1/approvals/{change.pk}/signatures"
    sealed = {"digest": change.digest, "nonce": change.nonce, "verdict": "request_changes"}
    comments = [{"hunk": one.hunk, "line": one.line, "note": one.note} for one in said]
    answer = by_session(lead).post(url, sealed | {"comments": comments})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["comments"])
    assert not Signature.objects.exists()
    assert not Comment.objects.exists()
    assert not Step.objects.filter(round=2).exists()


@pytest.mark.parametrize("lost", ["say-to", "say-side", "say-hunk", "say-line", "say-note"])
def test_a_form_that_lost_a_field_is_refused_and_nothing_is_shifted(client, made, lead, lost):
    client.force_login(lead)
    hunk = str(Hunk.objects.get(file__proposal=made.proposal, file__path="billing/invoice.py").pk)
    sent = commenting._form(made, verdict="request_changes", note="All of it.")
    sent |= {"say-hunk": [hunk] * 2, "say-side": ["new"] * 2, "say-line": ["82", "88"]}
    sent |= {"say-note": ["First of two.", "Second of two."], "say-to": ["coder", "tester"]}
    sent[lost] = sent[lost][1:]
    answer = client.post(f"/review/{made.task.label}/r1/decide", sent)
    page = answer.content.decode()
    assert answer.status_code == 400
    assert "came without all of its fields" in page
    assert (">Second of two.</textarea>" in page) is (lost != "say-hunk")
    if lost == "say-to":
        assert ">First of two.</textarea>" in page
        typed = page[page.index(">First of two.</textarea>") - 2_000 : page.index(">First of two.")]
        assert '<option value="coder" selected>' in typed
    assert not Signature.objects.exists()
