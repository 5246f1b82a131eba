"""A hunk is refused with a word on what must change there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents.models import Step
from approvals import sealing
from approvals.deciding import HunkDecision
from approvals.decisions import LineComment
from approvals.models import Approval, Comment, Signature
from projects.exceptions import InvalidInput
from tests.approval_fixtures import make_change, make_repository
from tests.reviewing import decide

pytestmark = pytest.mark.django_db


@pytest.fixture
def change(project, requester, tmp_path) -> Approval:
    make_repository(tmp_path, project)
    return sealing.seal(make_change(project, requester, tmp_path))


def _hunk_of(change: Approval, agent: str) -> dict:
    hunks = [hunk for file in change.snapshot["files"] for hunk in file["hunks"]]
    return next(hunk for hunk in hunks if hunk["author"]["agent"] == agent)


def _send_back(change: Approval, lead, **said) -> None:
    seal = {"digest": change.digest, "nonce": change.nonce}
    decide(change.pk, by=lead, verdict="request_changes", **seal, **said)


def test_one_refused_without_a_word_changes_nothing(change, lead):
    silent = [
        HunkDecision(id=_hunk_of(change, "tech-writer")["id"], verdict="refuse"),
        HunkDecision(id=_hunk_of(change, "coder")["id"], verdict="refuse", note="Round it once."),
    ]
    with pytest.raises(InvalidInput, match="refused 1 of the hunks without a word") as refused:
        _send_back(change, lead, hunks=silent)
    assert refused.value.field == "hunks"
    assert Approval.objects.get().state == "pending"
    assert not Signature.objects.exists()


@pytest.mark.parametrize("where", ["its note", "a line of it", "the whole"])
def test_the_word_may_stand_on_the_hunk_on_a_line_or_on_the_whole(change, lead, where):
    docs = _hunk_of(change, "tech-writer")
    line = LineComment(hunk=docs["id"], side="new", line=docs["new_start"], note="Say why.")
    said = {
        "its note": {"hunks": [HunkDecision(id=docs["id"], verdict="refuse", note="Say why.")]},
        "a line of it": {"comments": [line]},
        "the whole": {"note": "Say why."},
    }
    silent = {"hunks": [HunkDecision(id=docs["id"], verdict="refuse")]}
    _send_back(change, lead, **(silent | said[where]))
    assert Approval.objects.get().state == "changes_requested"


@pytest.mark.parametrize("verdict", ["refuse", ""])
def test_a_note_on_a_hunk_goes_to_the_agent_that_is_chosen(change, lead, verdict):
    docs = _hunk_of(change, "tech-writer")["id"]
    said = HunkDecision(id=docs, verdict=verdict, note="Test this.", goes_to="coder")
    _send_back(change, lead, hunks=[said])
    told = {step.agent.slug: step.feedback for step in Step.objects.filter(round=2)}
    assert set(told) == {"coder", "aggregator"}
    assert [(one["note"], one["path"]) for one in told["coder"]] == [
        ("Test this.", "docs/rounding.md")
    ]
    assert Comment.objects.get().goes_to.slug == "coder"


@pytest.mark.parametrize("slug", ["painter", "router", "\0"])
@pytest.mark.parametrize("verdict", ["request_changes", "approve", "reject"])
def test_an_agent_that_took_no_part_is_refused_and_changes_nothing(change, lead, verdict, slug):
    docs = _hunk_of(change, "tech-writer")["id"]
    said = HunkDecision(id=docs, note="Test this.", goes_to=slug)
    seal = {"digest": change.digest, "nonce": change.nonce}
    with pytest.raises(InvalidInput, match="did not work on this") as refused:
        decide(change.pk, by=lead, verdict=verdict, note="No.", hunks=[said], **seal)
    assert refused.value.field == "hunks"
    assert not Signature.objects.exists()
    assert not Comment.objects.exists()


def test_a_note_on_an_accepted_hunk_is_kept_and_sent_to_nobody(change, lead):
    docs = HunkDecision(
        id=_hunk_of(change, "tech-writer")["id"], verdict="accept", note="Well put."
    )
    code = HunkDecision(id=_hunk_of(change, "coder")["id"], verdict="refuse", note="No.")
    with pytest.raises(InvalidInput, match="you accept is sent to nobody"):
        _send_back(change, lead, hunks=[code, replace(docs, goes_to="coder")])
    _send_back(change, lead, hunks=[code, docs])
    steps = Step.objects.filter(round=2)
    assert set(steps.values_list("agent__slug", flat=True)) == {"coder", "aggregator"}
    assert Comment.objects.get(verdict="accept").goes_to is None


@pytest.mark.parametrize("verdict", ["approve", "request_changes"])
def test_a_note_on_the_whole_is_for_the_agent_named_when_it_is_sent(change, lead, verdict):
    seal = {"digest": change.digest, "nonce": change.nonce}
    decide(change.pk, by=lead, verdict=verdict, note="Shorter.", agents=["coder"], **seal)
    said = Comment.objects.select_related("goes_to").get()
    sent = said.goes_to.slug if said.goes_to else None
    assert sent == (None if verdict == "approve" else "coder")
