"""Eight tech leads at eight browsers decide the same approval at once: one of them, every time."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

import pytest

from tests.bench import _race
from tests.bench.decisions import QUICK
from tests.web_process import web

pytestmark = pytest.mark.django_db(transaction=True)


def test_of_eight_at_once_over_http_exactly_one_decides(project, tmp_path):
    """The 2,000 rounds are `python -m tests.bench.decisions`; these are the same, but fewer."""
    requester, leads = _race.people(project)
    approvals = _race.sealed(project, requester, QUICK)
    assert len(approvals) == QUICK
    # The sessions were made here, with the secret of this run.
    with web(tmp_path, COUNTERSIGN_DATA_DIR=os.environ["COUNTERSIGN_DATA_DIR"]) as address:
        outcome = _race.run(approvals, leads, urlsplit(address).port)
    assert outcome.not_one_winner == 0, outcome.answers
    assert outcome.answers[409] == QUICK * (_race.CLIENTS - 1)
    assert outcome.wrong == []
