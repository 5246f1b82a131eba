"""The admin opens for admins alone, and what is for looking cannot be changed by anybody."""

from __future__ import annotations

import pytest
from django.contrib import admin as django_admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from agents.models import (
    Attempt,
    Escalation,
    Event,
    Hold,
    ModelCall,
    Proposal,
    Step,
    Task,
    ToolCall,
)
from approvals.models import Approval, CallApproval, CallSignature, Effect, Signature, StandingGrant
from memory.models import Memory
from notices.models import Delivery
from projects.models import AuditEntry
from tests.admin_fixtures import make_another_project, make_one_of_everything

REGISTERED = sorted(django_admin.site._registry, key=lambda model: model._meta.label)
FOR_LOOKING = [
    *[Task, Step, Attempt, ModelCall, ToolCall, Event, Escalation, Proposal, Hold],
    *[Approval, Signature, Effect, AuditEntry, Memory, Delivery, CallApproval, CallSignature],
    StandingGrant,
]
MOST_QUERIES = 20


def url(model, page, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


@pytest.fixture
def everything(project, requester, lead):
    make_one_of_everything(project, requester, lead)


@pytest.fixture
def as_admin(client, admin):
    client.force_login(admin)
    return client


def test_every_list_opens_for_the_admin(everything, as_admin):
    for model in REGISTERED:
        response = as_admin.get(url(model, "changelist"))
        assert response.status_code == 200, model
        assert model.objects.exists(), model


def test_every_row_opens_for_the_admin(everything, as_admin):
    for model in REGISTERED:
        response = as_admin.get(url(model, "change", model.objects.first().pk))
        assert response.status_code == 200, model


def test_every_add_page_opens_or_is_refused_by_kind(everything, as_admin):
    for model in REGISTERED:
        response = as_admin.get(url(model, "add"))
        assert response.status_code == (403 if model in FOR_LOOKING else 200), model


def test_no_add_page_shows_what_the_database_is_yet_to_say(everything, as_admin):
    for model in REGISTERED:
        if model not in FOR_LOOKING:
            shown = as_admin.get(url(model, "add")).text
            assert "DatabaseDefault" not in shown, model
            assert " object at 0x" not in shown, model


@pytest.mark.parametrize("who", ["lead", "requester", "stranger", None])
def test_every_page_is_closed_to_everybody_else(everything, client, request, who):
    if who:
        client.force_login(request.getfixturevalue(who))
    pages = [reverse("admin:index")]
    for model in REGISTERED:
        row = url(model, "change", model.objects.values_list("pk", flat=True).first())
        pages += [url(model, "changelist"), url(model, "add"), row]
    for page in pages:
        for response in (client.get(page), client.post(page, {"action": "forget"})):
            assert response.status_code == 302, page
            assert "login" in response["Location"] or "sign-in" in response["Location"], page


@pytest.mark.parametrize("model", FOR_LOOKING, ids=lambda model: model.__name__)
def test_rows_for_looking_refuse_every_write(everything, as_admin, model):
    row = model.objects.order_by("pk").first()
    before = list(model.objects.order_by("pk").values())
    for page in (
        url(model, "add"),
        url(model, "change", row.pk),
        url(model, "delete", row.pk),
    ):
        assert as_admin.post(page, {"post": "yes", "state": "done"}).status_code == 403, page
    chosen = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    as_admin.post(url(model, "changelist"), chosen)
    assert list(model.objects.order_by("pk").values()) == before


def test_lists_take_as_many_queries_for_many_rows_as_for_few(everything, as_admin):
    def queries():
        counted = {}
        for model in REGISTERED:
            with CaptureQueriesContext(connection) as queries:
                as_admin.get(url(model, "changelist"))
            counted[model.__name__] = len(queries)
        return counted

    queries()  # content types and the like are read once per process
    few = queries()
    for name in ("-a", "-b", "-c"):
        make_one_of_everything(*make_another_project(name), name)
    many = queries()
    assert {name: many[name] - few[name] for name in many if many[name] > few[name]} == {}
    assert max(many.values()) <= MOST_QUERIES


def test_pages_are_escaped(everything, as_admin):
    page = as_admin.get(url(Task, "change", Task.objects.first().pk)).content.decode()
    assert "<b>now</b>" not in page
    assert "&lt;b&gt;now&lt;/b&gt;" in page


def test_nonce_and_token_digest_are_not_shown(everything, as_admin):
    approval = Approval.objects.first()
    page = as_admin.get(url(Approval, "change", approval.pk)).content.decode()
    assert "secret-nonce" not in page
    assert approval.nonce not in page


@pytest.mark.parametrize("term", ["T-{n}", "{n}", "t-{n}", "rounding"])
def test_task_is_found_by_number_and_by_title(everything, as_admin, term):
    number = Task.objects.first().number
    found = as_admin.get(url(Task, "changelist"), {"q": term.format(n=number)})
    assert found.context["cl"].result_count == 1


@pytest.mark.parametrize("term", ["T-999999999", "99999999999999999999999", "T-²", "%", "\\"])
def test_search_for_nothing_finds_nothing(everything, as_admin, term):
    found = as_admin.get(url(Task, "changelist"), {"q": term})
    assert found.status_code == 200
    assert found.context["cl"].result_count == 0


def test_events_of_a_task_are_one_click_away(everything, as_admin):
    task = Task.objects.first()
    link = f"{url(Event, 'changelist')}?task__id__exact={task.pk}"
    page = as_admin.get(url(Task, "change", task.pk)).content.decode()
    assert link in page
    assert as_admin.get(link).context["cl"].result_count == task.events.count()


def test_pages_carry_the_content_security_policy_and_no_inline_code(everything, as_admin):
    for model in REGISTERED:
        response = as_admin.get(url(model, "change", model.objects.first().pk))
        policy = response["Content-Security-Policy"]
        assert "unsafe" not in policy
        page = response.content.decode()
        assert " onclick=" not in page
        assert " style=" not in page, model
        assert "<script>" not in page
