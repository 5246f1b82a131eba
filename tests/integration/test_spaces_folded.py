"""Lines that differ in spaces only fold on the review page when asked; nothing of the change is left out."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents.lifecycle import TaskState
from approvals import sealing, surroundings, viewing
from approvals.decisions import LineComment
from tests import console_fixtures as fixtures
from tests.approval_fixtures import make_change, make_repository, move_main
from tests.reviewing import decide

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
    decide(made.approval.pk, by=lead, verdict="request_changes", comments=[comment], **sealed)
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


@pytest.mark.parametrize(("path", "start"), [("deploy.yaml", 1), ("fixtures/a.ts", 1)])
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


TOP = "".join(f"f({number});\n" for number in range(1, 61))
RAW = "x := `\n" + "".join(f"line {number}\n" for number in range(1, 61)) + "`\n"


@pytest.fixture
def bare(project, tmp_path, settings):
    settings.DATA_DIR = tmp_path / "data"
    return make_repository(tmp_path, project)


@pytest.fixture
def put_up(bare, project, requester, tmp_path):
    """Seal a change of files of main, each by what is replaced in it."""

    def put_up(**files: tuple[str, str, str]):
        named = {name.replace("__", "."): texts for name, texts in files.items()}
        for path, (text, _, _) in named.items():
            move_main(bare, path, text)
        texts = {path: text.replace(old, new) for path, (text, old, new) in named.items()}
        proposal = make_change(project, requester, tmp_path, texts=texts)
        return sealing.seal(proposal)

    return put_up


def notice_of(page: str) -> str:
    """Return what the page says of lines that differ in spaces only."""
    [said] = [
        each for each in re.findall(r'<p class="notice">(.*?)</p>', page) if 'key="w"' in each
    ]
    return unescape(re.sub(r"<svg.*?</svg>|<[^>]+>", "", said)).strip()


def review_of(client, approval, **query) -> str:
    answer = client.get(f"/review/{approval.task.label}/r1", query)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_lines_far_below_the_first_fold_where_nothing_is_open(client, lead, put_up):
    client.force_login(lead)
    approval = put_up(a__ts=(TOP, "f(40);\nf(41);", "  f(40);\n  f(41);"))
    page = review_of(client, approval, spaces="fold")
    assert folds_of(page) == [("2 lines differ in spaces only", "")]
    assert notice_of(page).startswith("2 lines differ in spaces only and are folded, in 1 hunk:")
    assert "it cannot be told" not in page


def test_lines_of_a_text_that_begins_far_above_are_shown(client, lead, put_up):
    client.force_login(lead)
    approval = put_up(a__ts=(TOP, "f(40);", "  f(40);"), b__go=(RAW, "line 40", "  line  40"))
    page = review_of(client, approval, spaces="fold")
    assert folds_of(page) == [("1 line differs in spaces only", "")]
    assert notice_of(page) == (
        "1 line differs in spaces only and is folded, in 1 hunk: part of what is signed, and opened by a "
        "click or Enter. In 1 file such lines are shown: spaces may mean something there, or it cannot be "
        "told. Show them W"
    )


def test_a_page_says_that_nothing_is_folded(client, lead, put_up):
    client.force_login(lead)
    page = review_of(client, put_up(a__ts=(TOP, "f(40);", "g(40);")), spaces="fold")
    assert notice_of(page) == "Nothing differs in spaces only. Show them W"
    page = review_of(client, put_up(b__go=(RAW, "line 40", "  line  40")), spaces="fold")
    assert notice_of(page).startswith(
        "Nothing is folded. In 1 file lines that differ in spaces only"
    )


@pytest.mark.parametrize("spoil", ["\1", " " * surroundings.MAX_BYTES])
def test_a_file_with_what_is_no_text_or_too_large_is_shown(client, lead, put_up, spoil):
    client.force_login(lead)
    text = TOP.replace("f(10)", f"f({spoil})")
    approval = put_up(a__ts=(text, "f(40);", "  f(40);"), b__ts=(TOP, "f(40);", "  f(40);"))
    page = review_of(client, approval, spaces="fold")
    assert len(folds_of(page)) == 1
    assert "In 1 file such lines are shown" in notice_of(page)


def test_what_git_cannot_read_is_shown_and_said(client, lead, put_up):
    client.force_login(lead)
    approval = put_up(a__ts=(TOP, "f(40);", "  f(40);"))
    stores = surroundings.Store.of(approval.project).git_dir
    stores.rename(stores.with_name("gone"))
    page = review_of(client, approval, spaces="fold")
    assert folds_of(page) == []
    assert "Git could not read what is around the hunks. Try again." in notice_of(page)


def test_nothing_is_read_for_a_page_that_folds_nothing(client, lead, put_up):
    client.force_login(lead)
    approval = put_up(a__ts=(TOP, "f(40);", "  f(40);"))
    stores = surroundings.Store.of(approval.project).git_dir
    gone = stores.rename(stores.with_name("gone"))
    with CaptureQueriesContext(connection) as plain:
        assert 'data-key="w"' in review_of(client, approval)
    gone.rename(stores)
    with CaptureQueriesContext(connection) as folded:
        review_of(client, approval, spaces="fold")
    assert len(folded) <= len(plain)
