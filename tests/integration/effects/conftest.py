"""One sealed change on a repository of its own, and the same change signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from approvals import policies, sealing
from tests.approval_fixtures import approve, make_change, make_repository
from tests.holding_fixtures import fall_stale

if TYPE_CHECKING:
    from pathlib import Path

    from approvals.models import Approval, Effect


@pytest.fixture
def bare(project, lead, tmp_path) -> Path:
    policies.change(project, by=lead, undo_seconds=0)
    return make_repository(tmp_path, project)


@pytest.fixture
def approval(project, requester, lead, bare, tmp_path) -> Approval:
    return sealing.seal(make_change(project, requester, tmp_path))


@pytest.fixture
def approved(approval, lead) -> Effect:
    return approve(approval, lead)


@pytest.fixture
def stale(approved, bare) -> Approval:
    """It was approved; then main moved in another file."""
    fall_stale(approved.approval, bare)
    return approved.approval
