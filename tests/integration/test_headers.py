"""What every answer carries, so that nothing sealed stays in a cache."""

from __future__ import annotations

import contextlib
import re
from importlib.metadata import packages_distributions
from pathlib import Path
from urllib.parse import urljoin

import pytest
from django.apps import apps
from django.contrib.staticfiles import finders
from django.templatetags.static import static

from countersign import scripts, sheets
from countersign.assets import PACKAGES, digest_of


@pytest.mark.parametrize("path", ["/inbox", "/api/v1/tasks", "/admin/", "/nothing-here"])
def test_no_page_stays_in_a_cache(client, lead, path) -> None:
    client.force_login(lead)
    answer = client.get(path)
    assert "no-store" in answer["Cache-Control"] or "no-cache" in answer["Cache-Control"]
    assert "private" in answer["Cache-Control"]
    assert "camera=()" in answer["Permissions-Policy"]


def test_static_files_are_kept_for_ever_under_a_name_that_changes_with_them(client, db) -> None:
    url = static("css/tokens.css")
    assert re.fullmatch(r"/static/[0-9a-f]{12}/css/tokens\.css", url)
    with contextlib.closing(client.get(url)) as answer:
        assert answer.status_code == 200
        assert answer["Cache-Control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize("folder", ["", "0123456789ab/"])
def test_other_addresses_of_static_files_are_served_but_not_kept(client, db, folder) -> None:
    url = f"/static/{folder}css/tokens.css"
    with contextlib.closing(client.get(url)) as answer:
        assert answer.status_code == 200
        assert answer["Cache-Control"] == "no-cache"
        assert "text/css" in answer["Content-Type"]
        seen = answer["Last-Modified"]
    with contextlib.closing(client.get(url, headers={"if-modified-since": seen})) as answer:
        assert (answer.status_code, answer["Cache-Control"]) == (304, "no-cache")


@pytest.mark.parametrize(
    "path",
    ["0123456789ab/nothing.css", "0123456789/css/tokens.css", "x/css/tokens.css", "../manage.py"],
)
def test_what_is_no_static_file_is_not_served_nor_kept(client, db, path) -> None:
    for url in (f"/static/{path}", static(path)):
        answer = client.get(url)
        assert answer.status_code == 404
        assert "no-store" in answer["Cache-Control"]


def body(client, url, **asked) -> tuple[int, str, str]:
    with contextlib.closing(client.get(url, **asked)) as answer:
        content = answer.getvalue() if answer.status_code == 200 else b""
        return answer.status_code, answer.get("Cache-Control", ""), content.decode()


def test_style_files_of_a_page_are_served_as_one_in_order(client, db) -> None:
    parts = [body(client, static(f"css/{name}.css"))[2] for name in ("tokens", "diff", "lines")]
    url = static("css/tokens-diff-lines.css")
    assert body(client, url) == (200, "public, max-age=31536000, immutable", "".join(parts))
    assert "text/css" in client.get(url)["Content-Type"]
    assert client.head(url).status_code == 200
    refused = client.post(url)
    assert refused.status_code == 405
    assert "immutable" not in refused.get("Cache-Control", "")


@pytest.mark.parametrize("folder", ["", "0123456789ab/"])
def test_a_page_of_before_an_upgrade_has_those_of_its_styles_that_are_left(
    client, db, folder
) -> None:
    url = f"/static/{folder}css/tokens-nothing-lines.css"
    parts = [body(client, static(f"css/{name}.css"))[2] for name in ("tokens", "lines")]
    assert body(client, url) == (200, "no-cache", "".join(parts))


def test_a_long_name_is_not_looked_for(client, db, monkeypatch) -> None:
    looked_for = []
    monkeypatch.setattr(sheets.finders, "find", looked_for.append)
    many = "-".join("a" * each for each in range(1, 40))
    for name in (many, "a-" * 30 + "b", "tokens-tokens"):
        assert sheets.text_of(f"css/{name}.css", whole=False) is None
    assert looked_for == []


@pytest.mark.parametrize(
    "name", ["tokens-nothing", "tokens-tokens", "tokens--diff", "-tokens", "tokens-../diff"]
)
def test_what_joins_no_style_files_is_not_served(client, db, name) -> None:
    assert client.get(static(f"css/{name}.css")).status_code == 404


def test_a_script_is_served_as_one_with_each_module_it_needs_before_itself(client, db) -> None:
    url = static("js/console-whole.js")
    status, kept, text = body(client, url)
    assert (status, kept) == (200, "public, max-age=31536000, immutable")
    assert "text/javascript" in client.get(url)["Content-Type"]
    assert client.post(url).status_code == 405
    modules = re.findall(r"^const ([a-z]+)_ = \(\(\) => {$", text, re.M)
    folder = Path(finders.find("js/console.js") or "").parent
    assert sorted(modules) == sorted({each.stem for each in folder.glob("*.js")} - {"early"})
    assert modules[-1] == "console"
    assert modules.index("queue") < modules.index("rows") < modules.index("live")
    assert body(client, "/static/0123456789ab/js/console-whole.js") == (200, "no-cache", text)
    assert client.get(static("js/nothing-whole.js")).status_code == 404


@pytest.mark.parametrize(
    "texts",
    [
        {"a": 'import { b } from "./b.js";\n', "b": 'import { a } from "./a.js";\n'},
        {"a": 'import b from "./b.js";\n', "b": ""},
        {"a": "export default 1;\n"},
        {"a": "export { a };\n"},
    ],
)
def test_what_cannot_be_joined_is_not_served_half(settings, tmp_path, texts) -> None:
    (tmp_path / "js").mkdir()
    for name, text in texts.items():
        (tmp_path / "js" / f"{name}.js").write_text(text)
    settings.STATICFILES_DIRS = [tmp_path]
    finders.get_finder.cache_clear()
    try:
        with pytest.raises(ValueError, match=r"imports itself|cannot be joined"):
            scripts.text_of("js/a-whole.js")
    finally:
        finders.get_finder.cache_clear()


def test_every_package_that_brings_static_files_counts_for_the_digest() -> None:
    known = packages_distributions()
    named = {
        name
        for app in apps.get_app_configs()
        if app.name != "countersign" and (Path(app.path) / "static").is_dir()
        for name in known[app.name.partition(".")[0]]
    }
    assert {"django", "django-htmx"} <= {name.lower().replace("_", "-") for name in named}
    assert {name.lower().replace("_", "-") for name in named} == set(PACKAGES)


def test_what_modules_and_styles_name_lies_beside_them(client, db) -> None:
    for name, pattern in (
        ("js/console.js", r'from "([^"]+)"'),
        ("css/tokens.css", r'url\("([^"]+)"\)'),
        ("admin/js/SelectBox.js", None),
        ("drf_spectacular_sidecar/swagger-ui-dist/swagger-ui.css", None),
    ):
        url = static(name)
        with contextlib.closing(client.get(url)) as answer:
            assert answer.status_code == 200, name
            text = b"".join(answer).decode()
        named = re.findall(pattern, text) if pattern else []
        assert named or not pattern
        for each in named:
            with contextlib.closing(client.get(urljoin(url, each))) as answer:
                assert answer.status_code == 200, each


def test_any_change_of_a_file_or_its_name_changes_the_digest(tmp_path) -> None:
    (tmp_path / "js").mkdir()
    seen = {digest_of(tmp_path)}
    (tmp_path / "js" / "one.js").write_text("1")
    seen.add(digest_of(tmp_path))
    (tmp_path / "js" / "one.js").write_text("2")
    seen.add(digest_of(tmp_path))
    (tmp_path / "js" / "one.js").rename(tmp_path / "one.js")
    seen.add(digest_of(tmp_path))
    seen.add(digest_of(tmp_path, ()))
    assert len(seen) == 5
    assert digest_of(tmp_path) in seen
