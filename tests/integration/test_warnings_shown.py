"""Warnings on the review page: the gravest first."""

from __future__ import annotations

import re

import pytest

from agents import cautions
from tests import console_fixtures as fixtures

pytestmark = pytest.mark.django_db


def test_what_is_hidden_stands_before_other_warnings_however_it_was_sealed(
    client, project, requester, lead
):
    stored = [
        ("of_later", "", "Something new."),
        *(("outside_plan", f"f{n}", "Not in the plan.") for n in range(5)),
        ("lookalike_character", "docs/rounding.md", "U+0430"),
        ("secret", "docs/rounding.md", "AWS access key"),
        ("hidden_character", "docs/rounding.md", "U+200B"),
    ]
    odd = [cautions.warning(kind, path, 1, text) for kind, path, text in stored]
    odd.append(cautions.warning("more", "", 0, "20 more") | {"left": {"hidden_character": 20}})
    made = fixtures.reviewed_task(project, requester, warnings=odd)
    client.force_login(lead)
    page = client.get(f"/review/T-{made.task.number}/r{made.proposal.round}").content.decode()
    words = ("Hidden character</strong>", "Look-alike letter</strong>", "Not in the plan.")
    places = [page.index(text) for text in (*words, "Something new.", "20 more")]
    assert places == sorted(places)
    assert re.search(r"Hidden characters</dt>\s*<dd[^>]*>22 found", page)
    assert re.search(r"Other warnings</dt>\s*<dd[^>]*>8<", page)
