"""A hunk is refused with a word on what must change there."""

from __future__ import annotations

import pytest

from approvals import sealing
from approvals.deciding import HunkDecision, decide
from approvals.decisions import LineComment
from approvals.models import Approval, Signature
from projects.exceptions import InvalidInput
from tests.approval_fixtures import make_change, make_repository

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
