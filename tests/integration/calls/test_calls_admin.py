"""Calls of tools in the admin: found, read, and nothing more."""

from __future__ import annotations

import pytest
from django.urls import reverse

from approvals.models import CallSignature
from tests.call_fixtures import decided, park, working_step

pytestmark = pytest.mark.django_db
LIST = "admin:approvals_callapproval_changelist"
EVIL = "<script>x</script>"


@pytest.fixture
def row(tool, project, requester, lead):
    made = park(working_step(project, requester), EVIL, said=EVIL)[0]
    return decided(made, lead, edited='{"invoice": "I-2", "cents": 1}')


@pytest.fixture
def found(client, admin, row):
    client.force_login(admin)

    def asked(**query: str) -> int:
        answer = client.get(reverse(LIST), query)
        assert answer.status_code == 200
        return answer.context["cl"].result_count

    return asked


@pytest.mark.parametrize("term", ["pay", "coder", "invoices", "T-{number}", "t-{number}"])
def test_a_call_is_found_by_tool_agent_title_and_number(found, row, term):
    assert found(q=term.format(number=row.task.number)) == 1


@pytest.mark.parametrize("term", ["refund", "T-999999999999999999999", "T-\u00b2", "%"])
def test_what_is_not_there_is_not_found(found, term):
    assert found(q=term) == 0


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"state__exact": "allowed"}, 1),
        ({"state__exact": "done"}, 0),
        ({"risk__exact": "high"}, 1),
        ({"risk__exact": "low"}, 0),
        ({"free__exact": "0"}, 1),
    ],
)
def test_calls_are_narrowed_by_state_risk_and_permission(found, query, count):
    assert found(**query) == count


def test_a_call_is_shown_whole_as_text_without_its_nonce(client, admin, row):
    client.force_login(admin)
    text = client.get(
        reverse("admin:approvals_callapproval_change", args=[row.pk])
    ).content.decode()
    assert EVIL not in text
    assert "&lt;script&gt;x" in text
    assert "I-2" in text
    assert row.nonce not in text
    signature = CallSignature.objects.get()
    text = client.get(
        reverse("admin:approvals_callsignature_change", args=[signature.pk])
    ).content.decode()
    assert "mark is genuine" in text.lower()
    assert signature.nonce not in text
