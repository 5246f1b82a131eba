"""The other ends of a task on the real stack: main moved under it, rejected, delivered, stopped."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.http_person import HttpPerson
from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

STORY = "Fix the billing bug & update docs"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(env={"COUNTERSIGN_REHEARSAL_PACE_MS": "0"}) as stack:
        yield stack


@pytest.fixture(scope="module")
def requester(stack: Stack) -> Iterator[HttpPerson]:
    with HttpPerson(stack, "requester") as person:
        yield person


@pytest.fixture(scope="module")
def lead(stack: Stack) -> Iterator[HttpPerson]:
    with HttpPerson(stack, "lead") as person:
        yield person


def git(stack: Stack, *arguments: str) -> str:
    repository = stack.data_dir / "repositories" / "billing-demo.git"
    whoever = ["-c", "safe.directory=*", "-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    done = subprocess.run(
        ["git", *whoever, "--git-dir", str(repository), *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def submit(person: HttpPerson, request: str = STORY) -> str:
    answer = person.post("/api/v1/tasks", {"project": "billing-demo", "request": request})
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def sign(person: HttpPerson, approval: dict[str, Any], verdict: str, note: str = "") -> Any:
    if verdict == "approve":
        person.view_all(approval)
    body = {"verdict": verdict, "digest": approval["digest"], "nonce": approval["nonce"]}
    return person.post(f"/api/v1/approvals/{approval['id']}/signatures", body | {"note": note})


def move_main(stack: Stack) -> str:
    """Commit something else to main, as a person outside Countersign would."""
    tree = git(stack, "rev-parse", "main^{tree}")
    moved = git(stack, "commit-tree", tree, "-p", "main", "-m", "Something else")
    git(stack, "update-ref", "refs/heads/main", moved)
    return moved


def test_a_rejected_task_ends_and_proposes_a_lesson(stack, requester, lead) -> None:
    task = submit(requester)
    approval = lead.wait_for_approval(task, seconds=90)
    before = git(stack, "rev-parse", "main")
    assert sign(lead, approval, "reject", "Round on the total only.").status_code == 201
    found = requester.wait_for(task, {"rejected"})
    assert "Round on the total only." in str(found)
    assert git(stack, "rev-parse", "main") == before
    lessons = lead.get("/api/v1/memories")["results"]
    assert [(row["content"], row["state"]) for row in lessons] == [
        ("Round on the total only.", "proposed")
    ]


def test_a_stopped_task_leaves_nothing_to_sign(requester, lead) -> None:
    task = submit(requester)
    approval = lead.wait_for_approval(task, seconds=90)
    answer = requester.post(f"/api/v1/tasks/{task}/cancel", {})
    assert answer.status_code == 200, answer.text
    assert sign(lead, approval, "approve").status_code == 409
    assert requester.wait_for(task, {"cancelled"})["state"] == "cancelled"


def test_moved_main_merges_nothing_until_it_is_proposed_again(stack, requester, lead) -> None:
    task = submit(requester)
    first = lead.wait_for_approval(task, seconds=90)
    moved = move_main(stack)
    answer = sign(lead, first, "approve")
    assert answer.status_code == 409, answer.text
    assert "moved" in answer.json()["detail"]
    assert git(stack, "rev-parse", "main") == moved
    again = lead.post(f"/api/v1/approvals/{first['id']}/propose-again", {})
    assert again.status_code in {200, 202}, again.text
    second = lead.wait_for_approval(task, but_not=first["id"], seconds=90)
    assert sign(lead, second, "approve").status_code == 201
    requester.wait_for(task, {"done"})
    assert git(stack, "rev-parse", "main^1") == moved


def test_a_report_is_delivered_and_changes_no_file(stack, requester, lead) -> None:
    before = git(stack, "rev-parse", "main")
    task = submit(requester)  # the story is merged by now, so it ends as a report
    approval = lead.wait_for_approval(task, seconds=90)
    assert [effect["kind"] for effect in approval["snapshot"]["effects"]] == ["deliver"]
    assert sign(lead, approval, "approve").status_code == 201
    requester.wait_for(task, {"done"})
    assert git(stack, "rev-parse", "main") == before
