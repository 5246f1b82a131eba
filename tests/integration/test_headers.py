"""What every answer carries, so that nothing sealed stays in a cache."""

from __future__ import annotations

import contextlib
import re
from urllib.parse import urljoin

import pytest
from django.templatetags.static import static

from countersign.assets import digest_of


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
    assert client.get("/static/css/tokens.css").status_code == 404


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
