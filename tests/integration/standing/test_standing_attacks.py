"""A standing grant that was forged, widened, set back or borrowed lets nothing through."""

from __future__ import annotations

import json
import uuid

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from agents.lifecycle import StepState
from agents.models import Tool, ToolCall, ToolServer
from approvals import invariants, signing
from approvals.calls import carrying
from approvals.canonical import digest_of
from approvals.models import CallApproval, Policy, StandingGrant, StandingUse
from approvals.standing import patterns
from approvals.standing.patterns import Kind, Pattern
from approvals.standing.revoking import revoke
from projects import signing_keys
from projects.models import Membership, Project
from tests.approval_fixtures import make_agent, past_triggers
from tests.call_fixtures import SCHEMA
from tests.standing_fixtures import asks

pytestmark = pytest.mark.django_db

INSERT = (
    "INSERT INTO approvals_standinguse (id, grant_id, approval_id, number, at)"
    " SELECT gen_random_uuid(), id, origin_id, {}, now() FROM approvals_standinggrant"
)
ANYTHING = patterns.written({name: Pattern(kind=Kind.ANY) for name in ("invoice", "cents")})


def _now(row: CallApproval) -> CallApproval:
    return CallApproval.objects.select_related("call", "step").get(pk=row.pk)


def _column(name: str, value: object) -> None:
    past_triggers(f"UPDATE approvals_standinggrant SET {name} = %s", value)  # noqa: S608


# Attacks on the grant before a call is sealed: the call asks a person.


def _widened(grant: StandingGrant) -> None:
    _column("patterns", ANYTHING)


def _more_often(grant: StandingGrant) -> None:
    _column("max_hits", 1_000)


def _for_longer(grant: StandingGrant) -> None:
    past_triggers("UPDATE approvals_standinggrant SET expires_at = expires_at + interval '9 days'")


def _for_any_agent(grant: StandingGrant) -> None:
    past_triggers("UPDATE approvals_standinggrant SET agent_id = %s", grant.origin.step.agent_id)


def _by_another(grant: StandingGrant) -> None:
    _column("granted_by_id", Membership.objects.get(user__username="ravi").user_id)


def _another_id(grant: StandingGrant) -> None:
    _column("id", uuid.uuid4())


def _no_mark(grant: StandingGrant) -> None:
    past_triggers("UPDATE approvals_standinggrant SET mark = '', key = ''")


def _marked_by_another_key(grant: StandingGrant) -> None:
    secret = "the key of somebody else, long enough"
    grant.key = signing_keys.name_of(signing_keys.public_half(secret))
    grant.mark = signing_keys.sign(secret, signing.statement_of_grant(grant))
    past_triggers("UPDATE approvals_standinggrant SET key = %s, mark = %s", grant.key, grant.mark)


def _no_patterns(grant: StandingGrant) -> None:
    _column("patterns", "[]")


def _pinned_anew(grant: StandingGrant) -> None:
    Tool.objects.update(definition_digest="e" * 64)
    _column("pin", json.dumps({**grant.pin, "definition": "e" * 64}))


def _server_moved(grant: StandingGrant) -> None:
    ToolServer.objects.update(target=ToolServer.objects.get().target + "?elsewhere")


def _now_idempotent(grant: StandingGrant) -> None:
    Tool.objects.update(idempotent=True)


def _granter_disabled(grant: StandingGrant) -> None:
    Membership.objects.get(user=grant.granted_by).user.__class__.objects.filter(
        pk=grant.granted_by_id
    ).update(is_active=False)


def _granter_gone(grant: StandingGrant) -> None:
    Membership.objects.filter(user=grant.granted_by).delete()


def _policy_says_no(grant: StandingGrant) -> None:
    Policy.objects.update(standing_grants="none")


FORGED = [_widened, _more_often, _for_longer, _for_any_agent, _by_another, _another_id, _no_mark]
FORGED += [_marked_by_another_key, _no_patterns, _pinned_anew]
OUTDATED = [_server_moved, _now_idempotent, _granter_disabled, _granter_gone, _policy_says_no]


@pytest.mark.parametrize("attack", FORGED + OUTDATED)
def test_a_call_asks_a_person_when_the_grant_is_not_what_was_marked_or_does_not_hold(
    grant, server, project, requester, second_lead, attack
):
    attack(grant)
    (row,) = asks(project, requester, "I-2")
    assert row.state == "pending"
    assert not StandingUse.objects.exists()


# Attacks between the sealing and the sending: nothing reaches the server.


def _arguments(row: CallApproval, text: str) -> None:
    evil = {**row.snapshot, "arguments": text}
    ToolCall.objects.filter(pk=row.call_id).update(arguments=json.loads(text))
    past_triggers(
        "UPDATE approvals_callapproval SET snapshot = %s, digest = %s WHERE id = %s",
        json.dumps(evil),
        digest_of(evil),
        row.pk,
    )


def _other_arguments(row: CallApproval) -> None:
    _arguments(row, '{"cents":900,"invoice":"EVIL"}')


def _more_money(row: CallApproval) -> None:
    _arguments(row, '{"cents":90000,"invoice":"I-2"}')


def _edited(row: CallApproval) -> None:
    past_triggers(
        "UPDATE approvals_callapproval SET edited = %s WHERE id = %s",
        '{"cents":900,"invoice":"I-3"}',
        row.pk,
    )


def _decided_by_another(row: CallApproval) -> None:
    other = Membership.objects.get(user__username="ravi").user_id
    past_triggers(
        "UPDATE approvals_callapproval SET decided_by_id = %s WHERE id = %s", other, row.pk
    )


def _use_taken_away(row: CallApproval) -> None:
    past_triggers("DELETE FROM approvals_standinguse")


def _revoked_and_set_back(row: CallApproval) -> None:
    revoke(StandingGrant.objects.get().pk, by=Membership.objects.get(user__username="ravi").user)
    past_triggers("UPDATE approvals_standinggrant SET revoked_at = NULL, revoked_by_id = NULL")


def _number_beyond(row: CallApproval) -> None:
    past_triggers("UPDATE approvals_standinguse SET number = 11")


def _not_in_the_audit_log(row: CallApproval) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE projects_auditentry DISABLE TRIGGER append_only")
        cursor.execute("DELETE FROM projects_auditentry WHERE action = 'standing_grant.used'")


def _expired(row: CallApproval) -> None:
    past_triggers(
        "UPDATE approvals_standinggrant SET at = at - interval '2 days',"
        " expires_at = expires_at - interval '2 days'"
    )


def _of_the_row(attack):
    def act(row: CallApproval) -> None:
        attack(StandingGrant.objects.get())

    act.__name__ = attack.__name__
    return act


LATER = [_other_arguments, _more_money, _edited, _decided_by_another, _use_taken_away]
LATER += [_revoked_and_set_back, _number_beyond, _not_in_the_audit_log, _expired]
# But for its id: a use names its grant, and the database keeps it so.
OF_THE_GRANT = [_of_the_row(each) for each in FORGED + OUTDATED if each != _another_id]


@pytest.mark.parametrize("attack", LATER + OF_THE_GRANT)
def test_nothing_is_called_that_the_grant_does_not_let_through(
    grant, server, project, requester, second_lead, attack
):
    carrying.make_due("effects")
    assert len(server.calls) == 1  # the one that was decided
    (row,) = asks(project, requester, "I-2")
    assert row.state == "allowed"
    attack(row)
    carrying.make_due("effects")
    assert len(server.calls) == 1
    row = _now(row)
    assert (row.state, row.step.state) == ("failed", StepState.READY)


def test_a_use_of_one_call_lets_no_other_through(grant, server, project, requester):
    carrying.make_due("effects")
    first, second = asks(project, requester, "I-2", "J-9")
    past_triggers(
        "UPDATE approvals_standinguse SET approval_id = %s WHERE approval_id = %s",
        second.pk,
        first.pk,
    )
    past_triggers(
        "UPDATE approvals_callapproval SET state = 'allowed', decided_at = now(), decided_by_id = %s"
        " WHERE id = %s",
        grant.granted_by_id,
        second.pk,
    )
    ToolCall.objects.filter(pk=second.call_id).update(state="waiting")
    for _ in range(3):
        carrying.make_due("effects")
    assert len(server.calls) == 1
    assert {_now(first).state, _now(second).state} == {"failed"}


def test_a_grant_that_was_set_back_to_be_used_again_is_found_out(
    grant, server, project, requester, lead
):
    """Who owns the tables takes uses away and counts anew: the audit log has them."""
    asks(project, requester, *(f"I-{n}" for n in range(10)))
    while carrying.make_due("effects"):
        pass
    assert len(server.calls) == 11
    past_triggers("DELETE FROM approvals_standinguse")
    past_triggers("UPDATE approvals_standinggrant SET hits = 0")
    (row,) = asks(project, requester, "I-99")
    carrying.make_due("effects")
    assert len(server.calls) == 11
    assert "it was used up" in _now(row).call.result


def test_another_tool_of_the_server_is_not_let_through(grant, tool, project, requester):
    from agents.models import Grant
    from approvals.calls import sealing

    other = Tool.objects.create(
        server=tool.server, name="refund", definition_digest="d" * 64, input_schema=SCHEMA
    )
    Grant.objects.create(agent=make_agent("coder", "Code agent"), tool=other)
    (row,) = asks(project, requester, "J-2")
    assert row.state == "pending"
    ToolCall.objects.filter(pk=row.call_id).update(tool="pay__refund", state="waiting")
    past_triggers("DELETE FROM approvals_callreminder WHERE approval_id = %s", row.pk)
    past_triggers("DELETE FROM approvals_callapproval WHERE id = %s", row.pk)
    ToolCall.objects.filter(pk=row.call_id).update(arguments={"invoice": "I-2", "cents": 900})
    sealing.seal_waiting()
    found = CallApproval.objects.get(call=row.call_id)
    assert (found.snapshot["call"]["tool"], found.state) == ("refund", "pending")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE approvals_standinggrant SET patterns = '{}'",
        "UPDATE approvals_standinggrant SET max_hits = 900",
        "UPDATE approvals_standinggrant SET expires_at = expires_at + interval '1 minute'",
        "UPDATE approvals_standinggrant SET hits = hits + 2",
        "UPDATE approvals_standinggrant SET hits = 0",
        "UPDATE approvals_standinggrant SET revoked_at = NULL, revoked_by_id = NULL",
        "DELETE FROM approvals_standinggrant",
        "UPDATE approvals_standinguse SET number = 2",
        "DELETE FROM approvals_standinguse",
        INSERT.format("hits + 1"),
        INSERT.format("hits"),
    ],
)
def test_the_database_keeps_grants_and_uses_as_they_are(grant, project, requester, lead, statement):
    asks(project, requester, "I-2")
    if "NULL" in statement:
        revoke(grant.pk, by=lead)
    with (
        pytest.raises(DatabaseError),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


@pytest.mark.parametrize(
    ("facts", "by"),
    [
        ("max_hits = 1001", "grant_of_1_to_1000_uses"),
        ("hits = 11", "grant_used_as_often_as_allowed"),
        ("expires_at = at + interval '31 days'", "grant_ends_within_30_days"),
        ("expires_at = at", "grant_ends_within_30_days"),
        ("revoked_at = now()", "grant_revoked_by_a_person"),
    ],
)
def test_the_database_refuses_a_grant_that_is_too_wide(grant, facts, by):
    with pytest.raises(IntegrityError, match=by), transaction.atomic():
        past_triggers(f"UPDATE approvals_standinggrant SET {facts}")  # noqa: S608


@pytest.mark.parametrize(
    ("name", "statement"),
    [
        ("grant-genuine", "UPDATE approvals_standinggrant SET patterns = '{}'"),
        ("grant-counted", "UPDATE approvals_standinggrant SET hits = 9"),
        ("grant-counted", "UPDATE approvals_standinguse SET at = at - interval '1 day'"),
        ("grant-counted", "UPDATE approvals_callapproval SET edited = '{}' WHERE id = '{call}'"),
    ],
)
def test_the_invariants_find_what_was_tampered_with(grant, project, requester, name, statement):
    (row,) = asks(project, requester, "I-2")
    checks = {each.name: each for each in invariants.CHECKS}
    for each in ("grant-genuine", "grant-counted", "call-allowed"):
        assert checks[each].find().count == 0
    past_triggers(statement.replace("{call}", str(row.pk)))
    assert checks[name].find().count == 1


def test_other_projects_see_nothing_of_it(grant, stranger):
    other = Project.objects.create(slug="other", name="acme/other", repository="/nowhere.git")
    Membership.objects.create(user=stranger, project=other, role="lead")
    assert not StandingGrant.objects.visible_to(stranger).exists()
