"""Which lines people wrote, and which agents did, in what was edited."""

from __future__ import annotations

import re

import pytest

from agents.lifecycle import TaskState
from agents.models import Step, Task
from approvals import handwork, sealing
from tests.approval_fixtures import edits, make_change, make_repository
from tests.editing_fixtures import checked_anew, editable, put
from tests.reviewing import decide

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("second_lead")]
CODE = "billing/invoice.py"
MANY = edits(**{f"line_{number}": f"agent {number}" for number in range(3, 14)})


@pytest.fixture
def change(project, requester, tmp_path):
    make_repository(tmp_path, project)
    proposal = make_change(project, requester, tmp_path, texts=MANY)
    draft = {"version": 1, "title": "Round once", "summary": "Tax was rounded."}
    Step.objects.filter(kind="assemble").update(result=draft)
    made = {"base_commit": proposal.base_commit, "result_commit": proposal.head_commit}
    Step.objects.filter(agent__slug="coder").update(**made)
    return sealing.seal(proposal)


def _edited(change, lead):
    put(change, lead, path=CODE, text=MANY[CODE].replace("agent 5\n", "human 5\n"))
    return checked_anew(change)


def _marked(approval) -> list[tuple[str, list[str]]]:
    files = {file["path"]: file["hunks"] for file in approval.snapshot["files"]}
    return [
        (
            each["person"],
            [files[each["path"]][each["hunk"]]["text"].split("\n")[row] for row in each["rows"]],
        )
        for each in approval.snapshot["edited_lines"]
    ]


def _page(client, approval, person) -> str:
    client.force_login(person)
    address = f"/review/{approval.task.label}/r{approval.proposal.round}"
    return " ".join(client.get(address).getvalue().decode().split())


def test_one_edited_line_of_eleven_is_the_persons_and_the_hunk_is_of_both(client, change, lead):
    assert "edited_lines" not in change.snapshot
    new = _edited(change, lead)
    assert _marked(new) == [("Dana Kim", ["+human 5"])]
    page = _page(client, new, lead)
    said = " ".join(re.sub("<[^>]+>", " ", page).split())
    assert re.search(r"Code agent round \d edited by (DK )?Dana Kim", said)
    [line] = re.findall(r"data-by-hand>(.*?)</code>", page)
    assert re.sub("<[^>]+>", "", line) == "human 5"


def test_lines_stay_the_persons_in_a_later_round_and_an_agents_are_its_own(
    project, requester, tmp_path, change, lead
):
    new = _edited(change, lead)
    seal = {"digest": new.digest, "nonce": new.nonce}
    decide(new.pk, by=lead, verdict="request_changes", note="Nearly.", **seal)
    task = Task.objects.get(pk=new.task_id)
    task.steps.filter(round=2).delete()
    Task.objects.filter(pk=task.pk).update(round=2, state=TaskState.REVIEW)
    task.refresh_from_db()
    text = MANY[CODE].replace("agent 5\n", "human 5\n").replace("agent 9\n", "agent nine\n")
    later = make_change(project, requester, tmp_path, task=task, texts={CODE: text})
    assert _marked(sealing.seal(later)) == [("Dana Kim", ["+human 5"])]


def test_more_edits_ask_no_more_of_the_database(change, lead, django_assert_num_queries):
    first = _edited(change, lead)
    text = MANY[CODE].replace("agent 5\n", "human 5\n").replace("agent 9\n", "human 9\n")
    put(first, lead, path=CODE, text=text)
    second = checked_anew(first)
    assert _marked(second) == [("Dana Kim", ["+human 5", "+human 9"])]
    for version in first, second:
        with django_assert_num_queries(3):
            handwork.lines_of(version.proposal, version.snapshot["files"])


def test_what_is_sealed_without_the_lines_is_shown_as_before(client, project, requester, tmp_path):
    make_repository(tmp_path, project)
    page = _page(client, editable(project, requester, tmp_path), requester)
    assert "data-by-hand" not in page
    assert "edited by" not in page
