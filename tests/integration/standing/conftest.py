"""A real tool server that pays, and a standing grant for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.call_fixtures import make_tool
from tests.standing_fixtures import standing_grant
from tests.tool_server import PayServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agents.models import Tool
    from approvals.models import StandingGrant


@pytest.fixture
def server() -> Iterator[PayServer]:
    with PayServer() as started:
        yield started


@pytest.fixture
def tool(server, project) -> Tool:
    return make_tool(server.url)


@pytest.fixture
def grant(tool, project, requester, lead) -> StandingGrant:
    return standing_grant(project, requester, lead)
