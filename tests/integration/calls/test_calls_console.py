"""The page of a call, its rows in the inbox and on the task page, and the decision from there."""

from __future__ import annotations

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.html import escape

from approvals.calls import carrying
from approvals.models import CallApproval
from countersign.console import call_page, task_rows
from tests.call_fixtures import decided, end_time, park, working_step

pytestmark = pytest.mark.django_db

EVIL = '</pre><script>x</script><img src="//evil.example/x"> I-\u202e9'


def _text(client, url: str, status: int = 200) -> str:
    answer = client.get(url)
    assert answer.status_code == status
    return answer.content.decode()


def _send(client, row: CallApproval, **facts: str):
    seal = {"digest": row.digest, "nonce": row.nonce}
    form = {**seal, "confirmation": row.task.label, **facts}
    return client.post(f"/calls/{row.pk}/decide", form)


def _state(row: CallApproval) -> str:
    return CallApproval.objects.values_list("state", flat=True).get(pk=row.pk)


def test_a_lead_sees_exactly_what_would_be_called(client, waiting, lead):
    client.force_login(lead)
    text = _text(client, f"/calls/{waiting.pk}")
    for words in (
        "asks to call pay",
        "&quot;cents&quot;: 900",
        "cannot be taken back",
        "Allow once",
    ):
        assert words in text
    assert "I pay what is due." in text


def test_what_agents_write_is_shown_as_text(client, tool, project, requester, lead):
    (row,) = park(working_step(project, requester), EVIL, said=EVIL)
    client.force_login(lead)
    for url in (f"/calls/{row.pk}", "/inbox", f"/tasks/{row.task.label}"):
        text = _text(client, url)
        assert "<script>x" not in text
        assert '<img src="//evil' not in text
    page = _text(client, f"/calls/{row.pk}")
    assert "U+202E" in page
    assert "Hidden or confusable characters" in page


def test_hidden_characters_around_the_arguments_are_told_too(
    client, tool, project, requester, lead
):
    (row,) = park(working_step(project, requester), {"invoice": "I-9"}, said="I p\u0430y it\u200b.")
    client.force_login(lead)
    for url in (f"/calls/{row.pk}", f"/inbox?at={row.pk}"):
        text = _text(client, url)
        assert "Hidden or confusable characters in what the agent said" in text
        assert "characters in the arguments" not in text


def test_hidden_characters_of_a_change_are_told_too(client, waiting, lead):
    client.force_login(lead)
    assert "Hidden or confusable" not in _text(client, f"/calls/{waiting.pk}")
    decided(waiting, lead, edited='{"invoice": "I-\u202e9", "cents": 1}')
    assert "Hidden or confusable characters in the arguments: 1." in _text(
        client, f"/calls/{waiting.pk}"
    )


def test_the_inbox_lists_and_counts_what_waits_for_a_lead(client, waiting, lead, requester):
    client.force_login(lead)
    text = _text(client, "/inbox")
    assert "Agents ask to use a tool" in text
    assert f"/calls/{waiting.pk}" in text
    assert "1 needs you" in text
    client.force_login(requester)
    text = _text(client, "/inbox")
    assert "Agents ask to use a tool" not in text
    assert "Nothing waits for you" in text


def test_the_pages_cost_few_statements(client, tool, project, requester, lead):
    park(working_step(project, requester), *(f"I-{number}" for number in range(12)))
    row = CallApproval.objects.first()
    client.force_login(lead)
    for url in ("/inbox", f"/calls/{row.pk}", f"/tasks/{row.task.label}", "/tasks"):
        client.get(url)
        with CaptureQueriesContext(
            connection,
        ) as asked:
            client.get(url)
        assert len(asked) <= 12, (url, [each["sql"][:80] for each in asked])


def test_the_task_page_says_what_it_waits_for(client, waiting, requester):
    client.force_login(requester)
    text = _text(client, f"/tasks/{waiting.task.label}")
    assert "Waits for permission to call pay." in text
    assert f"/calls/{waiting.pk}" in text
    assert "An agent asks to use pay." in _text(client, "/tasks")


def test_the_task_page_shows_the_first_of_many_calls(client, tool, project, requester):
    rows = park(working_step(project, requester), *(f"I-{number}" for number in range(12)))
    client.force_login(requester)
    text = _text(client, f"/tasks/{rows[0].task.label}")
    assert [f"/calls/{row.pk}" in text for row in rows] == [True] * 3 + [False] * 9
    assert "More wait in the" in text
    assert len(task_rows.read(rows[0].task, requester, calls=False).asking) == 4


def test_a_lead_allows_a_call_on_its_page(client, waiting, server, lead):
    client.force_login(lead)
    answer = _send(client, waiting, verdict="allow")
    assert answer.status_code == 302
    carrying.make_due("effects")
    assert len(server.calls) == 1
    text = _text(client, f"/calls/{waiting.pk}")
    assert "Paid I-1." in text
    assert "Allow once" not in text


def test_a_lead_changes_the_arguments_on_its_page(client, waiting, server, lead):
    client.force_login(lead)
    _send(client, waiting, verdict="edit", arguments='{"invoice": "I-7", "cents": 1}')
    carrying.make_due("effects")
    assert list(server.paid.values()) == [1]
    text = _text(client, f"/calls/{waiting.pk}")
    assert "Arguments the agent asked for" in text
    assert "I-7" in text


@pytest.mark.parametrize("typed", ['{"invoice": "I-1", "cents": 1}', "", "{}"])
def test_allow_once_calls_nothing_when_the_arguments_were_changed(
    client, waiting, server, lead, typed
):
    client.force_login(lead)
    answer = _send(client, waiting, verdict="allow", arguments=typed, note="Mine")
    assert answer.status_code == 400
    text = answer.content.decode()
    assert "You changed the arguments" in text
    assert f">{escape(typed)}</textarea>" in text
    assert _state(waiting) == "pending"
    carrying.make_due("effects")
    assert server.requests == 0


def test_allow_once_takes_the_arguments_as_the_page_shows_them(client, waiting, lead):
    client.force_login(lead)
    shown = call_page.pretty(waiting.snapshot["arguments"]).replace("\n", "\r\n")
    assert escape(shown.replace("\r\n", "\n")) in _text(client, f"/calls/{waiting.pk}")
    assert _send(client, waiting, verdict="allow", arguments=shown).status_code == 302
    assert _state(waiting) == "allowed"


def test_what_was_typed_survives_a_refused_decision(client, waiting, lead):
    client.force_login(lead)
    answer = _send(client, waiting, verdict="edit", arguments='{"cents": "x"}', note="Mine")
    text = answer.content.decode()
    assert answer.status_code == 400
    assert "Nothing was decided." in text
    assert "{&quot;cents&quot;: &quot;x&quot;}" in text
    assert "Mine" in text
    answer = _send(client, waiting, verdict="refuse", note=" ")
    assert answer.status_code == 400
    assert "Say why you refuse it" in answer.content.decode()
    assert _state(waiting) == "pending"


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({"verdict": "allow", "digest": "x"}, 422),
        ({"verdict": "allow", "nonce": ""}, 422),
        ({"verdict": "maybe"}, 400),
        ({"verdict": "edit", "arguments": ""}, 400),
        ({"verdict": "refuse", "note": "\x00"}, 400),
    ],
)
def test_a_wrong_decision_is_refused(client, waiting, lead, facts, status):
    client.force_login(lead)
    assert _send(client, waiting, **facts).status_code == status
    assert _state(waiting) == "pending"


def test_who_may_not_decide_sees_it_and_is_refused(client, waiting, requester, stranger):
    client.force_login(requester)
    assert "Allow once" not in _text(client, f"/calls/{waiting.pk}")
    assert _send(client, waiting, verdict="allow").status_code == 403
    client.force_login(stranger)
    for method in (client.get, client.post):
        assert method(f"/calls/{waiting.pk}/decide").status_code in {404, 405}
    _text(client, f"/calls/{waiting.pk}", 404)
    _text(client, f"/calls/{uuid.uuid4()}", 404)
    assert _send(client, waiting, verdict="allow").status_code == 404
    assert _state(waiting) == "pending"


def test_get_never_decides(client, waiting, lead):
    client.force_login(lead)
    assert client.get(f"/calls/{waiting.pk}/decide?verdict=allow").status_code == 405
    client.get(f"/calls/{waiting.pk}?verdict=allow&digest={waiting.digest}")
    assert _state(waiting) == "pending"


def test_a_late_decision_says_who_was_faster(client, waiting, lead, second_lead):
    decided(waiting, second_lead, "refuse", note="No.")
    client.force_login(lead)
    answer = _send(client, waiting, verdict="allow")
    assert answer.status_code == 409
    assert "Ravi Singh refused this" in answer.content.decode()


def test_time_that_is_over_takes_the_form_away(client, waiting, lead):
    end_time(waiting)
    client.force_login(lead)
    text = _text(client, f"/calls/{waiting.pk}")
    assert "The time to decide is over" in text
    assert "Allow once" not in text


def test_the_live_answer_says_that_somebody_decided(client, waiting, lead):
    client.force_login(lead)
    shown = f"/calls/{waiting.pk}/live?shown=pending-0"
    assert "This page shows what was here" not in _text(client, shown)
    decided(waiting, lead)
    assert "This page shows what was here" in _text(client, shown)


def test_a_call_that_needs_no_permission_has_no_page(client, tool, project, requester, lead):
    tool.read_only = True
    tool.save()
    (row,) = park(working_step(project, requester), "I-1")
    assert row.free
    client.force_login(lead)
    assert client.get(f"/calls/{row.pk}").status_code == 404
    assert f"/calls/{row.pk}" not in _text(client, "/inbox")
