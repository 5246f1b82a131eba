"""Round 2 says of each comment what became of it, at its line or that the line is gone."""

from __future__ import annotations

import json
import re
import uuid

import pytest

from agents.lifecycle import StepState
from agents.models import Hunk, Step
from approvals.decisions import HunkDecision, LineComment
from approvals.models import Comment
from tests import console_fixtures as fixtures
from tests import console_texts as texts
from tests.approval_fixtures import past_triggers
from tests.reviewing import decide

pytestmark = pytest.mark.django_db

INVOICE, DOCS = "billing/invoice.py", "docs/rounding.md"


@pytest.fixture
def first(project, requester, lead):
    return fixtures.reviewed_task(project, requester)


def hunk_of(made, path: str) -> str:
    return str(Hunk.objects.get(file__proposal=made.proposal, file__path=path).pk)


def send_back(made, by, *said: tuple[str, int, str], hunks=()) -> None:
    comments = [
        LineComment(hunk=hunk_of(made, path), side="new", line=line, note=note)
        for path, line, note in said
    ]
    sealed = {"digest": made.approval.digest, "nonce": made.approval.nonce}
    facts = {"by": by, "verdict": "request_changes", "comments": comments, "hunks": hunks}
    decide(made.approval.pk, **sealed, **facts)


def answered(made, agent: str, *answers: dict) -> None:
    """Let an agent finish its step of round 2 with answers to what it was asked."""
    step = Step.objects.get(task=made.task, round=2, agent__slug=agent)
    result = {"version": 1, "status": "done", "summary": "Done.", "answers": list(answers)}
    Step.objects.filter(pk=step.pk).update(state=StepState.DONE, result=result)


def second_of(made):
    """Return round 2: the docs are written anew, the code comes back as it was."""
    made.task.steps.filter(round=2).exclude(state=StepState.DONE).delete()
    return fixtures.next_round(made)


def page_of(client, made, number: int = 2) -> str:
    return client.get(f"/review/{made.task.label}/r{number}").content.decode()


def comments_in(page: str) -> dict[str, str]:
    """Return the comments under Rounds by their words."""
    rounds = page[page.index('id="rounds"') :]
    found = re.findall(r'<li class="comment">(.*?)</li>', rounds, re.DOTALL)
    return {re.search(r'<p class="pre">(.*?)</p>', one).group(1): one for one in found}


def test_each_comment_is_addressed_or_open(client, first, lead):
    send_back(first, lead, (DOCS, 3, "Not the hidden one."), (INVOICE, 88, "Cover this."))
    second = second_of(first)
    client.force_login(lead)
    page = page_of(client, second)
    said = comments_in(page)
    assert ">addressed" in said["Not the hidden one."]
    assert "The line is gone:" in said["Not the hidden one."]
    assert "U+200B" in said["Not the hidden one."]
    assert f'href="#h-{hunk_of(second, DOCS)}"' in said["Not the hidden one."]
    assert ">open" in said["Cover this."]
    assert "The line is gone" not in said["Cover this."]
    assert f'href="#h-{hunk_of(second, INVOICE)}"' in said["Cover this."]


def test_an_open_comment_stands_at_its_line_and_one_whose_line_is_gone_does_not(
    client, first, lead
):
    send_back(first, lead, (DOCS, 3, "Not the hidden one."), (INVOICE, 88, "Cover this."))
    client.force_login(lead)
    page = page_of(client, second_of(first))
    [row] = re.findall(
        r'<div class="line-row.*?</blockquote>|<div class="line-row.*?</p>\s*</div>',
        page,
        re.DOTALL,
    )
    assert "Cover this." in row
    assert page.index('id="f1-n88"') < page.index("line-row") < page.index('id="f1-n89"')


def test_an_agent_that_disagrees_is_quoted_with_its_reason(client, first, lead):
    send_back(first, lead, (INVOICE, 88, "Cover this."), (INVOICE, 85, "Why not zero?"))
    no = {"number": 1, "verdict": "disagree", "text": "It is covered in <b>test_invoice</b>."}
    answered(first, "coder", no, {"number": 2, "verdict": "done", "text": "ZERO has a scale."})
    client.force_login(lead)
    said = comments_in(page_of(client, second_of(first)))
    assert "agent disagrees" in said["Cover this."]
    assert "It is covered in &lt;b&gt;test_invoice&lt;/b&gt;." in said["Cover this."]
    assert ">open" in said["Why not zero?"]  # the agent's word alone makes nothing addressed
    assert "ZERO has a scale." in said["Why not zero?"]


def test_an_answer_to_nothing_is_left_alone(client, first, lead):
    send_back(first, lead, (INVOICE, 88, "Cover this."))
    answered(first, "coder", {"number": 900, "verdict": "disagree", "text": "To what?"})
    client.force_login(lead)
    page = page_of(client, second_of(first))
    assert "To what?" not in page
    assert ">open" in comments_in(page)["Cover this."]


def test_a_refused_hunk_is_open_when_it_comes_back_as_it_was(client, first, lead):
    refused = [
        HunkDecision(id=hunk_of(first, path), verdict="refuse", note=note)
        for path, note in ((DOCS, "No."), (INVOICE, "Neither."))
    ]
    send_back(first, lead, hunks=refused)
    no = {"number": 1, "verdict": "disagree", "text": "The ledger says so."}
    answered(first, "coder", no)
    second = second_of(first)
    client.force_login(lead)
    page = page_of(client, second)
    said = comments_in(page)
    assert ">addressed" in said["No."]
    assert "agent disagrees" in said["Neither."]
    assert "The ledger says so." in said["Neither."]
    assert page.count("hunk hunk-new") == 1


def test_what_was_asked_of_everybody_is_addressed_or_open_too(client, first, lead):
    refused = [HunkDecision(id=hunk_of(first, INVOICE), verdict="refuse", note="Not so.")]
    lines = (DOCS, 3, "Not the hidden one."), (INVOICE, 88, "Cover this.")
    send_back(first, lead, *lines, hunks=refused)
    Comment.objects.update(goes_to=None)  # as of hunks that no agent wrote
    client.force_login(lead)
    said = comments_in(page_of(client, second_of(first)))
    assert ">addressed" in said["Not the hidden one."]
    assert ">open" in said["Cover this."]
    assert ">open" in said["Not so."]


def test_what_was_asked_of_nobody_is_neither_addressed_nor_open(client, first, lead, requester):
    accepted = [HunkDecision(id=hunk_of(first, DOCS), verdict="accept", note="Well put.")]
    send_back(first, lead, (INVOICE, 88, "Cover this."), hunks=accepted)
    line = Comment.objects.get(note="Cover this.")
    # Left by somebody else with an approval, before this one sent it back.
    line.pk, line.goes_to = uuid.uuid4(), None
    line.author, line.note = requester, "I like this."
    line.save(force_insert=True)
    client.force_login(lead)
    said = comments_in(page_of(client, second_of(first)))
    for note in ("Well put.", "I like this."):
        assert ">open" not in said[note]
        assert ">addressed" not in said[note]
    assert ">open" in said["Cover this."]


def test_comments_stay_on_their_lines_in_the_round_they_were_made_in(client, first, lead):
    send_back(first, lead, (INVOICE, 88, "Cover this."))
    client.force_login(lead)
    page = page_of(client, first, 1)
    assert "Said of this version" in page
    # The file with a warning stands first.
    assert page.index('id="f2-n88"') < page.index("line-row") < page.index('id="f2-n89"')
    assert "Cover this." in comments_in(page)


def test_a_comment_on_a_file_that_is_no_longer_changed_is_kept(client, first, lead):
    send_back(first, lead, (DOCS, 3, "Leave the docs alone."))
    second = second_of(first)
    snapshot = second.approval.snapshot
    snapshot["files"] = [file for file in snapshot["files"] if file["path"] != DOCS]
    change = "UPDATE approvals_approval SET snapshot = %s WHERE id = %s"
    past_triggers(change, json.dumps(snapshot), second.approval.pk)
    client.force_login(lead)
    said = comments_in(page_of(client, second))["Leave the docs alone."]
    assert "The line is gone" in said
    assert ">addressed" in said


def test_hostile_comments_and_answers_stay_text(client, first, lead):
    send_back(first, lead, (INVOICE, 88, texts.HOSTILE))
    answered(first, "coder", {"number": 1, "verdict": "disagree", "text": texts.HOSTILE})
    Comment.objects.update(quote=texts.HOSTILE[:400])
    client.force_login(lead)
    for number in (1, 2):
        if number == 2:
            second_of(first)
        page = page_of(client, first, number)
        assert "<script>alert" not in page
        assert "\u202e" not in page
        assert 'href="javascript' not in page
