"""A call of high risk is allowed by who types its task's label, where one permission is enough."""

from __future__ import annotations

import pytest
from psycopg.types.json import Jsonb

from approvals import policies
from approvals.calls import carrying
from approvals.calls.undoing import undo
from approvals.canonical import digest_of
from approvals.models import CallApproval, CallSignature, StandingGrant
from approvals.policies import Rule
from approvals.requirements import Required
from approvals.standing.granting import Asked
from projects.exceptions import InvalidInput
from projects.models import AuditEntry
from tests.api_fixtures import by_session
from tests.approval_fixtures import past_triggers
from tests.call_fixtures import decided, park, waiting_call, working_step
from tests.standing_fixtures import BEGINS, asks, let_any, remembered

pytestmark = pytest.mark.django_db

OTHER = '{"invoice": "I-2", "cents": 5}'


def now(row: CallApproval) -> CallApproval:
    return CallApproval.objects.select_related("task").get(pk=row.pk)


def is_typed(row: CallApproval) -> bool:
    return Required.sealed(row.snapshot).typed


def posted(client, row: CallApproval, **fields: str):
    form = {"digest": row.digest, "nonce": row.nonce, "verdict": "allow", **fields}
    return client.post(f"/calls/{row.pk}/decide", form)


@pytest.mark.parametrize("edited", ["", OTHER])
@pytest.mark.parametrize("typed", ["", " ", "yes", "T-", "T-0", "\0", "\ud800", "T-1\n2"])
def test_it_is_not_allowed_without_its_label(waiting, lead, typed, edited):
    assert (waiting.risk, is_typed(waiting)) == ("high", True)
    label = waiting.task.label
    with pytest.raises(InvalidInput, match=f"type {label} to allow it. Nothing") as refused:
        decided(waiting, lead, confirmation=typed, edited=edited)
    assert refused.value.field == "confirmation"
    assert now(waiting).state == "pending"
    assert not CallSignature.objects.exists()
    assert carrying.make_due("effects") == 0


@pytest.mark.parametrize("edited", ["", OTHER])
@pytest.mark.parametrize("way", [str, str.lower, " {}\n".format])
def test_it_is_allowed_with_its_label_in_any_case_and_blanks(waiting, lead, way, edited):
    decided(waiting, lead, confirmation=way(waiting.task.label), edited=edited)
    assert now(waiting).state == "allowed"
    assert AuditEntry.objects.get(action="call.allow").detail["typed"] is True


def test_the_label_of_another_task_allows_nothing(waiting, project, requester, lead):
    (other,) = park(working_step(project, requester), "I-2")
    for typed in (other.task.label, f"{waiting.task.label}0"):
        with pytest.raises(InvalidInput):
            decided(waiting, lead, confirmation=typed)
    assert now(waiting).state == "pending"


def test_it_is_refused_without_typing_anything(waiting, lead):
    decided(waiting, lead, "refuse", note="Not today.", confirmation="")
    assert now(waiting).state == "refused"
    assert "typed" not in AuditEntry.objects.get(action="call.refuse").detail


def test_a_tool_that_may_be_called_again_or_only_reads_asks_for_nothing_typed(
    tool, project, requester, lead
):
    for facts in ({"idempotent": True}, {"read_only": True, "asks": "always"}):
        for name, value in facts.items():
            setattr(tool, name, value)
        tool.save()
        (row,) = park(working_step(project, requester), "I-1")
        assert "typed_confirmation" not in row.snapshot["policy"]
        assert decided(row, lead, confirmation="").state == "allowed"
    assert "typed" not in AuditEntry.objects.filter(action="call.allow").last().detail


def test_a_second_signer_is_the_confirmation(tool, project, requester, lead, second_lead):
    policies.change(project, by=lead, rules=[Rule(name="Two", tools=["*/*"], signatures_needed=2)])
    (row,) = park(working_step(project, requester), "I-1")
    assert not is_typed(row)
    decided(row, lead, confirmation="")
    assert decided(row, second_lead, confirmation="").state == "allowed"


def test_a_policy_that_does_not_ask_asks_for_nothing(waiting, project, requester, lead):
    policies.change(project, by=lead, typed_confirmation=False)
    (later,) = park(working_step(project, requester), "I-2")
    assert (is_typed(waiting), is_typed(later)) == (True, False)
    assert decided(later, lead, confirmation="").state == "allowed"
    with pytest.raises(InvalidInput):
        decided(waiting, lead, confirmation="")


def test_what_was_sealed_before_is_shown_allowed_and_made(client, waiting, server, lead):
    older = {**waiting.snapshot, "policy": {**waiting.snapshot["policy"]}}
    del older["policy"]["typed_confirmation"]
    past_triggers(
        "UPDATE approvals_callapproval SET snapshot = %s, digest = %s WHERE id = %s",
        *(Jsonb(older), digest_of(older), waiting.pk),
    )
    client.force_login(lead)
    assert 'name="confirmation"' not in client.get(f"/calls/{waiting.pk}").text
    assert posted(client, now(waiting)).status_code == 302
    assert carrying.make_due("effects") == 1
    assert len(server.calls) == 1
    assert now(waiting).state == "done"


def test_what_was_undone_is_typed_anew(tool, project, requester, lead):
    policies.change(project, by=lead, call_undo_seconds=60)
    again = undo(decided(waiting_call(project, requester), lead).pk, by=lead)
    assert is_typed(again)
    with pytest.raises(InvalidInput):
        decided(again, lead, confirmation="")
    assert decided(again, lead).state == "allowed"


def test_what_is_remembered_is_typed_once_and_goes_through_then(tool, project, requester, lead):
    let_any(project, lead)
    (row,) = park(working_step(project, requester), "I-1")
    with pytest.raises(InvalidInput, match="to allow it"):
        decided(row, lead, remember=Asked(widened=BEGINS), confirmation="")
    assert not StandingGrant.objects.exists()
    remembered(row, lead)
    (through,) = asks(project, requester, "I-2")
    assert (through.state, is_typed(through)) == ("allowed", True)


def test_the_page_asks_for_it_and_keeps_what_was_typed_besides(client, waiting, lead):
    client.force_login(lead)
    page = client.get(f"/calls/{waiting.pk}").text
    assert page.count(f'data-confirms="{waiting.task.label}"') == 1  # nothing is remembered here
    answer = posted(client, waiting, note="It is due.", verdict="edit", arguments=OTHER)
    assert answer.status_code == 400
    assert f"type {waiting.task.label} to allow it" in answer.text
    assert ">It is due.</textarea>" in answer.text
    assert "&quot;I-2&quot;" in answer.text
    assert posted(client, waiting, confirmation="T-0").status_code == 400
    assert not CallSignature.objects.exists()
    label = waiting.task.label.lower()
    assert posted(client, waiting, confirmation=f" {label} ").status_code == 302
    assert now(waiting).state == "allowed"


def test_what_else_is_wrong_is_said_first(waiting, lead):
    with pytest.raises(InvalidInput) as refused:
        decided(waiting, lead, edited='{"cents": "all"}', confirmation="")
    assert refused.value.field == "arguments"


def test_the_page_of_what_can_be_repeated_has_no_such_field(client, tool, project, requester, lead):
    tool.idempotent = True
    tool.save()
    (row,) = park(working_step(project, requester), "I-1")
    client.force_login(lead)
    assert 'name="confirmation"' not in client.get(f"/calls/{row.pk}").text
    assert posted(client, row).status_code == 302


def test_the_api_says_what_is_typed_and_names_it_where_it_is_missing(waiting, lead):
    caller, path = by_session(lead), f"/api/v1/calls/{waiting.pk}"
    read = caller("GET", path).json()
    assert read["policy"]["typed_confirmation"] is True
    given = {"digest": read["digest"], "nonce": read["nonce"], "verdict": "allow"}
    for typed in ({}, {"confirmation": ""}, {"confirmation": "T-0"}):
        answer = caller("POST", f"{path}/decision", given | typed)
        assert answer.status_code == 400
        assert answer.headers["Content-Type"] == "application/problem+json"
        told = answer.json()["errors"]
        assert told.keys() == {"confirmation"}
        assert f"type {waiting.task.label} to allow it" in str(told)
    for wrong in ("\0", "T" * 61, 12, None):
        answer = caller("POST", f"{path}/decision", given | {"confirmation": wrong})
        assert answer.status_code == 400, wrong
    label = {"confirmation": read["task"]["label"]}
    assert caller("POST", f"{path}/decision", given | label).status_code == 201
