"""Calls of tools outside are decided once, each by itself, by somebody who may."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import IntegrityError, connection, transaction

from agents import holds, stopping
from agents.finishing import settle
from agents.lifecycle import StepState, TaskState, ToolCallState
from agents.models import Event, Grant, Tool, ToolCall
from agents.runtime.contract import Waits
from approvals import policies
from approvals.calls import carrying, ending, sealing
from approvals.calls.exceptions import CallMismatch, CallOver, UnknownCall
from approvals.exceptions import CannotSign
from approvals.models import CallApproval, CallSignature
from projects.exceptions import InvalidInput, NotAllowed
from projects.models import AuditEntry, Membership
from tests.call_fixtures import call, decided, end_time, park, waiting_call, working_step
from tests.waiting_locks import until_somebody_waits

pytestmark = pytest.mark.django_db


def _now(row: CallApproval) -> CallApproval:
    return CallApproval.objects.select_related("call", "step", "task").get(pk=row.pk)


def test_a_call_waits_as_its_agent_asked_for_it(waiting):
    row = _now(waiting)
    assert (row.state, row.call.state) == ("pending", "asked")
    assert (row.step.state, row.task.state) == (StepState.WAITING_HUMAN, TaskState.NEEDS_HUMAN)
    assert json.loads(row.snapshot["arguments"]) == {"invoice": "I-1", "cents": 900}
    assert row.snapshot["said"] == "I pay what is due."
    kinds = row.task.events.values_list("kind", flat=True)
    assert "call.asked" in kinds
    assert AuditEntry.objects.filter(action="call.requested", object_id=str(row.pk)).exists()


def test_a_call_is_sealed_once(waiting):
    assert sealing.seal_waiting() == 0
    assert not sealing.seal(waiting.call_id)
    assert CallApproval.objects.count() == 1


def test_an_allowed_call_is_made_and_its_step_goes_on(waiting, server, lead):
    row = decided(waiting, lead)
    assert row.state == "allowed"
    assert _now(row).task.state == TaskState.WORKING
    assert carrying.make_due("effects") == 1
    row = _now(row)
    assert (row.state, row.call.state, row.call.result) == ("done", "done", "Paid I-1.")
    assert row.step.state == StepState.READY
    assert server.calls == [(str(row.pk), str(row.pk))]
    assert carrying.make_due("effects") == 0


def test_a_refused_call_is_answered_with_the_persons_reason(waiting, server, lead):
    row = _now(decided(waiting, lead, "refuse", note="Not before Friday."))
    assert (row.state, row.call.state, row.step.state) == ("refused", "refused", "ready")
    assert "Dana Kim refused this call" in row.call.result
    assert "Not before Friday." in row.call.result
    assert carrying.make_due("effects") == 0
    assert server.calls == []


def test_refusing_one_leaves_its_siblings_as_they_are(tool, server, project, requester, lead):
    first, second, third = park(working_step(project, requester), "A", "B", "C")
    decided(second, lead, "refuse", note="No.")
    assert {_now(row).state for row in (first, third)} == {"pending"}
    assert _now(first).step.state == StepState.WAITING_HUMAN
    decided(third, lead)
    carrying.make_due("effects")
    assert _now(first).step.state == StepState.WAITING_HUMAN
    decided(first, lead)
    carrying.make_due("effects")
    assert _now(first).step.state == StepState.READY
    assert set(server.paid) == {str(first.pk), str(third.pk)}


def test_a_refusal_needs_a_reason(waiting, lead):
    with pytest.raises(InvalidInput, match="Say why"):
        decided(waiting, lead, "refuse", note=" \u200b ")


def test_changed_arguments_are_the_ones_called(waiting, server, lead):
    row = decided(waiting, lead, edited='{"invoice": "I-2", "cents": 5}')
    assert json.loads(row.snapshot["arguments"])["invoice"] == "I-1"
    carrying.make_due("effects")
    row = _now(row)
    assert row.call.result.endswith("Paid I-2.")
    assert "A person changed the arguments" in row.call.result
    assert server.paid == {str(row.pk): 5}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "one JSON object"),
        ("{", "no JSON"),
        ('{"invoice": "I-1", "cents": "all"}', "cents"),
        ('{"invoice": "I-1", "cents": 1, "more": 1}', "more"),
        ('{"invoice": "I-1", "invoice": "I-2", "cents": 1}', "twice"),
        ('{"invoice": "I-1", "cents": NaN}', "NaN"),
        ('{"invoice": "\\u0000", "cents": 1}', "not text"),
        ("[" * 100_000, "at most"),
        ('{"a":' * 3_000 + "1" + "}" * 3_000, "JSON"),
        ('{"a":' * 40 + "1" + "}" * 40, "nested deeper"),
    ],
)
def test_changed_arguments_must_fit_the_pinned_schema(waiting, lead, text, says):
    with pytest.raises(InvalidInput, match=says):
        decided(waiting, lead, edited=text)
    assert _now(waiting).state == "pending"


def test_the_schema_of_a_tool_is_never_fetched(tool, project, requester, lead):
    tool.input_schema = {"$ref": "http://127.0.0.1:9/schema.json"}
    tool.save()
    (row,) = park(working_step(project, requester), "I-1")
    with pytest.raises(InvalidInput, match="schema cannot be used"):
        decided(row, lead, edited='{"invoice": "I-2"}')


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"invoice": {"pattern": "^(a+)+$"}}},
        {
            "$defs": {
                "0": {"type": "object"},
                **{str(n): {"allOf": [{"$ref": f"#/$defs/{n - 1}"}] * 2} for n in range(1, 40)},
            },
            "$ref": "#/$defs/39",
        },
    ],
    ids=["expression", "references"],
)
def test_a_schema_that_takes_for_ever_is_given_up(tool, project, requester, lead, schema):
    Tool.objects.update(input_schema=schema)
    (row,) = park(working_step(project, requester), "I-1")
    with pytest.raises(InvalidInput, match="longer than 5 seconds"):
        decided(row, lead, edited=json.dumps({"invoice": "a" * 40 + "!"}))
    assert _now(row).state == "pending"


def test_changed_arguments_never_hold_a_secret_of_ours(waiting, lead, settings):
    settings.OPENAI_API_KEY = 'sk-with-"quotes"-12345'
    given = {"invoice": f"I {settings.OPENAI_API_KEY}", "cents": 1}
    with pytest.raises(InvalidInput, match="key or password of Countersign"):
        decided(waiting, lead, edited=json.dumps(given))
    assert _now(waiting).state == "pending"


@pytest.mark.parametrize("who", ["requester", "stranger", "member"])
def test_nobody_decides_who_may_not(waiting, requester, stranger, second_lead, who):
    Membership.objects.filter(user=second_lead).update(role="requester")
    people = {"requester": requester, "stranger": stranger, "member": second_lead}
    with pytest.raises((NotAllowed, UnknownCall)):
        decided(waiting, people[who])
    assert _now(waiting).state == "pending"


def test_a_token_never_decides(waiting, lead):
    with pytest.raises(NotAllowed, match="token"):
        decided(waiting, lead, via="token")


def test_a_process_without_the_key_never_decides(waiting, lead, settings):
    settings.SIGNING_KEY = ""
    with pytest.raises(CannotSign):
        decided(waiting, lead)


def test_the_digest_of_another_call_decides_nothing(tool, project, requester, lead):
    first, second = park(working_step(project, requester), "A", "B")
    for digest, nonce in [
        (second.digest, second.nonce),
        (second.digest, first.nonce),
        (first.digest, second.nonce),
        (f"{first.digest[:-1]}\0", first.nonce),
    ]:
        with pytest.raises(CallMismatch):
            decided(first, lead, digest=digest, nonce=nonce)
    assert _now(first).state == "pending"


def test_a_decision_counts_once(waiting, lead, second_lead):
    decided(waiting, lead)
    for person in (lead, second_lead):
        with pytest.raises(CallOver, match="Dana Kim allowed this"):
            decided(waiting, person, "refuse", note="No.")
    assert CallSignature.objects.count() == 1


def test_nobody_in_time_means_that_nothing_is_called(waiting, server, lead):
    end_time(waiting)
    with pytest.raises(CallOver, match="time to decide is over"):
        decided(waiting, lead)
    assert ending.expire_due() == 1
    row = _now(waiting)
    assert (row.state, row.call.state, row.step.state) == ("expired", "refused", "ready")
    assert "Nobody decided in time" in row.call.result
    assert row.task.state == TaskState.WORKING
    assert server.requests == 0


def test_stopping_the_task_withdraws_what_waits_and_what_was_allowed(
    tool, server, project, requester, lead
):
    first, second = park(working_step(project, requester), "A", "B")
    decided(first, lead)
    stopping.stop(_now(first).task, by=requester)
    with pytest.raises(CallOver, match="stopped"):
        decided(second, lead)
    assert carrying.make_due("effects") == 0
    assert ending.withdraw_stopped() == 2
    assert {_now(row).state for row in (first, second)} == {"withdrawn"}
    assert server.requests == 0


def test_a_held_task_calls_nothing_until_it_goes_on(waiting, server, lead):
    row = decided(waiting, lead)
    hold = holds.place(by=lead, task=row.task)
    assert carrying.make_due("effects") == 0
    holds.lift(hold, by=lead)
    assert carrying.make_due("effects") == 1
    assert len(server.calls) == 1


def test_a_tool_that_needs_no_permission_is_called_without_a_person(
    tool, server, project, requester
):
    tool.read_only = True
    tool.save()
    (row,) = park(working_step(project, requester), "I-1")
    assert (row.state, row.free) == ("allowed", True)
    assert _now(row).task.state == TaskState.WORKING
    assert carrying.make_due("effects") == 1
    assert _now(row).call.result == "Paid I-1."


def test_a_tool_that_always_asks_asks_also_to_read(tool, project, requester):
    tool.read_only, tool.asks = True, "always"
    tool.save()
    (row,) = park(working_step(project, requester), "I-1")
    assert (row.state, row.free) == ("pending", False)


def test_a_tool_no_longer_granted_is_answered_so(tool, project, requester):
    step = working_step(project, requester)
    Grant.objects.all().delete()
    row = call(step, "I-1")
    assert settle(step.attempts.get(), Waits())
    assert sealing.seal_waiting() == 1
    row.refresh_from_db()
    step.refresh_from_db()
    assert (row.state, step.state) == (ToolCallState.REFUSED, StepState.READY)
    assert "not offered" in row.result


def test_arguments_too_long_to_read_are_refused_never_cut(tool, project, requester):
    step = working_step(project, requester)
    deep: dict[str, object] = {}
    for _ in range(40):
        deep = {"deeper": deep}
    rows = [call(step, "x" * 30_000), call(step, "I-1", deep=deep)]
    assert settle(step.attempts.get(), Waits())
    sealing.seal_waiting()
    for row in rows:
        assert "longer than 20,000" in ToolCall.objects.get(pk=row.pk).result
    told = Event.objects.filter(kind="tool.finished").values_list("data__arguments__invoice")
    assert all(len(text) <= 2_000 for (text,) in told)
    assert not CallApproval.objects.exists()


def test_a_call_that_cannot_be_sealed_is_answered_and_holds_up_no_other(
    tool, project, requester, monkeypatch
):
    step = working_step(project, requester)
    first, second = call(step, "A"), call(step, "B")
    assert settle(step.attempts.get(), Waits())
    original = sealing._snapshot

    def break_on_first(held, *arguments, **facts):
        if held.call.pk == first.pk:
            raise KeyError("a fault of ours")
        return original(held, *arguments, **facts)

    monkeypatch.setattr(sealing, "_snapshot", break_on_first)
    assert sealing.seal_waiting() == 2
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == ("failed", "asked")
    assert "Nothing was called" in first.result


def test_the_database_repeats_the_law(waiting, requester, lead):
    row = decided(waiting, lead)
    for statement, by in [
        ("UPDATE approvals_callapproval SET decided_by_id = %s", "requester_never_allows"),
        ("UPDATE approvals_callapproval SET decided_by_id = NULL", "call_decision_has_a_person"),
        ("UPDATE approvals_callapproval SET edited = '{}'", "append-only|refuse|change"),
        ("UPDATE approvals_callapproval SET digest = 'x'", "append-only|refuse|change"),
        ("UPDATE approvals_callsignature SET verdict = 'allow'", "append-only|refuse|change"),
        ("DELETE FROM approvals_callsignature", "append-only|refuse|change"),
        ("DELETE FROM approvals_callapproval", "append-only|refuse|change"),
    ]:
        given = [requester.pk] if "%s" in statement else []
        with (
            pytest.raises(Exception, match=by),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement, given)
    with pytest.raises(IntegrityError), transaction.atomic():
        CallSignature.objects.create(
            approval=row, signer=lead, requester=requester, verdict="allow", digest="", nonce=""
        )


@pytest.mark.django_db(transaction=True)
def test_of_many_who_decide_at_once_one_wins(tool, project, requester, lead, second_lead):
    (row,) = park(working_step(project, requester), "I-1")

    def one(number: int) -> str:
        verdict = "allow" if number % 2 else "refuse"
        by = lead if number % 3 else second_lead
        try:
            decided(row, by, verdict, note="x")
        except CallOver:
            return ""
        finally:
            connection.close()
        return verdict

    with ThreadPoolExecutor(8) as pool:
        won = [verdict for verdict in pool.map(one, range(8)) if verdict]
    assert len(won) == 1
    assert CallSignature.objects.get().verdict == won[0]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("needed", [1, 2])
def test_who_refuses_in_a_second_tab_what_they_allow_ends_it_only_while_it_waits(
    tool, project, requester, lead, second_lead, needed
):
    policies.change(project, by=lead, signatures_needed=needed)
    row = waiting_call(project, requester)

    def refuse() -> CallApproval:
        try:
            return decided(row, lead, "refuse", note="No.")
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as tab:
        with transaction.atomic():
            decided(row, lead)
            refused = tab.submit(refuse)
            until_somebody_waits()
        if needed == 1:
            with pytest.raises(CallOver, match="Dana Kim allowed"):
                refused.result()
        else:
            assert refused.result().state == "refused"
    given = CallSignature.objects.order_by("id").values_list("verdict", flat=True)
    assert list(given) == ["allow", "refuse"][:needed]
