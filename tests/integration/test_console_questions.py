"""The escalation card: what happened, what is known, and every way on as a plain form."""

from __future__ import annotations

import re
from typing import Any

import pytest

from agents.models import Escalation, Step, Task, ToolCall
from projects.models import AuditEntry
from tests import console_fixtures as fixtures

EVERY_WAY = [
    "raise_limit_once",
    "retry_with_note",
    "reassign",
    "take_over",
    "go_on_without",
    "stop",
]


def asked(project, requester, **facts: Any) -> Escalation:
    made = fixtures.stopped_task(project, requester)
    Escalation.objects.filter(task=made.task).update(**{"options": EVERY_WAY, **facts})
    return Escalation.objects.select_related("task", "step").get(task=made.task)


def url(question: Escalation) -> str:
    return f"/tasks/T-{question.task.number}/escalations/{question.pk}"


def shown(client, question: Escalation) -> str:
    return client.get(f"/tasks/T-{question.task.number}").content.decode()


def test_card_offers_every_way_with_its_fields(client, project, requester, lead):
    question = asked(project, requester)
    client.force_login(lead)
    page = shown(client, question)
    assert re.findall(r'name="choice"\s+value="(\w+)"', page) == EVERY_WAY
    assert re.search(r'value="raise_limit_once"\s+required\s+checked', page)
    offered = re.findall(
        r'<option value="([\w-]+)"', page.split('id="answer-')[1].split("</form>")[0]
    )
    assert offered == ["tech-writer", "tester"]
    assert 'name="commit"' in page
    assert "Code agent stopped: all turns used" in page


def test_evidence_sets_what_was_seen_against_what_was_allowed(client, project, requester, lead):
    evidence = {
        "threshold": 3,
        "observed": 4,
        "usage": {"turns": 4, "max_turns": 12, "tool_calls": 9, "tokens": 61_200},
        "files": ["billing/<b>.py"],
        "error": "odd \u202e thing",
    }
    question = asked(project, requester, rule="repeated_call", evidence=evidence)
    fixtures.use_tool(question.step, "read_file", "48 lines", path="billing/invoice.py")
    ToolCall.objects.update(result="<script>alert(1)</script> 48 lines")
    client.force_login(lead)
    page = shown(client, question)
    told = re.findall(r'<dt class="small muted">(.*?)</dt>\s*<dd>\s*(.*?)\s*</dd>', page)
    assert told == [
        ("Stops at", "3"),
        ("Seen", "4"),
        ("Turns", "4 of 12"),
        ("Tool calls", "9"),
        ("Tokens", "61.2k"),
    ]
    assert "billing/&lt;b&gt;.py" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; 48 lines" in page
    assert "<script>alert(1)" not in page
    assert "Its last calls" in page
    assert "U+202E" in page


def test_calls_that_made_it_stop_are_shown_and_only_of_this_step(client, project, requester, lead):
    question = asked(project, requester, rule="repeated_call")
    other = asked(project, requester)
    fixtures.use_tool(question.step, "read_file", path="mine.py")
    fixtures.use_tool(question.step, "search_text", pattern="later")
    fixtures.use_tool(other.step, "read_file", path="theirs.py")
    named = [
        str(ToolCall.objects.get(attempt__step=question.step, tool="read_file").pk),
        str(ToolCall.objects.get(attempt__step=other.step).pk),
        "no id",
        "zzzz-zzzz-zzzz-zzzz-zzzzzzzzzzzzzzzz",
    ]
    Escalation.objects.filter(pk=question.pk).update(evidence={"calls": named})
    client.force_login(lead)
    card = shown(client, question).split('id="escalation-')[1].split('id="answer-')[0]
    assert "The calls that made it stop" in card
    assert ("mine.py" in card, "theirs.py" in card, "later" in card) == (True, False, False)


@pytest.mark.parametrize(
    ("form", "state"),
    [
        ({"choice": "raise_limit_once", "agent": "tester"}, "ready"),
        ({"choice": "retry_with_note", "note": "Look at docs.", "commit": ""}, "ready"),
        ({"choice": "reassign", "agent": "tester", "commit": "main"}, "ready"),
        ({"choice": "take_over", "note": "By hand.", "agent": "tester"}, "done"),
        ({"choice": "go_on_without", "note": "No time.", "agent": "tester"}, "cancelled"),
        ({"choice": "stop", "agent": "tester"}, "cancelled"),
    ],
)
def test_form_does_what_was_chosen_and_ignores_hidden_fields(
    client, project, requester, lead, form, state
):
    question = asked(project, requester)
    client.force_login(lead)
    answer = client.post(url(question), form, REMOTE_ADDR="192.0.2.9")
    assert answer.url == f"/tasks/T-{question.task.number}"
    question.refresh_from_db()
    assert question.choice == form["choice"]
    step = Step.objects.select_related("agent").get(pk=question.step_id)
    assert step.state == state
    assert (step.agent.slug == "tester") is (form["choice"] == "reassign")
    entry = AuditEntry.objects.filter(action="escalation.resolved").get()
    assert entry.address == "192.0.2.9"


def test_refused_answer_comes_back_with_what_was_typed(client, project, requester, lead):
    question = asked(project, requester)
    client.force_login(lead)
    form = {"choice": "take_over", "note": "Long work", "commit": "x" * 201}
    client.post(url(question), form)
    page = shown(client, question)
    assert "at most 200 characters" in page
    assert ">Long work</textarea>" in page
    assert re.search(r'value="take_over"\s+required\s+checked', page)
    assert "Long work" not in shown(client, question)
    question.refresh_from_db()
    assert question.state == "open"


def test_second_answer_is_told_who_was_first(client, project, requester, lead):
    question = asked(project, requester)
    client.force_login(requester)
    client.post(url(question), {"choice": "retry_with_note"})
    client.force_login(lead)
    answer = client.post(url(question), {"choice": "stop"}, follow=True)
    assert "Mira Ode answered this at" in answer.content.decode()
    assert Task.objects.get(pk=question.task_id).state == "working"


def test_who_may_not_answer_sees_no_form(client, project, requester, stranger):
    from projects.models import Membership, Role

    Membership.objects.create(user=stranger, project=project, role=Role.REQUESTER)
    question = asked(project, requester)
    client.force_login(stranger)
    page = shown(client, question)
    assert 'id="answer-' not in page
    assert "Send again" not in page


def test_lists_say_why_a_person_is_needed(client, project, requester, lead):
    asked(project, requester, rule="oscillation", detail="Edits go back and forth.")
    client.force_login(lead)
    tasks = client.get("/tasks").content.decode()
    assert "Needs a person" in tasks
    assert "Code agent stopped: going back and forth." in tasks
    assert "Going back and forth: Edits go back and forth." in client.get("/inbox").content.decode()


def test_finished_step_is_sent_again_from_the_page(client, project, requester, lead):
    made = fixtures.running_task(project, requester)
    coder = made.steps["writer"]
    Step.objects.filter(pk=coder.pk).update(state="done", lease_until=None)
    coder.attempts.update(state="finished", finished_at=coder.started_at)
    made.task.record("step.finished", {"state": "done", "summary": "Did it."}, step=coder)
    client.force_login(lead)
    path = f"/tasks/T-{made.task.number}"
    page = client.get(path).content.decode()
    assert page.count("Send again…") == 1
    assert f"{path}/steps/{coder.pk}/again" in page
    refused = client.post(f"{path}/steps/{coder.pk}/again", {"note": ""}, follow=True)
    assert "Say what should be different" in refused.content.decode()
    answer = client.post(f"{path}/steps/{coder.pk}/again", {"note": "In English."}, follow=True)
    assert "does it again" in answer.content.decode()
    assert Step.objects.get(key="docs~2").feedback[-1]["note"] == "In English."


def test_strangers_and_gets_send_nothing_again(client, project, requester, stranger, lead):
    made = fixtures.running_task(project, requester)
    path = f"/tasks/T-{made.task.number}/steps/{made.steps['coder'].pk}/again"
    client.force_login(stranger)
    assert client.post(path, {"note": "x"}).status_code == 404
    client.force_login(lead)
    assert client.get(path).status_code == 405
    other = fixtures.running_task(project, requester)
    mixed = f"/tasks/T-{other.task.number}/steps/{made.steps['coder'].pk}/again"
    assert client.post(mixed, {"note": "x"}).status_code == 404


def test_run_shows_what_was_left_out_and_counts_what_is_to_do(client, project, requester, lead):
    question = asked(project, requester)
    client.force_login(lead)
    client.post(url(question), {"choice": "go_on_without"})
    run = shown(client, question).split('id="run"')[1].split("</section>")[0]
    assert "left out" in run
    assert "1 of 2 sub-tasks done" in run


def test_run_hides_a_step_that_is_done_anew(client, project, requester, lead):
    made = fixtures.stopped_task(project, requester)
    old, again = made.steps["tester"], "Add a half-even case, again"
    Step.objects.filter(pk=old.pk).update(state="cancelled")
    fixtures.make_step(made.task, "cover~2", "tester", again, state="waiting")
    client.force_login(lead)
    run = client.get(f"/tasks/T-{made.task.number}").content.decode()
    run = run.split('id="run"')[1].split("</section>")[0]
    assert again in run
    assert f"agent={old.pk}" not in run
    assert "1 of 3 sub-tasks done" in run
