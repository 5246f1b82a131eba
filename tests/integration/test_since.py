"""A review opens on what is new since the reviewer's last decision; any two versions can be compared."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from agents.lifecycle import TaskState
from agents.models import FileChange, Hunk, Task
from approvals import sealing
from approvals.decisions import LineComment
from tests import console_fixtures as fixtures
from tests.approval_fixtures import past_triggers
from tests.reviewing import decide

pytestmark = pytest.mark.django_db

DOCS, INVOICE = "docs/rounding.md", "billing/invoice.py"


@pytest.fixture
def first(project, requester, lead, second_lead):
    return fixtures.reviewed_task(project, requester)


def send_back(made, by, **facts) -> None:
    sealed = {"digest": made.approval.digest, "nonce": made.approval.nonce}
    facts = {"note": "Not yet.", **sealed, **facts}
    decide(made.approval.pk, by=by, verdict="request_changes", **facts)
    made.task.steps.filter(round=2).delete()


def page_of(client, made, **query) -> str:
    answer = client.get(f"/review/{made.task.label}/r{made.proposal.round}", query)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def open_files(page: str) -> list[str]:
    """Return the paths of the files that are not folded."""
    found = re.findall(
        r"<details (open)?>\s*<summary class=\"diff-head\">.*?<code>(.*?)</code>", page
    )
    return [path for is_open, path in found if is_open]


def test_only_what_is_new_since_my_decision_is_open(client, first, lead):
    send_back(first, lead)
    second = fixtures.next_round(first)
    client.force_login(lead)
    page = page_of(client, second)
    assert open_files(page) == [DOCS]
    assert page.count("data-hunk") == 3  # folded, not left out
    assert "1 hunk is new in round 2." in page
    assert "1 hunk of round 1 is gone or rewritten." in page
    assert page.count("as in round 1") == 2


def test_all_of_it_is_one_key_away(client, first, lead):
    send_back(first, lead)
    second = fixtures.next_round(first)
    client.force_login(lead)
    assert 'href="?since=all" data-key="d"' in page_of(client, second)
    page = page_of(client, second, since="all")
    assert len(open_files(page)) == 3
    assert 'href="?" data-key="d"' in page


def test_who_decided_nothing_yet_sees_all_of_it(client, first, lead, second_lead):
    send_back(first, lead)
    second = fixtures.next_round(first)
    client.force_login(second_lead)
    page = page_of(client, second)
    assert len(open_files(page)) == 3
    assert "1 hunk is new in round 2." in page
    assert open_files(page_of(client, second, since="1.1")) == [DOCS]


def test_what_is_handed_in_unchanged_is_said_and_not_shown_again(client, first, lead):
    send_back(first, lead)
    second = fixtures.next_round(first)
    before = Hunk.objects.get(file__proposal=first.proposal, file__path=DOCS)
    same = {"digest": before.digest, "text": before.text}
    Hunk.objects.filter(file__proposal=second.proposal, file__path=DOCS).update(**same)
    client.force_login(lead)
    page = page_of(client, second)
    assert "Nothing is new since round 1." in page
    assert open_files(page) == []


def test_who_has_not_decided_is_told_of_an_unchanged_round_too(client, first, lead, second_lead):
    send_back(first, lead)
    second = fixtures.next_round(first)
    client.force_login(second_lead)
    assert "is the same as round" not in page_of(client, second)
    before = Hunk.objects.get(file__proposal=first.proposal, file__path=DOCS)
    same = {"digest": before.digest, "text": before.text}
    Hunk.objects.filter(file__proposal=second.proposal, file__path=DOCS).update(**same)
    page = page_of(client, second)
    assert "Round 2 is the same as round 1: no line, name or mode of its files differs." in page
    assert len(open_files(page)) == 3  # nobody's eyes have seen them yet
    assert "is the same as round" not in page_of(client, first)


def test_a_round_that_only_leaves_a_file_out_is_not_the_same(client, first, lead, second_lead):
    send_back(first, lead)
    second = fixtures.next_round(first)
    Hunk.objects.filter(file__proposal=second.proposal, file__path=DOCS).delete()
    FileChange.objects.filter(proposal=second.proposal, path=DOCS).delete()
    change = "UPDATE approvals_approval SET snapshot = %s WHERE id = %s"
    snapshot = second.approval.snapshot
    snapshot["files"] = [file for file in snapshot["files"] if file["path"] != DOCS]
    past_triggers(change, json.dumps(snapshot), second.approval.pk)
    client.force_login(second_lead)
    page = page_of(client, second)
    assert "is the same as round" not in page
    assert "Round 2 has no new lines, but it is not the same." in page


def test_a_hunk_with_an_open_comment_is_never_folded(client, first, lead):
    hunk = Hunk.objects.get(file__proposal=first.proposal, file__path=INVOICE)
    comment = LineComment(hunk=str(hunk.pk), side="new", line=88, note="Cover this.")
    send_back(first, lead, comments=[comment])
    second = fixtures.next_round(first)
    client.force_login(lead)
    assert set(open_files(page_of(client, second))) == {DOCS, INVOICE}


@pytest.mark.parametrize("since", ["1.9", "9.1", "2.1", "x", "1.1.1", "1", "99999999999.1"])
def test_a_version_that_is_none_before_it_compares_with_nothing(client, first, lead, since):
    send_back(first, lead)
    second = fixtures.next_round(first)
    client.force_login(lead)
    assert len(open_files(page_of(client, second, since=since))) == 3


def test_a_version_of_another_task_is_not_compared_with(client, first, lead, project, requester):
    fixtures.reviewed_task(project, requester)
    client.force_login(lead)
    assert len(open_files(page_of(client, first, since="1.1"))) == 3


def told(page: str) -> str:
    """Return what is said of the lines that differ between the two versions."""
    assert page.count("<details data-between") == 1
    return page.split("<details data-between")[1].split("</details>")[0]


def test_a_rewritten_hunk_shows_which_lines_are_others_than_before(client, first, lead):
    send_back(first, lead)
    second = fixtures.next_round(first)
    client.force_login(lead)
    found = told(page_of(client, second))
    assert "Since round 1" in found
    assert '<span class="num-add">+1</span><span class="num-del">\u22121</span>' in found
    assert found.count('class="diff-cell diff-old diff-del"') == 1
    assert found.count('class="diff-cell diff-new diff-add"') == 1
    assert "U+200B" in found.split("diff-del")[1].split("diff-add")[0]


def test_the_whole_hunk_stands_below_with_its_verdicts(client, first, lead):
    send_back(first, lead)
    second = fixtures.next_round(first)
    client.force_login(lead)
    page = page_of(client, second)
    hunk = str(Hunk.objects.get(file__proposal=second.proposal, file__path=DOCS).pk)
    below = page.split(f'data-between="{hunk}"')[1]
    assert f'id="h-{hunk}"' in below
    assert below.count(f'name="verdict-{hunk}"') == 2


def test_without_a_version_to_compare_with_nothing_is_told(client, first, lead):
    send_back(first, lead)
    second = fixtures.next_round(first)
    client.force_login(lead)
    assert "data-between" not in page_of(client, second, since="all")


def reviewed(project, requester, **facts):
    """Return a first round of which the file of docs was sealed with these facts."""
    task = fixtures.make_task(project, requester, state=TaskState.REVIEW)
    steps = fixtures.make_team(task)
    proposal = fixtures.make_proposal(task, steps, warnings=[])
    fixtures.make_file(proposal, 0, DOCS, fixtures.DOCS, steps["writer"])
    FileChange.objects.filter(proposal=proposal).update(**facts)
    return fixtures.Made(task=task, steps=steps, proposal=proposal, approval=sealing.seal(proposal))


def in_another_file(made, lead, **facts):
    """Return the next round of one, its file of docs sealed with these facts."""
    send_back(made, lead)
    Task.objects.filter(pk=made.task.pk).update(round=2, state=TaskState.REVIEW)
    made.task.refresh_from_db()
    proposal = fixtures.make_proposal(made.task, made.steps, warnings=[])
    docs = fixtures.DOCS.replace("\u200b", "")
    fixtures.make_file(proposal, 0, DOCS, docs, made.steps["writer"])
    FileChange.objects.filter(proposal=proposal).update(**facts)
    return replace(made, proposal=proposal, approval=sealing.seal(proposal))


def test_a_file_main_changed_meanwhile_is_compared_by_hunks_only(
    client, project, requester, lead, second_lead
):
    first = reviewed(project, requester, old_blob="1" * 40)
    second = in_another_file(first, lead, old_blob="2" * 40)
    client.force_login(lead)
    page = page_of(client, second)
    assert "data-between" not in page
    assert "main changed it since round 1: compared by hunks only" in page


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({"old_blob": "1" * 40}, {"old_blob": "0" * 40, "status": "added"}),
        ({"old_blob": "1" * 40}, {"old_blob": "2" * 40, "old_path": "docs/other.md"}),
    ],
)
def test_another_file_of_the_same_name_is_not_said_to_be_changed_by_main(
    client, project, requester, lead, second_lead, before, now
):
    second = in_another_file(reviewed(project, requester, **before), lead, **now)
    client.force_login(lead)
    page = page_of(client, second)
    assert "data-between" not in page
    assert "main changed it" not in page
    assert "lines not compared with round 1" in page


def test_lines_of_the_version_before_are_those_that_were_sealed(client, first, lead):
    send_back(first, lead)
    second = fixtures.next_round(first)
    Hunk.objects.filter(file__proposal=first.proposal).update(text="+forged\n", new_lines=1)
    client.force_login(lead)
    found = told(page_of(client, second))
    assert "forged" not in found
    assert "U+200B" in found.split("diff-del")[1].split("diff-add")[0]


def test_lines_are_found_though_the_file_has_another_name_now(
    client, project, requester, lead, second_lead
):
    first = reviewed(project, requester, path="docs/old.md")
    send_back(first, lead)
    second = fixtures.next_round(first)
    client.force_login(lead)
    assert "U+200B" in told(page_of(client, second))
