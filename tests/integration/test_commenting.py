"""Comments on lines: on what is sealed only, to one agent, kept whatever the verdict."""

from __future__ import annotations

import hashlib
import re

import pytest
from django.db import IntegrityError, transaction

from agents.lifecycle import StepKind, StepState
from agents.models import Agent, AgentVersion, Step, Task
from approvals import sealing
from approvals.decisions import MAX_COMMENTS, LineComment
from approvals.exceptions import NoSuchLine
from approvals.models import Approval, Comment, Signature
from projects.exceptions import InvalidInput
from tests import console_fixtures as fixtures
from tests.api_fixtures import by_session
from tests.approval_fixtures import make_agent, make_change, make_repository, make_step
from tests.reviewing import decide

pytestmark = pytest.mark.django_db


@pytest.fixture
def change(project, requester, lead, tmp_path) -> Approval:
    make_repository(tmp_path, project)
    return sealing.seal(make_change(project, requester, tmp_path))


def _hunk(approval: Approval, path: str = "billing/invoice.py") -> dict:
    [hunk, *_] = next(file["hunks"] for file in approval.snapshot["files"] if file["path"] == path)
    return hunk


def _decide(approval: Approval, by, verdict: str, *comments: LineComment, **facts) -> Signature:
    sealed = {"digest": approval.digest, "nonce": approval.nonce}
    return decide(approval.pk, by=by, verdict=verdict, comments=comments, **sealed, **facts)


def _on(approval: Approval, line: int = 3, side: str = "new", **facts) -> LineComment:
    facts = {"hunk": _hunk(approval)["id"], "note": "Why three?", **facts}
    return LineComment(line=line, side=side, **facts)


def test_a_comment_alone_sends_the_work_back_to_the_author_of_the_hunk_only(change, lead):
    _decide(change, lead, "request_changes", _on(change))
    steps = {step.agent.slug: step for step in Step.objects.filter(round=2)}
    assert set(steps) == {"coder", "aggregator"}
    [told] = steps["coder"].feedback
    assert (told["note"], told["path"]) == ("Why three?", "billing/invoice.py")
    assert (told["place"], told["line"]) == ("line 3 as proposed", "line three")
    assert told["hunk"] == _hunk(change)["text"]
    comment = Comment.objects.get()
    assert (comment.side, comment.line, comment.quote) == ("new", 3, "line three")
    assert comment.anchor == hashlib.sha256(b"line three").hexdigest()
    assert comment.goes_to.slug == "coder"


def test_the_page_offers_those_it_can_go_to_each_once(client, change, lead, tmp_path):
    make_step(change.task, make_agent("oracle", "Oracle"), "asked-1", StepKind.ANSWER)
    make_step(change.task, make_agent("idle", "Idle"), "not-done")
    Step.objects.filter(key="not-done").update(state=StepState.CANCELLED)
    coder = Agent.objects.get(slug="coder")
    newer = AgentVersion.objects.create(
        agent=coder, number=2, instructions="Work.", model_profile=coder.published().model_profile
    )
    make_step(change.task, coder, "more")
    Step.objects.filter(key="more").update(version=newer)
    change.move("stale", decided_at=change.requested_at, reason="Main moved.")
    facts = {"task": change.task, "version": 2, "round": 1}
    again = Task.objects.get(pk=change.task_id)
    again.round = 9  # only so that the steps of the fixture get keys of their own
    sealed = sealing.seal(
        make_change(change.project, change.requester, tmp_path, **{**facts, "task": again})
    )
    assert [one["slug"] for one in sealed.snapshot["agents"]].count("coder") == 2
    assert "oracle" in {one["slug"] for one in sealed.snapshot["agents"]}
    client.force_login(lead)
    page = client.get(f"/review/{change.task.label}/r1").content.decode()
    among = page[page.index('<select name="say-to"') :].partition("</select>")[0]
    offered = re.findall(r'<option value="([\w-]*)"', among)
    assert sorted(offered) == ["", "aggregator", "coder", "tech-writer"]
    for slug in offered[1:]:
        with transaction.atomic():
            _decide(sealed, lead, "request_changes", _on(sealed, goes_to=slug))
            transaction.set_rollback(True)
    with pytest.raises(InvalidInput, match="did no step"):
        _decide(sealed, lead, "request_changes", _on(sealed, goes_to="oracle"))


def test_another_agent_of_the_task_can_be_chosen(change, lead):
    _decide(change, lead, "request_changes", _on(change, goes_to="tech-writer"))
    steps = {step.agent.slug: step for step in Step.objects.filter(round=2)}
    assert set(steps) == {"tech-writer", "aggregator"}
    assert steps["tech-writer"].feedback[0]["place"] == "line 3 as proposed"
    assert Comment.objects.get().goes_to.slug == "tech-writer"


def test_each_agent_is_told_its_own(change, lead):
    docs = _hunk(change, "docs/rounding.md")["id"]
    said = [_on(change), _on(change, 3, "old"), _on(change, 1, hunk=docs, note="Say it plainly.")]
    _decide(change, lead, "request_changes", *said, note="Nearly there.")
    told = {step.agent.slug: step.feedback for step in Step.objects.filter(round=2)}
    assert [(one["note"], one.get("place")) for one in told["coder"]] == [
        ("Why three?", "line 3 as proposed"),
        ("Why three?", "line 3 as it was"),
        ("Nearly there.", None),
    ]
    assert [one["note"] for one in told["tech-writer"]] == ["Say it plainly.", "Nearly there."]
    assert told["aggregator"] == []


@pytest.mark.parametrize(("verdict", "note"), [("approve", ""), ("reject", "Unsafe.")])
def test_comments_left_with_another_verdict_are_kept_and_go_nowhere(change, lead, verdict, note):
    _decide(change, lead, verdict, _on(change), note=note)
    comment = Comment.objects.get(line=3)
    assert (comment.note, comment.goes_to) == ("Why three?", None)
    assert not Step.objects.filter(round=2).exists()


@pytest.mark.parametrize("verdict", ["approve", "request_changes", "reject"])
@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"line": 30}, "has no line 30 as proposed"),
        ({"line": 0}, "has no line 0"),
        ({"line": 10**12}, "has no line 1000000000000"),
        ({"hunk": "none"}, "has no hunk none"),
        ({"hunk": "\0"}, "has no hunk"),
    ],
)
def test_a_line_that_is_not_sealed_is_refused_by_name(change, lead, facts, said, verdict):
    with pytest.raises(NoSuchLine, match=said):
        _decide(change, lead, verdict, _on(change, **facts), note="No.")
    assert not Signature.objects.exists()
    assert not Comment.objects.exists()
    assert Approval.objects.get(pk=change.pk).state == "pending"


@pytest.mark.parametrize(
    "facts",
    [
        {"note": " \u200b "},
        {"note": "x" * 5_001},
        {"note": "\0"},
        {"side": "both"},
        {"goes_to": "painter"},
        {"goes_to": "router"},
    ],
)
def test_a_comment_that_cannot_be_accepted_changes_nothing(change, lead, facts):
    with pytest.raises(InvalidInput) as refused:
        _decide(change, lead, "request_changes", _on(change, **facts), note="No.")
    assert refused.value.field == "comments"
    assert not Signature.objects.exists()


def test_there_are_only_so_many_comments_in_one_decision(change, lead):
    many = [_on(change)] * (MAX_COMMENTS + 1)
    with pytest.raises(InvalidInput, match="at most 200 lines"):
        _decide(change, lead, "request_changes", *many)
    _decide(change, lead, "request_changes", *many[1:])
    assert Comment.objects.count() == MAX_COMMENTS


def test_what_is_sealed_counts_and_not_the_rows(change, lead):
    change.proposal.files.get(path="billing/invoice.py").hunks.update(text="+else\n", new_start=90)
    _decide(change, lead, "request_changes", _on(change))
    assert Comment.objects.get().quote == "line three"


@pytest.mark.parametrize(
    "facts",
    [
        {"side": "new", "line": None},
        {"side": "", "line": 3},
        {"side": "new", "line": 0},
        {"anchor": "x"},
        {"hunk": None},
        {"side": "", "line": None, "anchor": ""},
    ],
)
def test_the_database_keeps_no_half_of_a_place(change, lead, facts):
    whole = {"side": "new", "line": 3, "anchor": "a" * 64, "quote": "line three"}
    whole |= {"hunk_id": _hunk(change)["id"], "approval": change, "author": lead, "note": "Why?"}
    Comment.objects.create(**whole)
    if "hunk" in facts:
        whole.pop("hunk_id")
    with pytest.raises(IntegrityError), transaction.atomic():
        Comment.objects.create(**{**whole, **facts})


def test_the_api_takes_comments_and_names_a_line_that_is_not_there(change, lead):
    url = f"/api/v1/approvals/{change.pk}/signatures"
    sealed = {"digest": change.digest, "nonce": change.nonce, "verdict": "request_changes"}
    call, said = by_session(lead), {"hunk": _hunk(change)["id"], "line": 30, "note": "Why?"}
    refused = call.post(url, sealed | {"comments": [said]})
    assert refused.status_code == 422
    assert "billing/invoice.py" in refused.json()["detail"]
    assert "line 30" in refused.json()["detail"]
    for wrong, field in (
        ({"line": "3"}, "comments.0.line"),
        ({"line": True}, "comments.0.line"),
        ({"note": ""}, "comments.0.note"),
        ({"side": "left"}, "comments.0.side"),
        ({"state": 1}, "comments.0.state"),
        ({"goes_to": "painter"}, "comments"),
    ):
        answer = call.post(url, sealed | {"comments": [said | {"line": 3} | wrong]})
        assert (answer.status_code, list(answer.json()["errors"])) == (400, [field]), wrong
    assert not Signature.objects.exists()
    assert call.post(url, sealed | {"comments": [said | {"line": 3}]}).status_code == 201
    assert Comment.objects.get().line == 3
    [told] = call.get(f"/api/v1/approvals/{change.pk}").json()["comments"]
    place = {name: told[name] for name in ("hunk", "side", "line", "note", "goes_to")}
    assert place == {**said, "line": 3, "side": "new", "goes_to": "coder"}


def _form(made, **fields):
    approval = made.approval
    return {"approval": approval.pk, "digest": approval.digest, "nonce": approval.nonce, **fields}


def _typed(hunk: str, **fields) -> dict[str, list[str]]:
    """Return the lists of a form with one comment, and one field that was left empty."""
    facts = {"side": "new", "line": "82", "note": "Why?", "to": "tester", **fields}
    return {f"say-{name}": [value, ""] for name, value in {"hunk": hunk, **facts}.items()}


@pytest.fixture
def made(project, requester, lead):
    return fixtures.reviewed_task(project, requester)


def test_a_form_without_javascript_comments_on_a_line(client, made, lead):
    client.force_login(lead)
    address = f"/review/{made.task.label}/r1"
    page = client.get(address).content.decode()
    assert page.count("<noscript>") >= 3
    hunk = str(made.proposal.files.get(path="billing/invoice.py").hunks.get().pk)
    more = client.post(f"{address}/decide", _form(made, verdict="more") | _typed(hunk))
    assert more.status_code == 200
    assert ">Why?</textarea>" in more.content.decode()
    assert "Not signed." not in more.content.decode()
    sent = _form(made, verdict="request_changes") | _typed(hunk)
    assert client.post(f"{address}/decide", sent).status_code == 302
    comment = Comment.objects.get()
    assert (comment.line, comment.note, comment.goes_to.slug) == (82, "Why?", "tester")


@pytest.mark.parametrize(
    ("fields", "status"), [({"line": "8200"}, 422), ({"line": "x"}, 400), ({"line": "²"}, 400)]
)
def test_what_was_typed_on_a_line_survives_a_refusal(client, made, lead, fields, status):
    client.force_login(lead)
    hunk = str(made.proposal.files.get(path="billing/invoice.py").hunks.get().pk)
    sent = _form(made, verdict="request_changes") | _typed(hunk, **fields)
    answer = client.post(f"/review/{made.task.label}/r1/decide", sent)
    assert answer.status_code == status
    assert ">Why?</textarea>" in answer.content.decode()
    assert not Signature.objects.exists()
