"""Lines that differ in spaces only fold on the review page when asked; nothing of the change is left out."""

from __future__ import annotations

import re
from html import unescape

import pytest

from agents.lifecycle import TaskState
from approvals import deciding, sealing, viewing
from approvals.decisions import LineComment
from tests import console_fixtures as fixtures

pytestmark = pytest.mark.django_db

MIXED = " a();\n-  one();\n-  two();\n+    one();\n+    two();\n+    three();\n z();\n"
SPACES = "-  four();\n-  five();\n+four();\n+five();\n"
PYTHON = "-x = 1\n+    x = 1\n"


@pytest.fixture
def made(project, requester, lead):
    task = fixtures.make_task(project, requester, state=TaskState.REVIEW)
    steps = fixtures.make_team(task)
    proposal = fixtures.make_proposal(task, steps, warnings=[])
    for position, (path, text) in enumerate(
        [("web/mixed.ts", MIXED), ("web/spaces.ts", SPACES), ("billing/tax.py", PYTHON)]
    ):
        fixtures.make_file(proposal, position, path, text, steps["coder"])
    approval = sealing.seal(proposal)
    return fixtures.Made(task=task, steps=steps, proposal=proposal, approval=approval)


def page_of(client, made, **query) -> str:
    answer = client.get(f"/review/{made.task.label}/r{made.proposal.round}", query)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def folds_of(page: str) -> list[tuple[str, str]]:
    """Return what each fold says, and whether it is open."""
    found = re.findall(r"<details data-spaces (open)?>\s*<summary[^>]*>(.*?)</summary>", page)
    return [(re.sub(r"<[^>]+>", "", said), is_open) for is_open, said in found]


def lines_of(page: str, side: str) -> list[str]:
    cells = re.findall(rf'<div class="diff-cell diff-{side}[^>]*>(.*?)</div>', page)
    code = [re.search(r"<code[^>]*>(.*)</code>", cell) for cell in cells]
    return [unescape(re.sub(r"<[^>]+>", "", found[1])) for found in code if found]


def test_all_lines_are_shown_unless_folding_is_asked_for(client, made, lead):
    client.force_login(lead)
    page = page_of(client, made)
    assert folds_of(page) == []
    assert 'href="?spaces=fold" data-key="w"' in page


def test_what_is_folded_is_counted_and_there(client, made, lead):
    client.force_login(lead)
    whole, page = page_of(client, made), page_of(client, made, spaces="fold")
    assert folds_of(page) == [("2 lines differ in spaces only", "")] * 2
    assert 'href="?" data-key="w"' in page
    for side in ("old", "new"):
        assert lines_of(page, side) == lines_of(whole, side)


def test_each_hunk_has_its_verdicts_and_each_file_its_mark(client, made, lead):
    client.force_login(lead)
    viewing.mark(made.approval, "web/spaces.ts", by=lead)
    whole, page = page_of(client, made), page_of(client, made, spaces="fold")
    for each in (
        r'id="h-[\w-]+"',
        r'name="verdict-[\w-]+"',
        r'aria-pressed="\w+"',
        r'class="num-\w+">.\d+',
    ):
        assert re.findall(each, page) == re.findall(each, whole) != []


def test_where_a_line_begins_is_shown_in_python(client, made, lead):
    client.force_login(lead)
    page = page_of(client, made, spaces="fold")
    file = page.split('id="f3"')[1]
    assert "billing/tax.py" in file
    assert folds_of(file) == []


def test_a_comment_on_a_folded_line_opens_it(client, made, lead, second_lead):
    hunk = made.approval.snapshot["files"][1]["hunks"][0]["id"]
    sealed = {"digest": made.approval.digest, "nonce": made.approval.nonce}
    comment = LineComment(hunk=hunk, side="old", line=1, note="Why four?")
    deciding.decide(
        made.approval.pk, by=lead, verdict="request_changes", comments=[comment], **sealed
    )
    client.force_login(lead)
    page = page_of(client, made, spaces="fold")
    assert [is_open for _, is_open in folds_of(page)] == ["", "open"]
    assert "Why four?" in page.split("data-spaces open")[1].split("</details>")[0]


def test_ways_to_other_views_and_reviews_keep_it(client, made, lead, project, requester):
    fixtures.reviewed_task(project, requester)
    client.force_login(lead)
    page = page_of(client, made, spaces="fold", diff="unified")
    assert "diff-unified" in page
    assert 'href="?diff=unified" data-key="w"' in page
    assert re.search(r'href="/review/T-\d+/r1\?spaces=fold" data-key="[jk]"', page)


@pytest.mark.parametrize(("path", "start"), [("deploy.yaml", 1), ("web/a.ts", 20)])
def test_a_change_without_such_hunks_offers_no_fold(client, project, requester, lead, path, start):
    task = fixtures.make_task(project, requester, state=TaskState.REVIEW)
    steps = fixtures.make_team(task)
    proposal = fixtures.make_proposal(task, steps, warnings=[])
    fixtures.make_file(proposal, 0, path, "-a: 1\n+  a: 1\n", steps["coder"], start=start)
    made = fixtures.Made(task=task, steps=steps, proposal=proposal, approval=sealing.seal(proposal))
    client.force_login(lead)
    assert 'data-key="w"' not in page_of(client, made)
    assert folds_of(page_of(client, made, spaces="fold")) == []


def test_links_of_a_refused_decision_lead_back_to_the_review(client, made, lead):
    client.force_login(lead)
    answer = client.post(f"/review/{made.task.label}/r1/decide", {"verdict": "reject"})
    assert answer.status_code >= 400
    page = " ".join(answer.content.decode().split())
    assert f'href="/review/{made.task.label}/r1?spaces=fold" data-key="w"' in page
