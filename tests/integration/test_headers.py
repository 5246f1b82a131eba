"""What every answer carries, so that nothing sealed stays in a cache."""

from __future__ import annotations

import contextlib

import pytest


@pytest.mark.parametrize("path", ["/inbox", "/api/v1/tasks", "/admin/", "/nothing-here"])
def test_no_page_stays_in_a_cache(client, lead, path) -> None:
    client.force_login(lead)
    answer = client.get(path)
    assert "no-store" in answer["Cache-Control"] or "no-cache" in answer["Cache-Control"]
    assert "private" in answer["Cache-Control"]
    assert "camera=()" in answer["Permissions-Policy"]


def test_static_files_may_be_cached(client, db) -> None:
    with contextlib.closing(client.get("/static/css/tokens.css")) as answer:
        assert answer.status_code == 200
        assert "no-store" not in answer.get("Cache-Control", "")
