"""Every form of the console as a browser without JavaScript sends it."""

from __future__ import annotations

import pytest

from agents.lifecycle import TaskState
from agents.models import Event, Task
from approvals.models import Approval, Signature
from projects.models import Membership, Quota, Role, User
from tests import console_fixtures as fixtures

pytestmark = pytest.mark.django_db


@pytest.fixture
def agents(db):
    fixtures.seed_agents()


def say_of(answer) -> str:
    return answer.content.decode()


def test_signing_in_leads_to_where_one_wanted_to_go(client, lead):
    sent = {"username": "dana", "password": "correct horse", "next": "/memory"}
    answer = client.post("/sign-in", sent)
    assert answer.status_code == 302
    assert answer["Location"] == "/memory"


@pytest.mark.parametrize("next_page", ["https://evil.example/", "//evil.example", "javascript:x"])
def test_signing_in_never_leads_to_another_site(client, lead, next_page):
    sent = {"username": "dana", "password": "correct horse", "next": next_page}
    assert client.post("/sign-in", sent)["Location"] == "/"


@pytest.mark.parametrize(
    ("form", "page"),
    [
        ("/review/T-3/r1/decide", "/review/T-3/r1"),
        ("/tasks/T-3/escalations/{pk}", "/tasks/T-3"),
        ("/tasks/T-3/steps/{pk}/again", "/tasks/T-3"),
        ("/calls/{pk}/decide", "/calls/{pk}"),
        ("/inbox/{pk}/snooze", "/inbox"),
        ("/inbox/selected/approve", "/inbox"),
        ("/inbox/views/{pk}/rename", "/inbox"),
        ("/memory/{pk}/keep", "/memory"),
        ("/settings/theme", "/settings"),
    ],
)
@pytest.mark.parametrize("method", ["post", "get"])  # it was sent, or its address was opened
def test_a_form_sent_after_the_session_ended_leads_to_its_page(client, lead, form, page, method):
    form, page = form.format(pk=lead.pk), page.format(pk=lead.pk)
    sign_in = getattr(client, method)(form)["Location"]
    assert "If you sent something, it was not done" in say_of(client.get(sign_in))
    sent = {"username": "dana", "password": "correct horse", "next": form}
    assert client.post(sign_in, sent)["Location"] == page
    assert "If you sent something, it was not done" in say_of(client.get("/memory"))
    assert client.get(sign_in)["Location"] == page


def test_a_page_is_led_to_with_what_was_asked_of_it(client, lead):
    sign_in = client.get("/inbox/selected?pick=1")["Location"]
    assert "not done" not in say_of(client.get(sign_in))
    sent = {"username": "dana", "password": "correct horse"}
    assert client.post(sign_in, sent)["Location"] == "/inbox/selected?pick=1"


def test_the_address_of_a_form_says_so_and_leads_to_its_page(client, lead):
    client.force_login(lead)
    answer = client.get("/review/T-3/r1/decide")
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    assert "Nothing was done" in say_of(answer)
    assert 'href="/review/T-3/r1"' in say_of(answer)
    assert client.put("/review/T-3/r1/decide").content == b""


def test_a_wrong_password_is_answered_beside_the_form(client, lead):
    answer = client.post("/sign-in", {"username": "dana", "password": "wrong"})
    assert answer.status_code == 400
    assert "Wrong user name or password." in say_of(answer)


def test_signing_out_needs_a_post(client, lead):
    client.force_login(lead)
    assert client.get("/sign-out").status_code == 405
    assert client.post("/sign-out").status_code == 302
    assert client.get("/tasks").status_code == 302


def test_home_is_the_inbox_for_a_lead_and_the_tasks_for_others(client, lead, requester):
    client.force_login(lead)
    assert client.get("/")["Location"] == "/inbox"
    client.force_login(requester)
    assert client.get("/")["Location"] == "/tasks"


def test_the_theme_is_kept_on_the_person(client, lead):
    client.force_login(lead)
    assert (
        client.post("/settings/theme", {"theme": "dark", "next": "/memory"})["Location"]
        == "/memory"
    )
    assert 'data-theme="dark"' in say_of(client.get("/memory"))
    client.post("/settings/theme", {"theme": "switch"})
    lead.refresh_from_db()
    assert lead.theme == "light"
    client.post("/settings/theme", {"theme": "<script>"})
    lead.refresh_from_db()
    assert lead.theme == "light"


def test_single_keys_can_be_switched_off(client, lead):
    client.force_login(lead)
    client.post("/settings/keys", {})
    assert 'data-single-keys="0"' in say_of(client.get("/settings"))


def test_a_submitted_request_leads_to_its_task(client, project, requester, agents):
    client.force_login(requester)
    sent = {"project": project.slug, "request": "Fix it\r\nnow", "minutes": "5", "usd": "1.5"}
    answer = client.post("/new", sent)
    task = Task.objects.get()
    assert answer["Location"] == f"/tasks/T-{task.number}"
    assert task.request == "Fix it\nnow"
    assert task.limits["seconds"] == 300
    assert task.limits["usd"] == 1.5


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"request": ""}, "request-error"),
        ({"request": "   \n "}, "request-error"),
        ({"request": "x" * 20_001}, "request-error"),
        ({"request": "a\0b"}, "request-error"),
        ({"request": "Fix it", "project": "unknown"}, "project-error"),
        ({"request": "Fix it", "minutes": "soon"}, "is not a number"),
        ({"request": "Fix it", "usd": "-1"}, "must be above 0"),
        ({"request": "Fix it", "rounds": "nan"}, "must be above 0"),
        ({"request": "Fix it", "rounds": "inf"}, "must be above 0"),
    ],
)
def test_a_refused_request_keeps_what_was_typed_and_names_the_field(
    client, project, requester, agents, sent, field
):
    client.force_login(requester)
    answer = client.post("/new", {"project": project.slug, **sent})
    assert answer.status_code == 400
    assert field in say_of(answer)
    assert not Task.objects.exists()
    if sent["request"] == "Fix it":
        assert ">Fix it</textarea>" in say_of(answer)


def test_a_used_up_quota_keeps_what_was_typed_and_says_when(client, project, requester, agents):
    Quota.objects.create(project=project, hourly=1)
    client.force_login(requester)
    sent = {"project": project.slug, "request": "Fix the billing bug"}
    assert client.post("/new", sent).status_code == 302
    answer = client.post("/new", sent)
    assert answer.status_code == 400
    assert "handed over 1 task in the last hour, which is the quota" in say_of(answer)
    assert "try again in 60 min" in say_of(answer)
    assert "Fix the billing bug</textarea>" in say_of(answer)


def test_nobody_submits_to_a_project_of_others(client, project, stranger, agents):
    client.force_login(stranger)
    answer = client.post("/new", {"project": project.slug, "request": "Fix it"})
    assert answer.status_code == 400
    assert not Task.objects.exists()


def test_a_note_reaches_the_task(client, project, requester):
    made = fixtures.running_task(project, requester)
    client.force_login(requester)
    client.post(f"/tasks/T-{made.task.number}/note", {"text": "Keep refunds."})
    assert Event.objects.filter(task=made.task, data__from="person").get().data["text"] == (
        "Keep refunds."
    )


def test_an_empty_note_is_refused_in_words(client, project, requester):
    made = fixtures.running_task(project, requester)
    client.force_login(requester)
    answer = client.post(f"/tasks/T-{made.task.number}/note", {"text": " "}, follow=True)
    assert "The note is empty" in say_of(answer)


def test_a_stopped_task_says_what_is_kept(client, project, requester):
    made = fixtures.running_task(project, requester)
    client.force_login(requester)
    answer = client.post(
        f"/tasks/T-{made.task.number}/stop", {"reason": "Not needed."}, follow=True
    )
    made.task.refresh_from_db()
    assert made.task.state == TaskState.CANCELLED
    assert "Not needed." in say_of(answer)
    assert "Nothing was merged" in say_of(answer)


def test_an_escalation_is_answered_once(client, project, requester, lead):
    made = fixtures.stopped_task(project, requester)
    client.force_login(lead)
    question = made.task.escalations.get()
    address = f"/tasks/T-{made.task.number}/escalations/{question.pk}"
    client.post(address, {"choice": "retry_with_note", "note": "Look at docs."})
    question.refresh_from_db()
    assert question.choice == "retry_with_note"
    again = client.post(address, {"choice": "stop"}, follow=True)
    assert again.status_code == 200
    question.refresh_from_db()
    assert question.choice == "retry_with_note"


def test_a_choice_that_is_not_offered_is_refused(client, project, requester, lead):
    made = fixtures.stopped_task(project, requester)
    client.force_login(lead)
    question = made.task.escalations.get()
    client.post(f"/tasks/T-{made.task.number}/escalations/{question.pk}", {"choice": "burn"})
    question.refresh_from_db()
    assert question.state == "open"


def test_strangers_act_on_nothing(client, project, requester, lead, stranger):
    running = fixtures.running_task(project, requester)
    stopped = fixtures.stopped_task(project, requester)
    review = fixtures.reviewed_task(project, requester)
    lesson = fixtures.make_lesson(project, lead)
    question = stopped.task.escalations.get()
    client.force_login(stranger)
    for path in (
        f"/tasks/T-{running.task.number}/stop",
        f"/tasks/T-{running.task.number}/note",
        f"/tasks/T-{stopped.task.number}/escalations/{question.pk}",
        f"/review/T-{review.task.number}/r1/decide",
        f"/review/T-{review.task.number}/r1/undo",
        f"/review/T-{review.task.number}/r1/again",
        f"/memory/{lesson.pk}/forget",
    ):
        assert client.post(path, {"text": "x", "choice": "stop"}).status_code == 404, path
    assert not Signature.objects.exists()
    running.task.refresh_from_db()
    assert running.task.state == TaskState.WORKING


def test_no_act_is_done_by_get(client, project, requester, lead):
    review = fixtures.reviewed_task(project, requester)
    lesson = fixtures.make_lesson(project, lead)
    number = review.task.number
    client.force_login(lead)
    for path in (
        f"/tasks/T-{number}/stop",
        f"/tasks/T-{number}/note",
        f"/review/T-{number}/r1/decide",
        f"/review/T-{number}/r1/undo",
        f"/review/T-{number}/r1/again",
        f"/memory/{lesson.pk}/forget",
        "/settings/theme",
    ):
        assert client.get(path).status_code == 405, path
    assert Approval.objects.get().state == "pending"


def test_lessons_are_kept_edited_retired_and_forgotten(client, project, lead):
    lesson = fixtures.make_lesson(project, lead, state="proposed")
    client.force_login(lead)
    client.post(f"/memory/{lesson.pk}/keep")
    lesson.refresh_from_db()
    assert lesson.state == "active"
    client.post(f"/memory/{lesson.pk}/retire")
    lesson.refresh_from_db()
    assert lesson.state == "retired"
    client.post(f"/memory/{lesson.pk}/keep")
    client.post(f"/memory/{lesson.pk}/edit", {"content": "Round once."})
    assert "Round once." in say_of(client.get("/memory"))
    client.post(f"/memory/{lesson.pk}/forget")
    lesson.refresh_from_db()
    assert lesson.content == ""
    assert client.post(f"/memory/{lesson.pk}/explode").status_code == 404


def test_a_requester_sees_lessons_but_no_buttons(client, project, lead, requester):
    lesson = fixtures.make_lesson(project, lead, state="proposed")
    client.force_login(requester)
    page = say_of(client.get("/memory"))
    assert lesson.content in page
    assert "Forget for good" not in page
    client.post(f"/memory/{lesson.pk}/keep")
    lesson.refresh_from_db()
    assert lesson.state == "proposed"


def test_only_the_requester_and_leads_are_offered_to_stop_or_answer(
    client, project, requester, lead
):
    colleague = User.objects.create_user("kit", password="correct horse")
    Membership.objects.create(user=colleague, project=project, role=Role.REQUESTER)
    made = fixtures.stopped_task(project, requester)
    for person, offered in ((requester, True), (lead, True), (colleague, False)):
        client.force_login(person)
        page = say_of(client.get(f"/tasks/T-{made.task.number}"))
        assert ('id="stop-pop"' in page) is offered, person
        assert ('value="retry_with_note"' in page) is offered, person
    client.post(f"/tasks/T-{made.task.number}/stop")
    made.task.refresh_from_db()
    assert made.task.state == TaskState.NEEDS_HUMAN
