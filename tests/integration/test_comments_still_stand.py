"""A comment is addressed where what it is about is another; what nobody touched stays open."""

from __future__ import annotations

import re
import uuid

import pytest

from agents.lifecycle import StepState, TaskState
from agents.models import Proposal, Step, Task
from agents.workspace.files import Workspace
from agents.workspace.git import Store
from approvals import sealing
from approvals.decisions import HunkDecision, LineComment
from tests.approval_fixtures import GREEN, add_rows, edits, make_change, make_repository, move_main
from tests.integration.test_comments_over_rounds import comments_in
from tests.reviewing import decide

pytestmark = pytest.mark.django_db

INVOICE = "billing/invoice.py"


@pytest.fixture
def rounds(client, project, requester, lead, tmp_path):
    """Return what the lead reads in round 2 of what they said in round 1."""
    bare = make_repository(tmp_path, project)

    def two(
        first: dict, second: dict, *, line: int = 0, say="", rename="", main="", **facts
    ) -> str:
        sealed = sealing.seal(make_change(project, requester, tmp_path, texts=edits(**first)))
        hunk = sealed.snapshot["files"][0]["hunks"][0]["id"]
        if line:
            facts["comments"] = [LineComment(hunk=hunk, side="new", line=line, note="Mind this.")]
        elif not facts:
            facts["hunks"] = [HunkDecision(id=hunk, verdict="refuse", note="Mind this.")]
        facts |= {"digest": sealed.digest, "nonce": sealed.nonce, "by": lead}
        decide(sealed.pk, verdict="request_changes", **facts)
        if say:
            answered(sealed.task, {"coder": say})
        if main:
            move_main(bare, INVOICE, main)
        again(
            project,
            sealed.task,
            tmp_path,
            second if INVOICE in second else edits(**second) if second else {},
            rename,
        )
        client.force_login(lead)
        page = client.get(f"/review/{sealed.task.label}/r2").content.decode()
        return " ".join(re.sub(r"<(?!a )[^>]+>", " ", comments_in(page)["Mind this."]).split())

    return two


def answered(task, says: dict[str, str]) -> None:
    """Let agents finish their steps of round 2 with an answer to the first thing they were asked."""
    for slug, verdict in says.items():
        answer = {"number": 1, "verdict": verdict, "text": f"So says {slug}."}
        answers = [answer] if verdict else []
        result = {"version": 1, "status": "done", "summary": "Done.", "answers": answers}
        steps = Step.objects.filter(task=task, round=2, agent__slug=slug)
        steps.update(state=StepState.DONE, result=result)


def again(project, task, folder, texts: dict[str, str], rename: str = "") -> None:
    """Put round 2 up for review."""
    Task.objects.filter(pk=task.pk).update(state=TaskState.REVIEW, round=2)
    task.refresh_from_db()
    store = Store.of(project)
    base = store.fetch()
    work = Workspace(store, folder / uuid.uuid4().hex)
    work.materialise(base)
    for path, text in texts.items():
        (work.folder / path).write_text(text)
    (work.folder / "README.md").write_text("Something else.\n")
    if rename:
        (work.folder / INVOICE).rename(work.folder / rename)
    facts = {"kind": "change", "title": "Again", "summary": "Again.", "model": "rehearsal"}
    facts |= {"checks": GREEN, "added": 2, "removed": 2, "base_commit": base}
    tree = work.snapshot()
    head = store.commit(tree, parents=[base], message="Again")
    proposal = Proposal.objects.create(task=task, round=2, tree=tree, head_commit=head, **facts)
    steps = {step.agent.slug: step for step in Step.objects.filter(task=task, round=1)}
    add_rows(proposal, store, steps)
    sealing.seal(proposal)


def test_refused_lines_that_nobody_touched_are_open_whatever_is_beside_them(rounds):
    said = rounds({"line_3": "three"}, {"line_3": "three", "line_8": "eight"})
    assert "open" in said
    assert "addressed" not in said


def test_an_agent_that_disagrees_is_not_called_to_have_addressed_it(rounds):
    both = {"line_3": "three", "line_8": "eight"}
    assert "agent disagrees" in rounds({"line_3": "three"}, both, say="disagree")


@pytest.mark.parametrize("line", [0, 3])
def test_nor_where_the_line_is_another_now(rounds, line):
    said = rounds({"line_3": "three"}, {"line_3": "3"}, line=line, say="disagree")
    assert "agent disagrees" in said
    assert "addressed" not in said
    assert "Code agent: So says coder." in said


@pytest.mark.parametrize("to", ["billing/bill.py", "counting.py"])
def test_a_file_that_is_merely_renamed_leaves_what_was_refused_open(rounds, to):
    same = {"line_3": "three"}
    said = rounds(same, same, rename=to)
    assert "open" in said
    assert "addressed" not in said


def test_refused_lines_that_are_taken_back_are_addressed(rounds):
    assert "addressed" in rounds({"line_3": "three"}, {"line_8": "eight"})


def test_what_is_mended_around_refused_lines_is_said_to_be_no_more(rounds):
    said = rounds({"line_3": "three"}, {"line_3": "three", "line_5": "five"})
    assert "addressed around its lines, which still stand" in said


def test_refused_lines_that_stay_are_open_though_the_agent_calls_it_done(rounds):
    same = {"line_3": "three"}
    assert "open, though called done" in rounds(same, same, say="done")


def test_a_line_no_hunk_shows_any_more_is_not_gone(client, rounds):
    said = rounds({"line_3": "three", "line_6": "six"}, {"line_3": "three"}, line=9)
    assert "open" in said
    assert "The line still stands, and no hunk shows it any more: line 9" in said
    assert "gone" not in said
    [where] = re.findall(r'<a href="([^"]*/around[^"]*)">', said)
    page = client.get(where.replace("&amp;", "&"))
    assert page.status_code == 200
    assert "line 9" in page.content.decode()


def test_a_line_of_a_file_that_is_as_on_main_again_is_not_gone_either(rounds):
    said = rounds({"line_3": "three"}, {}, line=5)
    assert "The line still stands, and no hunk shows it any more: line 5" in said
    assert "around" not in said


def test_a_line_that_is_gone_is_still_called_so(rounds):
    said = rounds({"line_3": "three", "line_6": "six"}, {"line_3": "three"}, line=6)
    assert "addressed" in said
    assert "The line is gone: six" in said


def test_where_main_moved_the_line_is_looked_for_in_the_file(rounds):
    main = "".join(f"first {n}\n" for n in range(20)) + edits()[INVOICE]
    first = {"line_3": "three", "line_6": "six"}
    said = rounds(first, {INVOICE: f"{main}last\n"}, line=9, main=main)
    assert "The line still stands, and no hunk shows it any more: line 9" in said
    assert "at=29" in said


@pytest.mark.parametrize(
    ("answers", "standing"),
    [
        ({"coder": "disagree", "tech-writer": "done"}, "agent disagrees"),
        ({"coder": "done", "tech-writer": "disagree"}, "agent disagrees"),
        ({"coder": "done", "tech-writer": "done"}, "addressed, say the agents"),
        ({"coder": "done", "tech-writer": ""}, "open"),
        ({"coder": "", "tech-writer": ""}, "open"),
        ({}, "open"),
    ],
)
def test_what_was_asked_of_the_whole_stands_as_those_who_were_asked_say(
    client, project, requester, lead, tmp_path, answers, standing
):
    make_repository(tmp_path, project)
    sealed = sealing.seal(make_change(project, requester, tmp_path))
    facts = {"digest": sealed.digest, "nonce": sealed.nonce, "by": lead}
    decide(sealed.pk, verdict="request_changes", note="Mind this.", **facts)
    answered(sealed.task, answers)
    again(project, sealed.task, tmp_path, edits(line_3="3"))
    client.force_login(lead)
    said = comments_in(client.get(f"/review/{sealed.task.label}/r2").content.decode())
    text = " ".join(re.sub("<[^>]+>", " ", said["Mind this."]).split())
    assert standing in text
    assert sum(word in text for word in ("addressed", "open", "disagrees")) == 1
    for slug, verdict in answers.items():
        assert (f"So says {slug}." in text) is bool(verdict)


def test_what_is_asked_of_one_agent_is_addressed_in_its_word(rounds):
    same = {"line_3": "three"}
    said = rounds(same, same, note="Mind this.", agents=["coder"], say="done")
    assert "addressed, says the agent" in said


def test_a_word_with_a_signature_asks_for_nothing(client, project, requester, lead, tmp_path):
    make_repository(tmp_path, project)
    sealed = sealing.seal(make_change(project, requester, tmp_path))
    facts = {"digest": sealed.digest, "nonce": sealed.nonce, "by": lead}
    decide(sealed.pk, verdict="approve", note="Well done.", **facts)
    client.force_login(lead)
    page = client.get(f"/review/{sealed.task.label}/r1").content.decode()
    assert "open" not in comments_in(page)["Well done."]
