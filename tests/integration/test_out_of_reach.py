"""Pages say beforehand what nobody here could sign, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from approvals import policies, sealing
from projects.models import Membership
from tests.approval_fixtures import make_report, make_repository
from tests.call_fixtures import make_tool, waiting_call
from tests.editing_fixtures import checked_anew, editable, put, sign

if TYPE_CHECKING:
    from approvals.models import Approval

pytestmark = pytest.mark.django_db
WARNS = "If what you save raises the risk, somebody who did not edit it must sign, too"
EVEN_ALL = "Even if everybody who may sign here did, it would still need"


@pytest.fixture
def low(project, requester, lead, tmp_path, settings) -> Approval:
    """A change at low risk, in a project of one lead."""
    settings.DATA_DIR = tmp_path / "data"
    make_repository(tmp_path, project)
    project.checks_command = "true"
    project.save()
    policies.change(project, by=lead, money_paths=[], protected_paths=[])
    return editable(project, requester, tmp_path)


def page_of(client, person, address: str) -> str:
    client.force_login(person)
    return " ".join(client.get(address).content.decode().split())


def edit_page(client, person, approval: Approval) -> str:
    return page_of(client, person, f"/review/{approval.task.label}/r1/edit?path=docs/rounding.md")


def test_who_edits_at_low_risk_is_told_that_nobody_else_could_sign(client, low, lead, second_lead):
    Membership.objects.filter(user=second_lead).delete()
    assert low.risk == "low"
    assert WARNS in edit_page(client, lead, low)


def test_nothing_is_said_where_somebody_else_may_sign(client, low, lead, second_lead):
    assert WARNS not in edit_page(client, lead, low)


def test_nothing_is_said_where_who_edits_may_sign_alone(client, low, project, lead):
    policies.change(project, by=lead, editors_alone=True)
    assert WARNS not in edit_page(client, lead, low)


def test_an_edit_that_raised_the_risk_says_that_nobody_could_sign_it_and_is_sent_back(
    client, low, project, lead
):
    put(low, lead)
    policies.change(project, by=lead, money_paths=["docs/**"])
    raised = checked_anew(low)
    assert raised.risk == "medium"
    page = page_of(client, lead, f"/review/{raised.task.label}/r1")
    assert f"{EVEN_ALL} one by somebody who did not edit it." in page
    sign(raised, lead)
    page = page_of(client, lead, f"/review/{raised.task.label}/r1")
    assert EVEN_ALL in page
    assert 'value="request_changes"' in page


def test_more_signatures_than_there_are_people_are_told(
    client, project, requester, lead, second_lead
):
    policies.change(project, by=lead, signatures_needed=3)
    approval = sealing.seal(make_report(project, requester))
    page = page_of(client, lead, f"/review/{approval.task.label}/r1")
    assert f"{EVEN_ALL} one more signature." in page
    make_tool()
    call = waiting_call(project, requester)
    says = "Even if everybody who may allow it here did, it would still need one more signature."
    assert says in page_of(client, lead, f"/calls/{call.pk}")
    Membership.objects.filter(user=requester).update(
        role="lead"
    )  # who asked makes no signature more
    assert EVEN_ALL in page_of(client, lead, f"/review/{approval.task.label}/r1")
