"""Spans reach a collector after their commit, name what the conventions name, and nothing secret."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time

import pytest

from agents import telemetry
from agents.lifecycle import AttemptState
from agents.models import Attempt, Escalation, ModelCall, Task, ToolCall
from agents.runtime.redaction import clean
from agents.telemetry import exporting
from tests import trace_fixtures as traces
from tests.collector import Collector
from tests.integration import test_worker_rehearsal
from tests.worker_fixtures import Workers, until

pytestmark = pytest.mark.django_db(transaction=True)
story = test_worker_rehearsal.task


@pytest.fixture
def task(project, requester):
    yield traces.traced_task(project, requester)
    telemetry.flush()
    until(lambda: "telemetry" not in {thread.name for thread in threading.enumerate()}, 20)
    exporting._sender = exporting._Sender()


@pytest.fixture
def collector(settings):
    with Collector() as one:
        settings.OTEL_ENDPOINT = f"{one.url}/v1/traces"
        yield one


def tell(task) -> None:
    """Say of every attempt that it has ended, as the runtime does; some have not."""
    for attempt in Attempt.objects.filter(step__task=task):
        telemetry.ended(attempt.step_id, attempt.number)


def by_name(spans, name: str) -> list:
    return [span for span in spans if span.name == name]


def test_a_task_is_one_trace_of_agents_with_their_calls(task, collector):
    tell(task)
    telemetry.flush()
    spans = collector.spans
    assert {span.trace for span in spans} == {task.pk.hex}
    assert {span.facts["gen_ai.conversation.id"] for span in spans} == {str(task.pk)}
    (root,) = [span for span in spans if not span.parent]
    assert root.name == "invoke_agent Router"
    known = {span.id for span in spans}
    assert all(span.parent in known for span in spans if span.parent)
    assert len(known) == len(spans)
    assert {span.facts["gen_ai.operation.name"] for span in spans} == {
        "invoke_agent",
        "chat",
        "execute_tool",
    }
    assert {span.resource["service.name"] for span in spans} == {"countersign"}


def test_spans_say_what_the_conventions_ask_for(task, collector):
    tell(task)
    telemetry.flush()
    root = by_name(collector.spans, "invoke_agent Router")[0]
    chat = next(span for span in collector.spans if span.parent == root.id and "chat" in span.name)
    row = ModelCall.objects.get(attempt__step__key="route")
    assert chat.name == "chat gpt-5"
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5",
        "gen_ai.usage.input_tokens": row.input_tokens,
        "gen_ai.usage.output_tokens": row.output_tokens,
        "gen_ai.agent.name": "Router",
        "countersign.usd": float(row.usd),
    }
    assert expected.items() <= chat.facts.items()
    assert (chat.end - chat.start) / 1e9 == pytest.approx(5.6, abs=0.001)
    assert root.facts["gen_ai.agent.id"] == "router"
    assert root.facts["countersign.task"] == task.label


def test_errors_carry_their_class_and_a_question_is_below_its_call(task, collector):
    Escalation.objects.create(
        task=task, step=task.steps.get(key="docs"), attempt=1, rule="max_turns", detail="Used.", options=[]
    )  # fmt: skip
    Attempt.objects.filter(step__key="docs", number=1).update(state=AttemptState.ESCALATED)
    tell(task)
    telemetry.flush()
    spans = collector.spans
    failed = {(span.name, span.facts["error.type"]) for span in spans if span.failed}
    assert failed == {
        ("invoke_agent Code agent", "lost"),
        ("invoke_agent Tech writer", "max_turns"),
        ("execute_tool read_file", "FileNotFoundError"),
        ("chat gpt-5", "_OTHER"),
    }
    (asking,) = by_name(spans, "execute_tool ask_agent")
    assert [span.name for span in spans if span.parent == asking.id] == ["invoke_agent Code agent"]


def test_what_still_runs_is_not_told_of(task, collector):
    running = Attempt.objects.filter(step__task=task, finished_at=None)
    for attempt in running:
        telemetry.ended(attempt.step_id, attempt.number)
    telemetry.flush()
    assert running.count() == 2
    assert collector.spans == []


def test_no_text_of_models_tools_or_people_leaves(task, collector):
    secret = "THE SECRET WORD"
    ToolCall.objects.update(arguments={"path": secret}, result=secret, summary=secret)
    Attempt.objects.update(error=secret, checkpoint={"messages": [{"parts": [{"text": secret}]}]})
    task.steps.update(title=secret, instructions=secret, reason=secret, result={"summary": secret})
    type(task).objects.update(request=secret, title=secret)
    tell(task)
    telemetry.flush()
    assert len(collector.spans) > 10
    told = repr([(span.name, span.facts, span.resource) for span in collector.spans])
    assert secret not in told


def test_headers_go_with_every_request_and_are_kept_from_models(task, collector, settings):
    settings.OTEL_HEADERS = "authorization=Bearer%20abcdef-1234567,x-tenant=billing-department"
    tell(task)
    telemetry.flush()
    assert collector.headers[0]["authorization"] == "Bearer abcdef-1234567"
    assert "abcdef" not in clean("the key is abcdef-1234567")
    assert "billing-department" in clean("ask the billing-department")


def test_twice_is_the_same_span(task, collector):
    tell(task)
    telemetry.flush()
    first = {span.id for span in collector.spans}
    tell(task)
    telemetry.flush()
    assert {span.id for span in collector.spans} == first


def test_without_an_endpoint_nothing_begins(task, settings):
    settings.OTEL_ENDPOINT = ""
    tell(task)
    assert exporting._sender._thread is None


@pytest.mark.parametrize("away", ["refuses", "is silent", "fails"])
def test_a_dead_collector_holds_nobody_up(task, settings, away):
    with socket.socket() as silent, Collector(status=500) as failing:
        silent.bind(("127.0.0.1", 0))
        if away == "is silent":
            silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings.OTEL_ENDPOINT = f"{failing.url if away == 'fails' else url}/v1/traces"
        pairs = list(Attempt.objects.filter(step__task=task).values_list("step_id", "number"))
        began = time.monotonic()
        for _ in range(1_000):
            for pair in pairs:
                telemetry.ended(*pair)
        assert time.monotonic() - began < 2
        assert exporting._sender._waiting.qsize() <= exporting._WAITING
        began = time.monotonic()
        telemetry.flush()
        assert time.monotonic() - began < exporting._FLUSH_SECONDS + 1


def test_a_worker_sends_what_it_settled(story, tmp_path):
    """The whole way: a real worker, its own process, its own queue."""
    sent = {"OTEL_EXPORTER_OTLP_ENDPOINT": "", "OTEL_SERVICE_NAME": "our-countersign"}
    with Collector() as collector:
        sent["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.url
        with Workers(tmp_path, COUNTERSIGN_MODEL="rehearsal", **sent) as workers:
            workers.start("sending")
            until(lambda: Task.objects.get().state == "review", 90)
            spans = collector.until(lambda spans: by_name(spans, "invoke_agent Aggregator"))
    (root,) = by_name(spans, "invoke_agent Router")
    assert {span.trace for span in spans} == {story.pk.hex}
    assert {span.resource["service.name"] for span in spans} == {"our-countersign"}
    assert {span.parent for span in spans if span.name.startswith("invoke_agent")} == {"", root.id}
    chats = by_name(spans, "chat rehearsal")
    assert len(chats) == ModelCall.objects.filter(attempt__finished_at__isnull=False).count()
    assert {span.facts["gen_ai.provider.name"] for span in chats} == {"countersign.rehearsal"}


def test_the_web_never_loads_the_sdk():
    code = (
        "import django, sys; django.setup(); import countersign.urls, countersign.asgi, agents.telemetry;"
        "print([m for m in sys.modules if m.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
    assert "opentelemetry" in sys.modules  # it is there to be loaded
