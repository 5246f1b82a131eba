"""A verdict on a hunk holds for the same bytes at the same place, on any device; for no others."""

from __future__ import annotations

import re

import pytest

from agents.lifecycle import TaskState
from agents.models import FileChange, Task
from approvals import sealing
from approvals.decisions import HunkDecision
from tests import approval_fixtures as fixtures
from tests.integration.test_known_hunks import AUTH, without
from tests.reviewing import decide

pytestmark = pytest.mark.django_db
WORDS = "it in round 1; it has not changed."
NOTE = {"docs.md": "# Rounding\nhalf even\n"}


@pytest.fixture
def bare(tmp_path, project):
    made = fixtures.make_repository(tmp_path, project)
    fixtures.move_main(made, "auth.py", AUTH)
    fixtures.move_main(made, "docs.md", "# Rounding\nhalf up\n")
    return made


@pytest.fixture
def rounds(bare, project, requester, lead, tmp_path):
    def two(before, now, verdicts, between=lambda: None):
        """Return both rounds; the lead gave these verdicts in the first, by the path of the hunk."""
        first = fixtures.make_change(project, requester, tmp_path, texts=before)
        sealed = sealing.seal(first)
        said = [
            HunkDecision(id=hunk["id"], verdict=verdicts[file["path"]])
            for file in sealed.snapshot["files"]
            for hunk in file["hunks"]
            if file["path"] in verdicts
        ]
        seal = {"digest": sealed.digest, "nonce": sealed.nonce}
        asked = {"verdict": "request_changes", "note": "Not yet.", "hunks": said}
        decide(sealed.pk, by=lead, **asked, **seal)
        first.task.steps.filter(round=2).delete()
        Task.objects.filter(pk=first.task_id).update(round=2, state=TaskState.REVIEW)
        first.task.refresh_from_db()
        between()
        second = fixtures.make_change(project, requester, tmp_path, task=first.task, texts=now)
        return sealing.seal(second)

    return two


def _page(client, approval, person) -> str:
    client.force_login(person)
    page = client.get(f"/review/{approval.task.label}/r2").getvalue().decode()
    return " ".join(page.split())


def _hunks(page: str) -> dict[str, str]:
    """Return what the page says below the first hunk of each file."""
    files = page.split('class="card diff-file"')[1:]
    return {re.search(r"<h2><code>(.*?)</code>", file)[1]: file for file in files}


def _checked(part: str) -> list[str]:
    return re.findall(r'value="(accept|refuse)" form="decision" checked', part)


def test_what_was_accepted_stays_accepted_where_nothing_changed(client, rounds, lead, second_lead):
    now = {**NOTE, "auth.py": without("read", "write")}
    verdicts = {"docs.md": "accept", "auth.py": "refuse"}
    approval = rounds({**NOTE, "auth.py": without("read")}, now, verdicts)
    page = _page(client, approval, lead)
    assert page.count(f"accepted {WORDS}") == 1
    docs, auth = _hunks(page)["docs.md"], _hunks(page)["auth.py"]
    assert f"You accepted {WORDS}" in docs
    assert _checked(docs) == ["accept"]
    # The refused hunk is the same, too; another is new: nothing is said for the person.
    assert auth.count(f"You refused {WORDS}") == 1
    assert _checked(auth) == []
    other = _page(client, approval, second_lead)
    assert f"Dana Kim accepted {WORDS}" in other
    assert _checked(other) == []


@pytest.mark.parametrize("now", [["erase"], ["write", "erase"]])
def test_the_same_lines_elsewhere_were_not_accepted(client, rounds, lead, now):
    approval = rounds(
        {"auth.py": without("read")}, {"auth.py": without(*now)}, {"auth.py": "accept"}
    )
    page = _page(client, approval, lead)
    assert "not changed." not in page
    assert _checked(page) == []


@pytest.mark.parametrize(("line", "kept"), [("# first\n# second\n", True), ("", False)])
def test_main_may_move_it_but_not_change_what_is_around_it(client, rounds, lead, bare, line, kept):
    text = "def once(user):\n    begin()\n    check(user)\n    go()\n    end()\n"
    fixtures.move_main(bare, "one.py", text)
    moved = line + text if kept else text.replace("begin", "start")

    def move():
        fixtures.move_main(bare, "one.py", moved)

    change = [{"one.py": each.replace("    go()\n", "")} for each in (text, moved)]
    page = _page(client, rounds(*change, {"one.py": "accept"}, move), lead)
    assert (f"You accepted {WORDS}" in page) == kept
    assert _checked(page) == ["accept"] * kept


def test_what_is_typed_counts_after_a_refusal(client, rounds, lead):
    approval = rounds(NOTE, NOTE, {"docs.md": "accept"})
    [hunk] = approval.snapshot["files"][0]["hunks"]
    client.force_login(lead)
    sent = {"approval": approval.pk, "digest": approval.digest, "nonce": "other"}
    sent |= {"verdict": "request_changes", f"verdict-{hunk['id']}": "refuse"}
    answer = client.post(f"/review/{approval.task.label}/r2/decide", sent)
    assert answer.status_code >= 400
    assert _checked(" ".join(answer.content.decode().split())) == ["refuse"]


@pytest.mark.parametrize("mode", ["100755", "120000"])
def test_what_is_a_program_or_a_link_now_was_not_accepted(client, rounds, lead, monkeypatch, mode):
    add = fixtures.add_rows

    def otherwise():
        def added(proposal, *rest):
            add(proposal, *rest)
            FileChange.objects.filter(proposal=proposal).update(new_mode=mode)

        monkeypatch.setattr(fixtures, "add_rows", added)

    page = _page(client, rounds(NOTE, NOTE, {"docs.md": "accept"}, otherwise), lead)
    assert "not changed." not in page
    assert _checked(page) == []
