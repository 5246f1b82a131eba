"""A real tool server that pays, and its tool."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.call_fixtures import make_tool, waiting_call
from tests.tool_server import PayServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agents.models import Tool
    from approvals.models import CallApproval


@pytest.fixture
def server() -> Iterator[PayServer]:
    with PayServer() as started:
        yield started


@pytest.fixture
def tool(server, project) -> Tool:
    return make_tool(server.url)


@pytest.fixture
def waiting(tool, project, requester, lead) -> CallApproval:
    return waiting_call(project, requester)
