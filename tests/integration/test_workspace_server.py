"""The tools of one workspace, spoken to over MCP: in this process and over stdio."""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import uvicorn
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from agents.workspace.files import Workspace
from agents.workspace.git import Store
from agents.workspace.scope import Scope
from agents.workspace.server import TOOLS, build_server, definitions
from tests.workspace_fixtures import make_repository

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "README.md": "# Hello\n\nSee docs.\n",
    "docs/a.md": "one half up\ntwo\nthree half\u200b up\n",
    "docs/win.txt": b"first\r\nsecond\r\n",
    "src/app.py": "x = 1\ny = 1\n",
    "bin.dat": b"\xff\xfe\x00binary",
    "tests/test_x.py": "import unittest\n\n\nclass T(unittest.TestCase):\n    def test_a(self):\n        pass\n",
    "tests/__init__.py": "",
}


class Project:
    checks_command = "python -m unittest discover -s tests -t ."
    allow_rlimits_only = True


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    repository = make_repository(tmp_path / "origin.git", FILES)
    store = Store(tmp_path / "store.git", repository=str(repository), main="main")
    workspace = Workspace(store, tmp_path / "ws" / "step", project=Project())
    workspace.materialise(store.fetch())
    return workspace


@asynccontextmanager
async def talking(workspace, tools=frozenset(TOOLS), writes=None):
    async with Client(build_server(workspace, Scope(tools, writes or {}))) as client:

        async def call(name: str, **arguments: object) -> str:
            answer = await client.call_tool(name, arguments)
            text = answer.content[0].text
            return f"ERROR {text}" if answer.is_error else text

        yield call


async def test_files_are_listed_and_found(workspace):
    async with talking(workspace) as call:
        assert (await call("list_files")).startswith("7 files\nREADME.md (19)\n")
        assert await call("list_files", path="docs") == "2 files\ndocs/a.md (33)\ndocs/win.txt (15)"
        assert await call("list_files", path="*.py") == (
            "3 files\nsrc/app.py (12)\ntests/__init__.py (0)\ntests/test_x.py (81)"
        )
        assert await call("list_files", path="nowhere") == "No file matches nowhere."
        found = await call("search_text", text="half up", path="docs/**")
        assert found == "1 line in 2 files searched\ndocs/a.md:1: one half up"
        found = await call("search_text", text="ONE", ignore_case=True)
        passed_over = "[not searched, because not text or too large: 1]"
        assert found == f"1 line in 6 files searched\ndocs/a.md:1: one half up\n{passed_over}"
        assert await call("search_text", text="(.*") == (
            f"no lines in 6 files searched\n{passed_over}"
        )


async def test_a_file_is_read_with_numbers_and_marks(workspace):
    async with talking(workspace) as call:
        text = await call("read_file", path="docs/a.md")
        assert text.splitlines()[:3] == [
            "    1| one half up",
            "    2| two",
            "    3| three half⟨U+200B⟩ up",
        ]
        assert "in line 3: edit_file sees the real text" in text
        assert await call("read_file", path="docs/a.md", first=2, last=2) == (
            "    2| two\n[lines 2 to 2 of 3]"
        )
        assert await call("read_file", path="tests/__init__.py") == "[tests/__init__.py is empty]"
        assert "has only 3 lines" in await call("read_file", path="docs/a.md", first=9)
        assert "not UTF-8 text (9 bytes)" in await call("read_file", path="bin.dat")
        assert "is a folder" in await call("read_file", path="docs")
        assert "Did you mean src/app.py?" in await call("read_file", path="app.py")


async def test_a_long_file_is_cut_with_a_notice(workspace):
    workspace.write("long.txt", "".join(f"line {n}\n" for n in range(5_000)).encode())
    workspace.write("wide.txt", b"x" * 100_000)
    async with talking(workspace) as call:
        text = await call("read_file", path="long.txt")
        assert len(text) < 20_200
        last = int(text.splitlines()[-2].split("|")[0])
        assert text.splitlines()[-1] == (
            f"[cut: long.txt has 5000 lines; call read_file with first={last + 1}]"
        )
        assert "[98,000 more characters]" in await call("read_file", path="wide.txt")
        found = await call("search_text", text="line", path="long.txt")
        assert "[4800 more lines; search in fewer files]" in found


async def test_an_exact_piece_is_replaced_once(workspace):
    async with talking(workspace) as call:
        assert await call("edit_file", path="src/app.py", old="x = 1", new="x = 2") == (
            "Changed src/app.py at line 1."
        )
        twice = await call("edit_file", path="src/app.py", old=" = ", new="=")
        assert "occurs 2 times in src/app.py (lines 1, 2)" in twice
        missing = await call("edit_file", path="src/app.py", old="y = 2", new="y = 3")
        assert "    2| y = 1" in missing
        hidden = await call("edit_file", path="docs/a.md", old="three half up", new="x")
        assert "at line 3, but with hidden characters" in hidden
        same = await call("edit_file", path="src/app.py", old="y = 1", new="y = 1")
        assert "are the same" in same
    assert (workspace.folder / "src/app.py").read_text() == "x = 2\ny = 1\n"


async def test_lines_are_replaced_inserted_and_deleted(workspace):
    place = workspace.folder / "docs/a.md"
    async with talking(workspace) as call:
        await call("replace_lines", path="docs/a.md", first=3, last=3, text="three to even")
        assert place.read_text() == "one half up\ntwo\nthree to even\n"
        await call("replace_lines", path="docs/a.md", first=1, last=0, text="zero\n")
        await call("replace_lines", path="docs/a.md", first=5, last=4, text="four")
        await call("replace_lines", path="docs/a.md", first=2, last=3, text="")
        assert place.read_text() == "zero\nthree to even\nfour\n"
        for first, last in ((5, 5), (3, 1), (1, 9)):
            answer = await call("replace_lines", path="docs/a.md", first=first, last=last, text="x")
            assert "has 3 lines" in answer
        await call("replace_lines", path="docs/win.txt", first=2, last=2, text="2nd\nthird")
    assert (workspace.folder / "docs/win.txt").read_bytes() == b"first\r\n2nd\r\nthird\r\n"


async def test_line_ends_of_windows_are_kept(workspace):
    async with talking(workspace) as call:
        await call("edit_file", path="docs/win.txt", old="first\nsecond", new="1\n2")
        assert "CRLF" in await call("read_file", path="docs/win.txt")
    assert (workspace.folder / "docs/win.txt").read_bytes() == b"1\r\n2\r\n"


async def test_files_are_written_and_deleted(workspace):
    async with talking(workspace) as call:
        assert await call("write_file", path="new/deep/x.md", content="a\nb\n") == (
            "Wrote new/deep/x.md (new, 2 lines)."
        )
        assert "(replaced, 1 lines)" in await call(
            "write_file", path="new/deep/x.md", content="c\n"
        )
        assert await call("delete_file", path="new/deep/x.md") == "Deleted new/deep/x.md."
        assert not (workspace.folder / "new").exists()
        assert "There is no file" in await call("delete_file", path="new/deep/x.md")
        assert "is a folder" in await call("delete_file", path="docs")
        assert "is in the way" in await call("write_file", path="README.md/x", content="x")
        assert "is a folder" in await call("write_file", path="docs", content="x")
        assert "too large" in await call("write_file", path="big", content="x" * 1_000_001)


HOSTILE = [
    "../outside",
    "docs/../../outside",
    "/etc/passwd",
    ".git/config",
    "docs/.GIT/hooks/x",
    "git~1/x",
    ".git /x",
    ".g\u200cit/config",
    "a\0b",
    "a\nb",
    "a" * 300,
    "a/" * 2_100 + "x",
    "link/x",
    "",
]


@pytest.mark.parametrize("path", HOSTILE, ids=range(len(HOSTILE)))
async def test_no_tool_leaves_the_workspace(workspace, tmp_path, path):
    (workspace.folder / "link").symlink_to(tmp_path)
    before = workspace.snapshot()
    async with talking(workspace) as call:
        for name, arguments in (
            ("read_file", {}),
            ("edit_file", {"old": "a", "new": "b"}),
            ("replace_lines", {"first": 1, "last": 0, "text": "x"}),
            ("write_file", {"content": "x"}),
            ("delete_file", {}),
        ):
            assert (await call(name, path=path, **arguments)).startswith("ERROR "), name
    assert workspace.snapshot() == before
    assert not (tmp_path / "outside").exists()


async def test_a_tool_outside_the_scope_does_not_exist(workspace):
    async with Client(build_server(workspace, Scope(frozenset({"read_file"})))) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["read_file"]
        answer = await client.call_tool("write_file", {"path": "x", "content": "x"})
        assert answer.is_error
    assert not (workspace.folder / "x").exists()


async def test_writes_stay_inside_the_granted_globs(workspace):
    writes = {"edit_file": ("docs/**",), "write_file": ("docs/**", "*.md")}
    writes["delete_file"] = ("!docs/**", "!*.md")
    async with talking(workspace, writes=writes) as call:
        refused = await call("edit_file", path="src/app.py", old="x = 1", new="x = 2")
        assert "limited to docs/**" in refused
        assert "is refused" in await call("edit_file", path="docs/../src/app.py", old="x", new="z")
        await call("edit_file", path="./docs/a.md", old="two", new="2")
        assert (await call("write_file", path="README.md", content="x\n")).startswith("Wrote")
        assert "limited to" in await call("write_file", path="docs", content="x\n")
        refused = await call("delete_file", path="docs/a.md")
        assert "your delete_file is refused for docs/**, *.md" in refused
    assert (workspace.folder / "src/app.py").read_text() == "x = 1\ny = 1\n"


async def test_checks_run_on_a_copy(workspace):
    before = workspace.snapshot()
    async with Client(build_server(workspace, Scope(frozenset({"run_checks"})))) as client:
        report = (await client.call_tool("run_checks", {})).structured_content
    assert (report["passed"], report["failed"], report["exit_code"]) == (1, 0, 0)
    assert workspace.snapshot() == before


def test_definitions_say_what_each_tool_is():
    found = {each.name: each for each in definitions()}
    assert list(found) == list(TOOLS)
    assert found["read_file"].read_only
    assert not found["edit_file"].read_only
    assert found["write_file"].idempotent
    assert found["edit_file"].input_schema["required"] == ["path", "old", "new"]
    assert all(each.description.endswith(".") for each in found.values())


async def test_tools_may_be_called_side_by_side(workspace):
    async with talking(workspace) as call:
        snapshots = [asyncio.to_thread(workspace.snapshot) for _ in range(10)]
        writes = [call("write_file", path=f"new/{n}.txt", content=f"{n}\n") for n in range(20)]
        edits = [
            call("replace_lines", path="src/app.py", first=1, last=0, text=f"# {n}")
            for n in range(20)
        ]
        removed = [call("delete_file", path="docs/a.md"), call("delete_file", path="bin.dat")]
        answers = await asyncio.gather(*snapshots, *writes, *edits, *removed)
    assert not any(answer.startswith("ERROR") for answer in answers)
    files = dict(workspace.listing())
    assert len([path for path in files if path.startswith("new/")]) == 20
    assert len((workspace.folder / "src/app.py").read_text().splitlines()) == 22
    assert "docs/a.md" not in files


async def test_the_tools_work_over_http(workspace):
    app = build_server(workspace, Scope(frozenset({"read_file"}))).streamable_http_app()
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with Client(f"http://127.0.0.1:{port}/mcp") as client:
            answer = await client.call_tool("read_file", {"path": "README.md"})
            assert answer.content[0].text.startswith("    1| # Hello\n")
    finally:
        server.should_exit = True
        await serving


async def test_a_folder_is_served_over_stdio(tmp_path):
    folder = tmp_path / "plain"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "config").write_text("secret")
    (folder / "a.txt").write_text("one\n")
    parameters = StdioServerParameters(
        command=sys.executable, args=["-m", "agents.workspace.server", str(folder)]
    )
    async with Client(parameters) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(tools) == list(TOOLS)
        assert tools["read_file"].annotations.read_only_hint is True
        listed = await client.call_tool("list_files", {})
        assert listed.content[0].text == "1 file\na.txt (4)"
        edited = await client.call_tool("edit_file", {"path": "a.txt", "old": "one", "new": "two"})
        assert not edited.is_error
        refused = await client.call_tool("read_file", {"path": "../plain/a.txt"})
        assert refused.is_error
    assert (folder / "a.txt").read_text() == "two\n"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["plain"]
