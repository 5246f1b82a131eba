"""What a browser loads stays small, and what is vendored is what its package holds."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

import pytest

STATIC = Path(__file__).resolve().parents[2] / "static"
TEMPLATES = STATIC.parent / "templates"


def zipped(*patterns: str) -> int:
    files = [path for pattern in patterns for path in sorted(STATIC.glob(pattern))]
    assert files
    return sum(len(gzip.compress(path.read_bytes(), 9)) for path in files)


def styles(template: str, pattern: str) -> list[str]:
    found = re.search(pattern, (TEMPLATES / f"{template}.html").read_text())
    assert found, template
    return found[1].split()


COMMON = styles("shell/page", r"{% styles %}([a-z ]+){%")
OWN = r"{% block styles %}([a-z ]+){%"


def test_scripts_stay_below_60_kb():
    assert zipped("js/*.js", "vendor/*.js") < 60_000


@pytest.mark.parametrize(
    "page",
    [
        "task/task",
        "review/review",
        "review/edit",
        "inbox/inbox",
        "memory/memory",
        "tasks/tasks",
        "new/new",
        "trace/trace",
    ],
)
def test_the_styles_of_a_page_stay_below_14_kb(page):
    names = [*COMMON, *styles(page, OWN)]
    joined = b"".join((STATIC / f"css/{name}.css").read_bytes() for name in names)
    assert len(gzip.compress(joined, 9)) < 14_000


def test_every_style_file_is_of_a_page_and_every_page_names_files_there_are():
    texts = [path.read_text() for path in TEMPLATES.rglob("*.html")]
    named = {
        name
        for text in texts
        for words in re.findall(r"{% (?:block )?styles %}([a-z ]+)", text)
        for name in words.split()
    }
    assert named == {path.stem for path in STATIC.glob("css/*.css")}


def test_fonts_preloaded_stay_below_60_kb():
    sizes = [path.stat().st_size for path in STATIC.glob("fonts/*latin-wght*")]
    assert sum(sizes) < 60_000


def test_vendored_files_have_the_digests_on_record():
    recorded = re.findall(
        r"^([0-9a-f]{64})  (\S+)$", (STATIC / "vendor/VERSIONS").read_text(), re.M
    )
    assert len(recorded) == 6
    for digest, name in recorded:
        content = (STATIC / "vendor" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest, name


def test_every_icon_a_template_names_is_in_the_sprite():
    symbols = set(re.findall(r'<symbol id="([^"]+)"', (STATIC / "icons.svg").read_text()))
    named = {
        name
        for path in TEMPLATES.rglob("*.html")
        for name in re.findall(r'{% icon "([^"]+)"', path.read_text())
    }
    assert named - symbols == set()


def test_no_style_file_is_longer_than_400_lines():
    long = [
        path.name for path in STATIC.glob("css/*.css") if len(path.read_text().splitlines()) > 400
    ]
    assert long == []
