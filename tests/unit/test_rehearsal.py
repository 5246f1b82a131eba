"""The parts of a rehearsal that read: file lines, hits, runs, and the words of a request."""

from __future__ import annotations

import json

import pytest

from agents import team
from agents.roster import ROSTER
from agents.roster.seed import READ_TOOLS, WRITE_TOOLS
from agents.runtime.rehearsal.extracts import words_of
from agents.runtime.rehearsal.readings import checks_of, hits_of, lines_of, marked, text_of, where
from agents.runtime.rehearsal.scene import Done
from agents.workspace.scope import Scope
from agents.workspace.server import TOOLS
from agents.workspace.texts import numbered


def _done(tool: str, text: str) -> Done:
    return Done(tool=tool, arguments={}, text=text, failed=False)


def test_a_reading_gives_back_the_text_of_the_file() -> None:
    text = "# Title\n\n    indented: yes\n12| not a number\n"
    reading = _done("read_file", numbered("a.md", text, 1, 0))
    assert text_of(reading) == text
    assert where(reading, "indented") == (3, "    indented: yes")
    assert marked(reading) == (0, "")


def test_a_hidden_character_is_found_where_the_tool_marks_it() -> None:
    reading = _done("read_file", numbered("a.md", "one\nhalf\u200b up\n", 1, 0))
    assert marked(reading) == (2, "half⟨U+200B⟩ up")
    assert len(lines_of(reading)) == 2


def test_hits_are_read_and_the_heading_is_not() -> None:
    found = hits_of(
        _done("search_text", "2 lines in 9 files searched\na.py:3:     x = 1: y\nb/c.md:12: z")
    )
    assert [(hit.path, hit.line) for hit in found] == [("a.py", 3), ("b/c.md", 12)]


@pytest.mark.parametrize(
    ("report", "green", "told"),
    [
        ({"ran": True, "exit_code": 0, "passed": 3, "failed": 0}, True, "3 passed, 0 failed"),
        ({"ran": True, "exit_code": 2}, False, "exit code 2"),
    ],
)
def test_a_run_of_the_checks_is_read(report, green, told) -> None:
    checks = checks_of(_done("run_checks", json.dumps(report)))
    assert (checks.green, checks.told, checks.ran) == (green, told, True)


def test_a_run_that_did_not_happen_is_no_success() -> None:
    assert not checks_of(_done("run_checks", "run_checks failed")).ran
    assert not checks_of(_done("run_checks", '{"ran": false, "why_not": "no sandbox"}')).ran


@pytest.mark.parametrize(
    ("request_", "first"),
    [
        ("Please rename parse_config in settings.py", ["parse_config", "settings.py"]),
        ("Why does the invoice show the wrong currency?", ["currency", "invoice"]),
        ("fix it", []),
        ("??? !!!", []),
    ],
)
def test_the_telling_words_of_a_request_come_first(request_, first) -> None:
    assert words_of(request_)[: len(first)] == first


@pytest.mark.parametrize("seed", ROSTER, ids=lambda seed: seed.slug)
def test_every_seed_has_a_prompt_and_only_tools_that_exist(seed) -> None:
    assert seed.prompt.startswith("# ")
    assert set(seed.tools) <= {*TOOLS, *(tool.name for tool in team.definitions())}
    offered = {name for name in TOOLS if f"`{name}`" in seed.prompt}
    assert offered <= set(seed.tools)
    assert seed.max_turns >= 2


@pytest.mark.parametrize(
    ("slug", "path", "may"),
    [
        ("coder", "billing/invoice.py", True),
        ("coder", "docs/guide.md", False),
        ("coder", "README.md", False),
        ("coder", "tests/test_x.py", False),
        ("tester", "tests/test_x.py", True),
        ("tester", "pkg/tests/data.json", True),
        ("tester", "src/test_x.py", True),
        ("tester", "web/app.test.ts", True),
        ("tester", "billing/invoice.py", False),
        ("tech-writer", "docs/a/b.rst", True),
        ("tech-writer", "README.md", True),
        ("tech-writer", "billing/invoice.py", False),
    ],
)
def test_seeds_write_only_where_they_should(slug, path, may) -> None:
    seed = next(each for each in ROSTER if each.slug == slug)
    scope = Scope(frozenset(seed.tools), {name: tuple(seed.globs(name)) for name in WRITE_TOOLS})
    assert all(scope.allows_write(name, path) is may for name in WRITE_TOOLS)


def test_router_and_aggregator_only_read() -> None:
    readers = [seed for seed in ROSTER if seed.slug in {"router", "aggregator"}]
    assert all(seed.tools == READ_TOOLS for seed in readers)
