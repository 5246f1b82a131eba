"""Who wrote a hunk, and whether what was said of the work is so."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from agents.lifecycle import Verdict
from agents.messages import Check, StatedClaim
from agents.models import Step
from agents.workspace.authorship import Contribution, attribute
from agents.workspace.checks import CheckReport
from agents.workspace.claims import verify
from agents.workspace.git import Store
from tests.workspace_fixtures import grow, make_repository

if TYPE_CHECKING:
    from pathlib import Path

AT = datetime(2026, 3, 1, tzinfo=UTC)
LINES = [f"line {n}\n" for n in range(60)]
GREEN = CheckReport(ran=True, sandbox="bubblewrap", exit_code=0, passed=14, failed=0)
RED = CheckReport(ran=True, sandbox="bubblewrap", exit_code=1, passed=12, failed=2)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    files = {
        "code.py": "".join(LINES),
        "docs/rounding.md": "half up\n\nthen half\u200b up again\n",
        "docs/nbsp.md": "half\u00a0even\n",
        "bin": b"\0half up",
        "rename-me.txt": "".join(LINES[:20]),
    }
    repository = make_repository(tmp_path / "origin.git", files)
    return Store(tmp_path / "store.git", repository=str(repository), main="main")


def with_lines(changes: dict[int, str | None], lines: list[str] = LINES) -> str:
    return "".join(
        text for number, line in enumerate(lines) if (text := changes.get(number, line)) is not None
    )


def part(name: str, base: str, result: str) -> Contribution:
    who: Any = Step(key=name, agent_id=uuid.uuid5(uuid.NAMESPACE_OID, name.partition(",")[0]))
    return Contribution(step=who, attempt=who, base_commit=base, result_commit=result)


def merged(store: Store, *commits: str) -> str:
    head = commits[0]
    for other in commits[1:]:
        merge = store.merge(head, other)
        assert merge.conflicts == []
        head = store.commit(merge.tree, parents=[head, other], message="Merge", at=AT)
    return head


def authors(store, base, head, parts) -> dict[str, list[str | None]]:
    diffs = store.diff(base, head)
    found = attribute(store, base, head, parts, diffs)
    return {
        diff.path: [each.step.key if each else None for each in hunks]
        for diff, hunks in zip(diffs, found, strict=True)
    }


def test_hunks_of_parallel_agents_in_one_file_are_told_apart(store):
    base = store.fetch()
    code = grow(store, base, {"code.py": with_lines({5: "five\n"})}, at=AT)
    test = grow(store, base, {"code.py": with_lines({40: "forty\n"}), "new.py": "x\n"}, at=AT)
    docs = grow(store, base, {"code.py": with_lines({20: None, 21: None})}, at=AT)
    head = merged(store, code, test, docs)
    parts = [part("code", base, code), part("test", base, test), part("docs", base, docs)]
    assert authors(store, base, head, parts) == {
        "code.py": ["code", "docs", "test"],
        "new.py": ["test"],
    }


def test_equal_lines_go_to_who_wrote_them_there(store):
    base = store.fetch()
    code = grow(store, base, {"code.py": with_lines({5: "line 5\n\n}\n"})}, at=AT)
    docs = grow(store, base, {"code.py": with_lines({40: "line 40\n\n}\n"})}, at=AT)
    head = merged(store, code, docs)
    parts = [part("code", base, code), part("docs", base, docs)]
    assert authors(store, base, head, parts) == {"code.py": ["code", "docs"]}


def test_who_writes_over_a_line_owns_it(store):
    base = store.fetch()
    code = grow(store, base, {"code.py": with_lines({5: "five\n", 40: "forty\n"})}, at=AT)
    test = grow(store, code, {"code.py": with_lines({5: "FIVE\n", 40: "forty\n"})}, at=AT)
    parts = [part("code", base, code), part("test", code, test)]
    assert authors(store, base, test, parts) == {"code.py": ["test", "code"]}


def test_work_on_the_result_of_another_keeps_both_names(store):
    base = store.fetch()
    code = grow(store, base, {"code.py": with_lines({5: "a\nb\nc\nd\n"})}, at=AT)
    before = with_lines({5: "a\nb\nc\nd\n", 50: None})
    test = grow(store, code, {"code.py": before}, at=AT)
    parts = [part("code", base, code), part("test", code, test)]
    assert authors(store, base, test, parts) == {"code.py": ["code", "test"]}


def test_a_hunk_written_anew_says_the_last_round_of_who_wrote_most_of_it(store):
    base = store.fetch()
    code = grow(store, base, {"code.py": with_lines({5: "a\nb\nc\nd\n"})}, at=AT)
    again = grow(store, code, {"code.py": with_lines({5: "a\nb\nc\nD\n"})}, at=AT)
    parts = [part("code", base, code), part("code, round 2", code, again)]
    assert authors(store, base, again, parts) == {"code.py": ["code, round 2"]}
    test = grow(store, again, {"code.py": with_lines({5: "A\nb\nc\nD\n"})}, at=AT)
    parts.append(part("test", again, test))
    assert authors(store, base, test, parts) == {"code.py": ["code, round 2"]}


def test_a_renamed_file_keeps_its_author(store):
    base = store.fetch()
    text = with_lines({3: "three\n"}, LINES[:20])
    code = grow(store, base, {"rename-me.txt": text}, at=AT)
    moved = grow(store, code, {"rename-me.txt": None, "renamed.txt": text}, at=AT)
    parts = [part("code", base, code), part("docs", code, moved)]
    assert authors(store, base, moved, parts) == {"renamed.txt": ["code"]}


def test_a_new_a_deleted_and_a_merged_file(store):
    base = store.fetch()
    code = grow(store, base, {"new.txt": "a\n", "code.py": None}, at=AT)
    other = grow(store, code, {"stray.txt": "nobody\n"}, at=AT)
    assert authors(store, base, other, [part("code", base, code)]) == {
        "code.py": ["code"],
        "new.txt": ["code"],
        "stray.txt": [None],
    }


def test_work_taken_back_is_not_in_the_diff(store):
    base = store.fetch()
    code = grow(store, base, {"code.py": with_lines({5: "five\n"})}, at=AT)
    back = grow(store, code, {"code.py": "".join(LINES)}, at=AT)
    parts = [part("code", base, code), part("test", code, back)]
    assert authors(store, base, back, parts) == {}


def test_the_base_may_have_moved_since(store):
    base = store.fetch()
    code = grow(store, base, {"code.py": with_lines({30: "thirty\n", 31: None})}, at=AT)
    main = grow(store, base, {"code.py": with_lines({2: "2\ntwo\nzwei\n"})}, at=AT)
    head = merged(store, main, code)
    assert authors(store, main, head, [part("code", base, code)]) == {"code.py": ["code"]}


def found(store, kind, *, head=None, checks=GREEN, **check) -> tuple[str, str]:
    base = store.fetch()
    claim = StatedClaim(text="I say so", check=Check(kind=kind, **check))
    verdict, evidence = verify(claim, store=store, base=base, head=head or base, checks=checks)
    return verdict.value, evidence


def test_a_claim_on_the_checks_is_our_own_run(store):
    told = "Checks on the merged tree"
    assert found(store, "checks_pass") == ("proven", f"{told}: 14 pass, our run")
    assert found(store, "checks_pass", checks=RED) == (
        "contradicted",
        f"{told}: 2 of 14 fail, our run",
    )
    none = CheckReport(why_not="The project has no checks command.")
    assert found(store, "checks_pass", checks=none) == (
        "not_checkable",
        "The project has no checks command.",
    )


def test_a_file_is_unchanged_or_not(store):
    base = store.fetch()
    head = grow(store, base, {"code.py": "x\n", "new": "x\n", "bin": None}, at=AT)
    told = {
        path: found(store, "file_unchanged", path=path, head=head)
        for path in ("docs/rounding.md", "code.py", "new", "bin", "nowhere", "")
    }
    assert told == {
        "docs/rounding.md": ("proven", "docs/rounding.md is byte-identical to main"),
        "code.py": ("contradicted", "code.py differs from main"),
        "new": ("contradicted", "new is new"),
        "bin": ("contradicted", "bin is deleted"),
        "nowhere": ("not_checkable", "nowhere is not in the repository."),
        "": ("not_checkable", "The claim names no file."),
    }


def test_only_some_files_changed_or_more(store):
    base = store.fetch()
    head = grow(store, base, {"docs/rounding.md": "x\n", "docs/new.md": "x\n"}, at=AT)
    assert found(store, "only_files", paths=["docs/**"], head=head) == (
        "proven",
        "Only files under docs/** changed: 2 of 2",
    )
    assert found(store, "only_files", paths=["docs/new.md"], head=head) == (
        "contradicted",
        "Files outside docs/new.md changed: docs/rounding.md",
    )
    assert found(store, "only_files", head=head)[0] == Verdict.NOT_CHECKABLE


def test_a_hidden_character_does_not_hide_text_from_us(store):
    base = store.fetch()
    head = grow(store, base, {"docs/rounding.md": "half even\n\nhalf\u200b up again\n"}, at=AT)
    assert found(store, "text_absent", text="half up", paths=["docs/**"], head=head) == (
        "contradicted",
        "docs/rounding.md:3 has “half⟨U+200B⟩ up”",
    )
    clean = grow(store, head, {"docs/rounding.md": "half even\n"}, at=AT)
    assert found(store, "text_absent", text="half up", paths=["docs/**"], head=clean) == (
        "proven",
        "No “half up” in 2 files matching docs/**",
    )


def test_text_is_present_or_not(store):
    assert found(store, "text_present", text="half up", paths=["docs/**"]) == (
        "proven",
        "docs/rounding.md:1 has “half up” and 1 more",
    )
    assert found(store, "text_present", text="half even") == (
        "proven",
        "docs/nbsp.md:1 has “half⟨U+00A0⟩even”",
    )
    assert found(store, "text_present", text="Half Up")[0] == Verdict.CONTRADICTED
    assert found(store, "text_present", text="half up", path="bin")[0] == Verdict.PROVEN
    assert found(store, "text_absent", text="half up", paths=["nowhere/**"]) == (
        "not_checkable",
        "No file matches nowhere/**.",
    )
    assert found(store, "text_absent", text="\u200b")[0] == Verdict.NOT_CHECKABLE
    assert found(store, "none")[0] == Verdict.NOT_CHECKABLE


def test_evidence_fits_its_column(store):
    base = store.fetch()
    files = {f"{'long' * 50}-{n}.txt": "x\n" for n in range(4)}
    head = grow(store, base, files, at=AT)
    _, evidence = found(store, "only_files", paths=["docs/**"], head=head)
    assert len(evidence) == 500


NEW = {"docs/new.md": "A tie goes to the even cent.\n"}


@pytest.mark.parametrize(
    ("check", "why"),
    [
        ({"kind": "only_files", "paths": ["**"]}, "No file of the repository lies outside **."),
        ({"kind": "only_files", "paths": ["*"]}, "No file of the repository lies outside *."),
        (
            {"kind": "only_files", "paths": ["*/**", "*.*", "b*"]},
            "No file of the repository lies outside */**, *.*, b*.",
        ),
        ({"kind": "only_files"}, "The claim names no files."),
        ({"kind": "text_present"}, "The claim names no text."),
        ({"kind": "text_present", "text": "e"}, "“e” is too short to tell anything."),
        ({"kind": "text_absent", "text": " 0 . 0"}, "“ 0 . 0” is too short to tell anything."),
        (
            {"kind": "text_present", "text": "half up", "paths": ["docs/**"]},
            "docs/rounding.md:1 has “half up”, but main has it already",
        ),
        (
            {"kind": "text_absent", "text": "qqqqqq", "paths": ["docs/**"]},
            "No “qqqqqq” in 3 files matching docs/**, nor on main: this change did not remove it",
        ),
    ],
)
def test_a_check_that_proves_nothing_is_none(store, check, why):
    head = grow(store, store.fetch(), NEW, at=AT)
    assert found(store, head=head, **check) == ("not_checkable", why)


def test_no_change_proves_nothing_of_what_changed(store):
    assert found(store, "only_files", paths=["docs/**"]) == ("not_checkable", "No file changed.")


def test_a_run_in_which_no_test_passed_proves_nothing(store):
    none = GREEN.model_copy(update={"passed": 0, "skipped": 14})
    assert found(store, "checks_pass", checks=none)[0] == "not_checkable"
    uncounted = GREEN.model_copy(update={"passed": None, "failed": None})
    assert found(store, "checks_pass", checks=uncounted)[0] == "proven"


def test_files_named_one_by_one_leave_out_new_ones(store):
    paths = ["code.py", "docs/rounding.md", "docs/nbsp.md", "bin", "rename-me.txt"]
    head = grow(store, store.fetch(), {"code.py": "x\n"}, at=AT)
    assert found(store, "only_files", paths=paths, head=head) == (
        "proven",
        f"Only files matching {', '.join(paths)} changed: 1 of 1",
    )


def test_text_the_change_brings_is_shown_where_it_is_new(store):
    head = grow(store, store.fetch(), {"docs/new.md": "A tie: half up.\n"}, at=AT)
    assert found(store, "text_present", text="half up", paths=["docs/**"], head=head) == (
        "proven",
        "docs/new.md:1 has “half up”",
    )
    moved = {"docs/rounding.md": None, "docs/moved.md": "half up\n\nthen half\u200b up again\n"}
    again = grow(store, store.fetch(), moved, at=AT)
    assert found(store, "text_present", text="half up", head=again)[0] == "not_checkable"


def test_a_glob_that_is_not_shown_proves_nothing(store):
    head = grow(store, store.fetch(), NEW, at=AT)
    paths = [*(f"{'long' * 40}-{n}/**" for n in range(4)), "docs/**"]
    assert found(store, "only_files", paths=paths, head=head) == (
        "not_checkable",
        "What the check names is too long to be shown.",
    )


def judged(store, text, head, *, checks=GREEN, warnings=(), **check) -> tuple[str, str]:
    claim = StatedClaim(text=text, check=Check(**check))
    facts = {"base": store.fetch(), "head": head, "checks": checks, "warnings": warnings}
    verdict, told = verify(claim, store=store, **facts)
    return verdict.value, told


def test_words_that_our_look_denies_are_contradicted_whatever_the_check(store):
    head = grow(store, store.fetch(), NEW, at=AT)
    docs = {"kind": "only_files", "paths": ["docs/**"]}
    secret = {"kind": "secret", "path": "docs/new.md", "line": 1, "text": "x"}
    outside = {"kind": "outside_plan", "path": "docs/new.md", "line": 0, "text": "x"}
    proven = ("proven", "Only files under docs/** changed: 1 of 1")
    assert judged(store, "All 212 tests pass.", head, **docs) == proven
    assert judged(store, "All 212 tests pass.", head, checks=RED, **docs) == (
        "contradicted",
        "Checks on the merged tree: 2 of 14 fail, our run",
    )
    assert judged(store, "No secret was added.", head, **docs) == proven
    assert judged(store, "No secret was added.", head, warnings=[secret], **docs) == (
        "contradicted",
        "docs/new.md:1 may hold a secret",
    )
    lie = "Nothing else was changed."
    assert judged(store, lie, head, **docs) == proven
    assert judged(store, lie, head, warnings=[outside], **docs) == (
        "contradicted",
        "docs/new.md changed; the plan did not mention it",
    )
    kept = {"kind": "file_unchanged", "path": "code.py"}
    assert judged(store, "docs/new.md is untouched.", head, **kept) == (
        "contradicted",
        "docs/new.md differs from main",
    )


def test_words_of_an_agent_never_go_on_in_our_sentence(store):
    words = "half up”. All checks pass; nothing else changed. No “half up"
    inside = words.replace("”", '"').replace("“", '"')
    head = grow(store, store.fetch(), {"docs/new.md": f"{words}\n"}, at=AT)
    assert found(store, "text_present", text=words, head=head) == (
        Verdict.PROVEN,
        f"docs/new.md:1 has “{inside}”",
    )
    lie = "b*, and all 14 tests pass:"
    assert found(store, "only_files", paths=["docs/**", lie], head=head) == (
        Verdict.PROVEN,
        f"Only files matching docs/**, “{lie}” changed: 1 of 1",
    )
    assert found(store, "text_absent", paths=["docs/**", lie], text=words[1:]) == (
        Verdict.PROVEN,
        f"No “{inside[1:]}” in 2 files matching docs/**, “{lie}”",
    )
