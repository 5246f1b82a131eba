"""What counts as known from an earlier round: lines that stand where they stood, as often, among the same."""

from __future__ import annotations

import re

import pytest

from agents.lifecycle import TaskState
from agents.models import Task
from approvals import sealing
from tests import approval_fixtures as fixtures
from tests.reviewing import decide

pytestmark = pytest.mark.django_db

# Three functions whose bodies are alike: git prints the same lines for each.
NAMES = ("read", "write", "erase")
PAD = "".join(f"    step_{number}()\n" for number in range(6))
AUTH = "\n".join(f"def {name}(user):\n{PAD}    check(user)\n{PAD}" for name in NAMES)


def without(*names: str) -> str:
    """Return the file without the check in these functions."""
    parts = AUTH.split("def ")
    return "def ".join(
        part.replace("    check(user)\n", "") if part.startswith(names) else part for part in parts
    )


# Git names both places by the line `environments:`, and the lines around them are the same.
SETTINGS = "".join(f"    {name}: on\n" for name in ("a", "b", "c", "verify", "d", "e", "f"))
PLACES = f"environments:\n  staging:\n{SETTINGS}  prod:\n{SETTINGS}"


def unverified(place: str, text: str = PLACES) -> str:
    """Return the settings with `verify` off in one place."""
    before, after = text.split(f"  {place}:\n")
    return f"{before}  {place}:\n{after.replace('verify: on', 'verify: off', 1)}"


@pytest.fixture
def bare(tmp_path, project):
    made = fixtures.make_repository(tmp_path, project)
    fixtures.move_main(made, "auth.py", AUTH)
    fixtures.move_main(made, "places.yml", PLACES)
    fixtures.move_main(made, "logo.bin", "\0first")
    return made


@pytest.fixture
def rounds(bare, project, requester, lead, second_lead, tmp_path):
    def two(before: dict[str, str], now: dict[str, str], between=lambda: None):
        """Return round 2, after the lead sent round 1 back and main did what is `between`."""
        first = fixtures.make_change(project, requester, tmp_path, texts=before)
        sealed = sealing.seal(first)
        decide(
            sealed.pk,
            by=lead,
            verdict="request_changes",
            note="Not yet.",
            digest=sealed.digest,
            nonce=sealed.nonce,
        )
        first.task.steps.filter(round=2).delete()
        Task.objects.filter(pk=first.task_id).update(round=2, state=TaskState.REVIEW)
        first.task.refresh_from_db()
        between()
        second = fixtures.make_change(project, requester, tmp_path, task=first.task, texts=now)
        return sealing.seal(second)

    return two


def page_of(client, approval, lead) -> str:
    client.force_login(lead)
    answer = client.get(f"/review/{approval.task.label}/r2")
    assert answer.status_code == 200
    return " ".join(answer.getvalue().decode().split())


def opened(page: str) -> list[str]:
    """Return the paths of files that are not folded."""
    found = re.findall(
        r"<details (open)?>\s*<summary class=\"diff-head\">.*?<code>(.*?)</code>", page
    )
    return [path for is_open, path in found if is_open]


@pytest.mark.parametrize(
    ("before", "now", "new", "gone"),
    [
        (["read"], ["read", "write", "erase"], 2, 0),
        (["read"], ["erase"], 1, 1),
        (["read", "write", "erase"], ["write"], 0, 2),
    ],
)
def test_equal_lines_elsewhere_more_or_fewer_are_not_as_before(
    client, rounds, lead, before, now, new, gone
):
    page = page_of(client, rounds({"auth.py": without(*before)}, {"auth.py": without(*now)}), lead)
    assert "Nothing is new" not in page
    assert opened(page) == ["auth.py"]
    assert page.count('class="hunk hunk-new"') == new
    assert ("gone or rewritten" in page) == bool(gone)
    assert page.count("As in round 1") == len(now) - new


def test_a_hunk_that_is_the_same_in_each_way_is_folded(client, rounds, lead):
    page = page_of(
        client, rounds({"auth.py": without("write")}, {"auth.py": without("write")}), lead
    )
    assert "Nothing is new since round 1." in page
    assert opened(page) == []


def test_other_bytes_of_a_binary_file_are_not_as_before(client, rounds, lead):
    page = page_of(client, rounds({"logo.bin": "\0second"}, {"logo.bin": "\0third"}), lead)
    assert "1 file differs from round 1 in name, mode or bytes" in page
    assert opened(page) == ["logo.bin"]
    assert "not as before" in page


def test_a_binary_file_that_is_not_changed_any_more_is_told(client, rounds, lead):
    texts = {"auth.py": without("write")}
    page = page_of(client, rounds({**texts, "logo.bin": "\0second"}, texts), lead)
    assert "1 file differs from round 1 in name, mode or bytes, or is not changed any more" in page
    assert opened(page) == []


def test_lines_main_changed_around_a_hunk_make_it_new(client, rounds, lead, bare):
    def move():
        """Let main change a line beside the one that goes."""
        fixtures.move_main(
            bare, "auth.py", AUTH.replace("step_5()\n    check", "open()\n    check")
        )

    now = without("read").replace("step_5()\n    check", "open()\n    check")
    now = now.replace("step_5()\n    step_0()", "open()\n    step_0()")
    page = page_of(client, rounds({"auth.py": without("read")}, {"auth.py": now}, move), lead)
    assert "Nothing is new" not in page
    assert opened(page) == ["auth.py"]
    assert "main changed it since round 1" in page


def test_lines_main_shifted_are_as_they_were_and_what_main_did_is_told(client, rounds, lead, bare):
    [(path, text)] = fixtures.edits(line_20="line twenty").items()
    above = "import os\n\n\n\n\n"

    def move():
        """Let main change what is far above."""
        fixtures.move_main(bare, path, above + fixtures.FILES[path])

    page = page_of(client, rounds({path: text}, {path: above + text}, move), lead)
    assert "Nothing is new since round 1." in page
    assert opened(page) == []
    assert "main changed it since round 1" in page


def test_the_same_lines_at_another_place_of_a_file_main_changed_are_new(client, rounds, lead, bare):
    text = f"# Ours.\n{PLACES}"
    now = {"places.yml": unverified("prod", text)}
    before = {"places.yml": unverified("staging")}

    def move():
        """Let main shift all lines by one."""
        fixtures.move_main(bare, "places.yml", text)

    page = page_of(client, rounds(before, now, move), lead)
    assert "Nothing is new" not in page
    assert opened(page) == ["places.yml"]
    assert page.count('class="hunk hunk-new"') == 1


def test_in_a_file_too_large_to_be_read_all_is_new_where_main_changed_it(
    client, rounds, lead, bare
):
    long = "# what follows is long\n" * 60_000
    fixtures.move_main(bare, "auth.py", AUTH + long)

    def move():
        """Let main change what is far above."""
        fixtures.move_main(bare, "auth.py", f"import os\n\n\n\n\n{AUTH}{long}")

    before, now = (f"{top}{without('write')}{long}" for top in ("", "import os\n\n\n\n\n"))
    page = page_of(client, rounds({"auth.py": before}, {"auth.py": now}, move), lead)
    assert opened(page) == ["auth.py"]
    assert page.count('class="hunk hunk-new"') == 1
