"""A request becomes one task, at once and once."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import replace
from uuid import UUID

import pytest
from django.db import connection

from agents import dispatch, requests
from agents.accepting import IdempotencyMismatch
from agents.intake import submit
from agents.models import Agent, Event, Step, Task
from agents.requests import MAX_CHARACTERS, title_of
from projects.exceptions import CountersignError, InvalidInput, NotAllowed
from projects.models import AuditEntry
from tests import runtime_fixtures

agents = runtime_fixtures.agents

pytestmark = pytest.mark.usefixtures("agents")


def test_submission_makes_a_queued_task_with_a_ready_route_step(project, requester):
    made = submit(project=project, requester=requester, request="  Fix the bug. And the docs.\n")
    task = made.task
    assert made.created
    assert (task.state, task.title, task.request) == (
        "queued",
        "Fix the bug.",
        "Fix the bug. And the docs.",
    )
    step = Step.objects.get(task=task)
    assert (step.kind, step.key, step.state, step.agent.slug) == (
        "route",
        "route",
        "ready",
        "router",
    )
    assert [(event.seq, event.kind) for event in Event.objects.filter(task=task)] == [
        (1, "task.submitted")
    ]
    assert AuditEntry.objects.get().action == "task.submitted"


def test_limits_of_project_and_request_are_frozen_on_the_task(project, requester):
    project.limits = {"rounds": 2, "seconds": 100}
    project.save()
    task = submit(
        project=project, requester=requester, request="x", limits={"seconds": 50, "usd": 1}
    ).task
    given = {"seconds": 50, "tokens": 600_000, "usd": 1.0, "rounds": 2, "steps": 8}
    assert task.limits == {**given, "usd_set": True}


def test_only_a_lead_may_ask_for_more_than_the_project_gives(project, requester, lead):
    project.limits = {"usd": 2}
    project.save()
    with pytest.raises(InvalidInput, match=r"usd is at most 2\.0 in this project") as refusal:
        submit(project=project, requester=requester, request="x", limits={"usd": 2.01})
    assert (refusal.value.field, Task.objects.count()) == ("limits", 0)
    submit(project=project, requester=requester, request="x", limits={"usd": 2})
    more = submit(project=project, requester=lead, request="x", limits={"usd": 3, "rounds": 4})
    assert (more.task.limits["usd"], more.task.limits["rounds"]) == (3.0, 4)


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("request", {"request": ""}),
        ("request", {"request": " \n\t "}),
        ("request", {"request": "x" * (MAX_CHARACTERS + 1)}),
        ("request", {"request": "a\0b"}),
        ("request", {"request": "a\ud800b"}),
        ("request", {"request": 7}),
        ("limits", {"limits": {"turns": 3}}),
        ("limits", {"limits": {"usd": float("nan")}}),
        ("limits", {"limits": {"usd": float("inf")}}),
        ("limits", {"limits": {"seconds": 0}}),
        ("limits", {"limits": {"seconds": 0.5}}),
        ("limits", {"limits": {"steps": 9}}),
        ("limits", {"limits": {"tokens": True}}),
        ("limits", {"limits": []}),
        ("agents", {"agents": ["nobody"]}),
        ("agents", {"agents": ["router"]}),
        ("agents", {"agents": "coder"}),
        ("agents", {"agents": [1]}),
        ("agents", {"agents": ["co\0der"]}),
        ("context", {"context": {"a": ["x\0"]}}),
        ("context", {"context": {"\ud800": 1}}),
        ("context", {"context": {"a": object()}}),
        ("request", {"request": "\ufeff \u200b\u202e"}),
        ("context", {"context": {"a": float("nan")}}),
        ("context", {"context": {"a": "x" * 30_000}}),
        ("context", {"context": [1]}),
        ("idempotency_key", {"idempotency_key": "k" * 201}),
        ("idempotency_key", {"idempotency_key": "k\0"}),
    ],
)
def test_bad_input_is_refused_by_field_and_makes_nothing(project, requester, field, bad):
    with pytest.raises(InvalidInput) as refusal:
        submit(**{"project": project, "requester": requester, "request": "Fix it", **bad})
    assert refusal.value.field == field
    assert not Task.objects.exists()


def test_longest_request_is_accepted(project, requester):
    assert submit(project=project, requester=requester, request="é" * MAX_CHARACTERS).created


def test_stranger_is_refused(project, stranger):
    with pytest.raises(NotAllowed):
        submit(project=project, requester=stranger, request="Fix it")
    assert not Task.objects.exists()


def test_archived_project_takes_nothing(project, requester):
    project.archived_at = project.created_at
    with pytest.raises(InvalidInput):
        submit(project=project, requester=requester, request="Fix it")


def test_disabled_agent_cannot_be_asked_for(project, requester):
    Agent.objects.filter(slug="coder").update(enabled=False)
    with pytest.raises(InvalidInput):
        submit(project=project, requester=requester, request="x", agents=["coder"])
    task = submit(project=project, requester=requester, request="x", agents=["tester"]).task
    assert task.requested_agents == ["tester"]


def test_without_a_router_the_reader_is_told_whom_to_ask(project, requester):
    Agent.objects.filter(slug="router").update(enabled=False)
    with pytest.raises(CountersignError, match="Ask an admin"):
        submit(project=project, requester=requester, request="x")
    assert not Task.objects.exists()


def test_same_key_and_body_is_the_same_task(project, requester):
    first = submit(project=project, requester=requester, request="x", idempotency_key="k")
    again = submit(project=project, requester=requester, request="x", idempotency_key="k")
    assert (again.task.pk, again.created) == (first.task.pk, False)
    assert Task.objects.count() == 1


def test_same_key_and_other_body_is_a_mismatch(project, requester):
    submit(project=project, requester=requester, request="x", idempotency_key="k")
    for other in ({"request": "y"}, {"limits": {"usd": 1}}, {"context": {"a": 1}}):
        with pytest.raises(IdempotencyMismatch):
            submit(
                **{
                    "project": project,
                    "requester": requester,
                    "request": "x",
                    "idempotency_key": "k",
                    **other,
                }
            )


def test_keys_of_two_people_do_not_meet(project, requester, lead):
    submit(project=project, requester=requester, request="x", idempotency_key="k")
    assert submit(project=project, requester=lead, request="y", idempotency_key="k").created


@pytest.mark.django_db(transaction=True)
def test_two_requests_with_one_key_at_once_make_one_task(project, requester):
    start, made = threading.Barrier(6), []

    def ask() -> None:
        start.wait()
        made.append(submit(project=project, requester=requester, request="x", idempotency_key="k"))
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(one.created for one in made) == [False] * 5 + [True]
    assert len({one.task.pk for one in made}) == 1


def test_ring_returns_at_once_when_the_broker_is_down(settings):
    from countersign.celery import app

    url = app.conf.broker_url
    app.conf.broker_url = "redis://127.0.0.1:1/0"
    try:
        began = time.perf_counter()
        for _ in range(100):
            dispatch.ring()
        assert time.perf_counter() - began < 0.2
    finally:
        app.conf.broker_url = url


@pytest.mark.parametrize(
    ("request_text", "title"),
    [
        ("Fix it", "Fix it"),
        ("Fix it! Then rest.", "Fix it!"),
        ("\n\n  One   two\nthree", "One two"),
        ("v1.2 is broken", "v1.2 is broken"),
        ("word " * 40, "word " * 15 + "word…"),
    ],
)
def test_title_is_the_first_sentence_shortened(request_text, title):
    assert title_of(request_text) == title


def test_the_digest_of_a_request_is_spelled_as_it_ever_was(project, requester):
    sender = replace(requests.sender_of(requester, project), project=UUID(int=7))
    plain = '["00000000-0000-0000-0000-000000000007","Fix \\u00fc",null,[],null]'
    more = '["00000000-0000-0000-0000-000000000007","Fix",{"usd":1},[],{"a":2,"b":[1]}]'
    asked = requests.ask(sender, request="Fix ü")
    assert asked.digest == hashlib.sha256(plain.encode()).hexdigest()
    asked = requests.ask(sender, request="Fix", limits={"usd": 1}, context={"b": [1], "a": 2})
    assert asked.digest == hashlib.sha256(more.encode()).hexdigest()
