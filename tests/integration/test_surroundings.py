"""Lines around a change: of the sealed blobs, in bounded pieces, for whoever may read the review."""

from __future__ import annotations

import os
import re
import shutil
from html import unescape

import pytest

from approvals import sealing, surroundings
from projects.exceptions import InvalidInput
from tests.approval_fixtures import edits, make_change, make_repository, move_main

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


@pytest.fixture
def bare(project, tmp_path, settings):
    settings.DATA_DIR = tmp_path / "data"
    return make_repository(tmp_path, project)


@pytest.fixture
def long(bare):
    """Let a file of main have 200 lines."""
    text = "".join(f"line {number}\n" for number in range(1, 201))
    move_main(bare, "billing/invoice.py", text)
    return text


def put_up(project, requester, tmp_path, text):
    return sealing.seal(
        make_change(project, requester, tmp_path, texts={"billing/invoice.py": text})
    )


@pytest.fixture
def approval(project, requester, lead, tmp_path, long):
    text = long.replace("line 100\n", "line hundred\nand more\n").replace("line 120\n", "")
    return put_up(project, requester, tmp_path, text)


def hunks_of(approval):
    return [hunk["id"] for hunk in approval.snapshot["files"][0]["hunks"]]


def rows_of(html: str) -> list[tuple[int, int, str]]:
    """Return the number on main, the proposed one and the text of each row."""
    found = []
    for row in html.split('<div class="diff-row"')[1:]:
        numbers = [int(each) for each in re.findall(r'data-n="(\d+)"', row)]
        code = re.findall(r"<code[^>]*>(.*?)</code>", row)
        found.append((*numbers, unescape(code[-1])))
    return found


def ask(client, approval, headers=None, **query):
    url = f"/review/{approval.task.label}/r1/around"
    return client.get(url, query, headers=headers or HTMX)


def test_a_page_offers_the_lines_that_are_there(client, lead, approval) -> None:
    client.force_login(lead)
    html = client.get(f"/review/{approval.task.label}/r1").content.decode()
    assert re.findall(r"Show [\w ,]*lines? \w+", html) == [
        "Show 40 of 96 lines above",
        "Show 13 lines above",
        "Show lines below",
    ]


def test_lines_above_come_piece_by_piece_with_both_numbers(client, lead, approval) -> None:
    client.force_login(lead)
    first = hunks_of(approval)[0]
    seen, at = [], 96
    while at:
        html = ask(client, approval, hunk=first, way="above", at=at).content.decode()
        seen = rows_of(html) + seen
        more = re.search(r"way=above&amp;at=(\d+)", html)
        at = int(more[1]) if more else 0
    assert seen == [(number, number, f"line {number}") for number in range(1, 97)]


def test_lines_between_and_below_are_numbered_as_on_main_and_as_proposed(
    client, lead, approval
) -> None:
    client.force_login(lead)
    second = hunks_of(approval)[1]
    html = ask(client, approval, hunk=second, way="above", at=117).content.decode()
    assert rows_of(html) == [(at, at + 1, f"line {at}") for at in range(104, 117)]
    assert "way=above" not in html
    seen, at = [], 124
    while at:
        html = ask(client, approval, hunk=second, way="below", at=at).content.decode()
        seen += rows_of(html)
        more = re.search(r"way=below&amp;at=(\d+)", html)
        at = int(more[1]) if more else 0
    assert seen == [(at, at, f"line {at}") for at in range(124, 201)]


def test_main_may_move_and_the_lines_are_those_that_are_sealed(
    client, lead, approval, bare
) -> None:
    move_main(bare, "billing/invoice.py", "nothing of before\n")
    client.force_login(lead)
    html = ask(client, approval, hunk=hunks_of(approval)[0], way="above", at=96).content.decode()
    assert rows_of(html)[-1] == (96, 96, "line 96")


def test_without_scripts_the_lines_are_a_page_with_a_way_back(client, lead, approval) -> None:
    client.force_login(lead)
    first = hunks_of(approval)[0]
    plain = {"Accept": "text/html"}
    html = ask(client, approval, plain, hunk=first, way="above", at=96).content.decode()
    assert "<!doctype html>" in html.lower()
    assert f"/r1#h-{first}" in html
    assert len(rows_of(html)) == surroundings.AT_ONCE


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"way": "above", "at": "96"},
        {"hunk": "other", "way": "above", "at": "96"},
        {"way": "above", "at": "0"},
        {"way": "above", "at": "97"},
        {"way": "above", "at": "-1"},
        {"way": "above", "at": "²"},
        {"way": "above", "at": "9" * 40},
        {"way": "below", "at": "9999"},
    ],
)
def test_what_is_no_place_of_the_change_is_said(client, lead, approval, query) -> None:
    client.force_login(lead)
    given = {"hunk": hunks_of(approval)[0], **query} if "way" in query else query
    if query == {"way": "above", "at": "96"}:
        given.pop("hunk")
    answer = ask(client, approval, {"Accept": "text/html"}, **given)
    assert answer.status_code == 400
    assert rows_of(answer.content.decode()) == []


def test_nothing_is_below_a_hunk_that_another_follows(approval) -> None:
    first, second = hunks_of(approval)
    file = approval.snapshot["files"][0]
    for hunk, gap in ((first, 0), (second, 1)):
        last = surroundings.gap_above(file, gap).last
        with pytest.raises(InvalidInput):
            surroundings.read(approval, hunk, last, below=True)


def test_others_are_not_told_that_it_is_there(client, stranger, approval) -> None:
    client.force_login(stranger)
    given = {"hunk": hunks_of(approval)[0], "way": "above", "at": "96"}
    assert ask(client, approval, **given).status_code == 404


def test_what_cannot_be_seen_is_marked_around_a_change_too(
    client, project, requester, lead, tmp_path, bare
) -> None:
    text = "".join(f"line {number}\n" for number in range(1, 41)).replace("line 5", "half\u200bup")
    move_main(bare, "billing/invoice.py", text.replace("line 7", "<script>alert(1)</script>"))
    text = text.replace("line 7", "<script>alert(1)</script>").replace("line 30", "thirty")
    approval = put_up(project, requester, tmp_path, text)
    client.force_login(lead)
    html = ask(client, approval, hunk=hunks_of(approval)[0], way="above", at=26).content.decode()
    assert "U+200B" in html
    assert "<script>" not in html


def test_lines_that_are_very_long_are_not_drawn(
    client, project, requester, lead, tmp_path, bare
) -> None:
    text = "".join(f"line {number}\n" for number in range(1, 41))
    text = text.replace("line 5", "half\u200b" * 25_000)
    move_main(bare, "billing/invoice.py", text)
    approval = put_up(project, requester, tmp_path, text.replace("line 30", "thirty"))
    client.force_login(lead)
    html = ask(client, approval, hunk=hunks_of(approval)[0], way="above", at=26).content.decode()
    assert "The lines here are too long to be shown around the change." in html
    assert "U+200B" not in html


def test_one_file_is_read_without_a_list_of_all_of_them(
    approval, tmp_path, settings, monkeypatch
) -> None:
    # Where nothing was read of it before, as in another process.
    settings.DATA_DIR = settings.DATA_DIR.rename(tmp_path / "elsewhere")
    asked, program = tmp_path / "asked", tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$1" >> {asked}\nexec {shutil.which("git")} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    found = surroundings.read(approval, hunks_of(approval)[0], 96, below=False)
    assert len(found.texts) == 40
    assert set(asked.read_text().split()) == {"cat-file"}


@pytest.mark.parametrize(("way", "at", "place"), [("above", 96, 0), ("below", 124, 1)])
def test_what_git_could_not_read_can_be_asked_for_again(
    client, lead, approval, bare, way, at, place
) -> None:
    client.force_login(lead)
    hunk = hunks_of(approval)[place]
    stores = surroundings.Store.of(approval.project).git_dir
    gone = stores.rename(stores.with_name("gone"))
    html = ask(client, approval, hunk=hunk, way=way, at=at).content.decode()
    assert re.search(r'role="alert">\s*Git could not read this file', html)
    [again] = re.findall(r'hx-get="([^"]+)"', html)
    assert f'id="more-{way}-{hunk}"' in html
    gone.rename(stores)
    answer = client.get(unescape(again), headers=HTMX).content.decode()
    assert len(rows_of(answer)) == 40
    assert "alert" not in answer


def test_the_end_of_the_file_is_said(client, project, requester, lead, tmp_path, long) -> None:
    approval = put_up(project, requester, tmp_path, long.replace("line 197\n", "other\n"))
    client.force_login(lead)
    hunk = hunks_of(approval)[0]
    assert (
        "The file ends here."
        in ask(client, approval, hunk=hunk, way="below", at=201).content.decode()
    )
    shorter = put_up(project, requester, tmp_path, long.replace("line 199\n", "other\n"))
    assert surroundings.gap_below(shorter.snapshot["files"][0]) is None
    with pytest.raises(InvalidInput):
        surroundings.read(shorter, hunks_of(shorter)[0], 201, below=True)


def test_a_file_that_came_or_went_has_nothing_around(project, requester, tmp_path, bare) -> None:
    texts = {"new.py": "a\nb\nc\nd\n", **edits(line_3="three")}
    approval = sealing.seal(make_change(project, requester, tmp_path, texts=texts))
    new = next(file for file in approval.snapshot["files"] if file["path"] == "new.py")
    assert surroundings.gap_above(new, 0).count == 0
    assert surroundings.gap_below(new) is None
