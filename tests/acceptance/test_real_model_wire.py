"""The main job with a language model over the wire, on a repository of the user's own.

The model is a scripted OpenAI-compatible server: its answers are given, the wire is real.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.acceptance.http_person import HttpPerson
from tests.stack import Stack
from tests.stub_model import Call, Reply, Request, StubModel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "sk-canary-4f7d1b90c2"
FILES = {
    "greet.py": 'def greet(name):\n    return f"Helo, {name}"\n',
    "test_greet.py": (
        "import unittest\n\nfrom greet import greet\n\n\n"
        "class GreetTests(unittest.TestCase):\n"
        "    def test_greets_by_name(self):\n"
        '        self.assertEqual(greet("Ada"), "Hello, Ada")\n'
    ),
    "docs/usage.md": "# Usage\n\n`greet(name)` returns `Helo, name`.\n",
}
FEEDBACK = "Keep a docstring on greet."


def result(summary: str, *claims: dict[str, Any]) -> Reply:
    """Hand in a step's result."""
    return Reply(
        calls=[
            Call("report_result", {"status": "done", "summary": summary, "claims": list(claims)})
        ]
    )


def call(name: str, **arguments: Any) -> Reply:
    """Say a word and call one tool."""
    return Reply(text=f"I call {name}.", calls=[Call(name, arguments)])


PLAN = Reply(
    text="Two steps, side by side.",
    calls=[
        Call(
            "submit_plan",
            {
                "title": "Correct the greeting",
                "outcome": "change",
                "steps": [
                    {
                        "id": "fix",
                        "agent": "coder",
                        "title": "Correct greet",
                        "instructions": "greet returns Helo; it must return Hello.",
                        "files": ["greet.py"],
                        "acceptance": "The checks pass.",
                    },
                    {
                        "id": "docs",
                        "agent": "tech-writer",
                        "title": "Correct the docs",
                        "instructions": "docs/usage.md says Helo; it must say Hello.",
                        "files": ["docs/usage.md"],
                    },
                ],
            },
        )
    ],
)
PASS = {"text": "The checks pass.", "check": {"kind": "checks_pass"}}
UNTOUCHED = {
    "text": "The tests are as they were.",
    "check": {"kind": "file_unchanged", "path": "test_greet.py"},
}
CODER = [
    call("run_checks"),
    call("read_file", path="greet.py"),
    call("edit_file", path="greet.py", old="Helo", new="Hello"),
    call("run_checks"),
    result("greet says Hello.", PASS, UNTOUCHED),
]
CODER_AGAIN = [
    call("read_file", path="greet.py"),
    call(
        "edit_file",
        path="greet.py",
        old="def greet(name):\n",
        new='def greet(name):\n    """Return the greeting."""\n',
    ),
    result("greet has a docstring.", PASS),
]
WRITER = [
    call("search_text", text="Helo"),
    call("edit_file", path="docs/usage.md", old="Helo", new="Hello"),
    result("The docs say Hello."),
]
PROPOSAL = Reply(
    calls=[
        Call(
            "submit_proposal",
            {
                "title": "Say Hello",
                "summary": "greet and its docs say Hello.",
                "claims": [PASS, UNTOUCHED],
            },
        )
    ]
)


def script(request: Request) -> Reply:
    """Answer by the tool the answer is handed in with, and by what was asked for."""
    if "submit_plan" in request.tools:
        return PLAN
    if "submit_proposal" in request.tools:
        return PROPOSAL
    if "docs/usage.md says" in request.prompt:
        return WRITER[request.turn]
    return (CODER_AGAIN if FEEDBACK in request.prompt else CODER)[request.turn]


@pytest.fixture(scope="module")
def model() -> Iterator[StubModel]:
    with StubModel(script) as model:
        yield model


@pytest.fixture(scope="module")
def stack(model: StubModel) -> Iterator[Stack]:
    env = {
        "COUNTERSIGN_MODEL": "openai:stub-1",
        "OPENAI_BASE_URL": model.base_url,
        "OPENAI_API_KEY": KEY,
    }
    with Stack(env=env) as stack:
        yield stack


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("greeter")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "init", "-q", "-b", "trunk")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "Begin")
    bare = folder.with_name("greeter.git")
    git(folder, "clone", "-q", "--bare", ".", str(bare))
    return bare


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def people(stack: Stack) -> Iterator[tuple[HttpPerson, HttpPerson]]:
    with HttpPerson(stack, "requester") as requester, HttpPerson(stack, "lead") as lead:
        yield requester, lead


def test_the_same_story_with_a_model_and_a_repository_of_ones_own(stack, model, people, repository):
    add_project(stack, repository)
    requester, lead = people
    task = submit(requester)
    lead.wait_for(task, {"review"})
    first = lead.wait_for_approval(task)
    refuse_one_hunk(lead, first, "greet.py")
    lead.wait_for(task, {"working", "assembling", "review"})
    second = lead.wait_for_approval(task, but_not=first["id"])
    assert second["snapshot"]["round"] == 2
    assert {claim["verdict"] for claim in second["snapshot"]["claims"]} == {"proven"}
    before = git(repository, "rev-parse", "trunk")
    answer = sign(lead, second, verdict="approve")
    assert answer.status_code == 201, answer.text
    done = requester.wait_for(task, {"done"})
    look_at_the_merge(repository, before, done["number"])
    look_at_the_wire(model, done)
    assert KEY not in everything_said(stack, requester, task)


def add_project(stack: Stack, repository: Path) -> None:
    done = stack.manage(
        "add_project",
        "greeter",
        "--repository",
        str(repository),
        "--main",
        "trunk",
        "--checks",
        "python -m unittest -v",
        "--requester",
        "requester",
        "--lead",
        "lead",
    )
    assert done.returncode == 0, done.stderr


def submit(requester: HttpPerson) -> str:
    body = {"project": "greeter", "request": "Correct the greeting and its docs."}
    answer = requester.post("/api/v1/tasks", body)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def refuse_one_hunk(lead: HttpPerson, approval: dict[str, Any], path: str) -> None:
    files = {row["path"]: row for row in approval["snapshot"]["files"]}
    assert set(files) == {"greet.py", "docs/usage.md"}
    hunk = files[path]["hunks"][0]
    assert hunk["author"]["agent"] == "coder"
    refused = {"id": hunk["id"], "verdict": "refuse", "note": FEEDBACK}
    answer = sign(lead, approval, verdict="request_changes", hunks=[refused])
    assert answer.status_code == 201, answer.text


def sign(lead: HttpPerson, approval: dict[str, Any], **facts: Any) -> Any:
    if facts["verdict"] == "approve":
        lead.view_all(approval)
    body = {"digest": approval["digest"], "nonce": approval["nonce"], "note": "", **facts}
    return lead.post(f"/api/v1/approvals/{approval['id']}/signatures", body)


def look_at_the_merge(repository: Path, before: str, number: int) -> None:
    assert git(repository, "rev-parse", "trunk^1") == before
    trailers = git(repository, "log", "-1", "--format=%(trailers)", "trunk")
    for wanted in (
        f"Countersign-Task: T-{number}",
        "Countersign-Approval: ",
        "Approved-by: Dana Kim",
    ):
        assert wanted in trailers
    assert git(repository, "show", "trunk:greet.py") == (
        'def greet(name):\n    """Return the greeting."""\n    return f"Hello, {name}"'
    )
    assert "Hello, name" in git(repository, "show", "trunk:docs/usage.md")
    assert git(repository, "show", "trunk:test_greet.py") == FILES["test_greet.py"].strip()


def look_at_the_wire(model: StubModel, task: dict[str, Any]) -> None:
    """Streamed, with the key, the tester never asked, and every token counted once."""
    assert all(request.body["stream"] for request in model.requests)
    keys = {httpx.Headers(request.headers)["authorization"] for request in model.requests}
    assert keys == {f"Bearer {KEY}"}
    agents = [step["agent"] for step in task["plan"]["steps"] if step["round"] == 2]
    assert sorted(agents) == ["aggregator", "coder"]
    assert task["usage"]["tokens"]["used"] == 120 * len(model.requests)


def everything_said(stack: Stack, person: HttpPerson, task: str) -> str:
    pages = (f"/api/v1/tasks/{task}", f"/api/v1/tasks/{task}/events?limit=500")
    logs = [stack.log(name) for name in ("web", "agents", "effects")]
    return "\n".join([*(person.client.get(page).text for page in pages), *logs, stack.output])
