"""The other two providers over their real HTTP protocols: Anthropic and Ollama."""

from __future__ import annotations

import httpx
import pytest

from agents.models import Attempt
from agents.notes import add_note
from agents.runtime.contract import Finished
from agents.runtime.database import in_db
from agents.runtime.performing import perform
from agents.seeding import seed_agents
from tests.stub_anthropic import StubAnthropic
from tests.stub_model import Call, Reply, StubModel, sequence
from tests.thinking_fixtures import DONE, PLAN, limited, make_step, make_task, make_work

pytestmark = pytest.mark.django_db(transaction=True)
KEY = "sk-ant-test-0123456789"


def work_of(project, requester, model: str, slug: str, kind: str):
    seed_agents()
    task = make_task(project, requester, model=model)
    return make_work(make_step(task, slug, kind=kind))


async def test_anthropic_streams_a_validated_plan(project, requester, settings) -> None:
    settings.ANTHROPIC_API_KEY = KEY
    with StubAnthropic(
        Reply(text="I look.", calls=[Call("submit_plan", {**PLAN, "steps": []})]),
        Reply(text="Corrected.", calls=[Call("submit_plan", PLAN)], tokens=(300, 40)),
    ) as server:
        settings.ANTHROPIC_BASE_URL = server.base_url
        work = await in_db(work_of, project, requester, "anthropic:stub", "router", "route")
        outcome = await perform(work)
    assert isinstance(outcome, Finished), outcome
    assert outcome.output.steps[0].id == "mend"
    assert {path.partition("?")[0] for path, _, _ in server.requests} == {"/v1/messages"}
    _, headers, body = server.requests[0]
    assert httpx.Headers(headers)["authorization"] == f"Bearer {KEY}"
    assert body["stream"] is True
    attempt = await in_db(Attempt.objects.get, pk=work.attempt.pk)
    assert (attempt.input_tokens, attempt.output_tokens) == (400, 60)


async def test_ollama_is_reached_at_its_own_address_without_a_key(
    project, requester, settings
) -> None:
    settings.OPENAI_BASE_URL = "http://127.0.0.1:9/v1"
    with StubModel(sequence(Reply(calls=[Call("report_result", DONE)]))) as server:
        settings.OLLAMA_BASE_URL = server.base_url
        work = await in_db(work_of, project, requester, "ollama:qwen3", "coder", "work")
        outcome = await perform(work)
    assert isinstance(outcome, Finished), outcome
    assert [request.body["model"] for request in server.requests] == ["qwen3"]


@pytest.mark.parametrize("model", ["openai:stub", "ollama:qwen3"])
async def test_nothing_is_said_as_the_system_once_the_conversation_runs(
    model, project, requester, settings
) -> None:
    replies = (Reply(text="I am done, I think."), Reply(text="Done."), _handed_in())
    with StubModel(sequence(*replies)) as server:
        settings.OPENAI_BASE_URL = settings.OLLAMA_BASE_URL = server.base_url

        def prepare():
            seed_agents()
            limited("coder", max_turns=3)
            work = work_of(project, requester, model, "coder", "work")
            add_note(work.step.task, text="Mind the README.", by=requester)
            return work

        work = await in_db(prepare)
        outcome = await perform(work)
    assert isinstance(outcome, Finished), outcome
    assert len(server.requests) == 3
    for request in server.requests:
        roles = [message["role"] for message in request.messages]
        assert roles[0] == "system"
        assert {"system", "developer"}.isdisjoint(roles[1:]), roles
    last = server.requests[-1].prompt
    assert "tool call" in last
    assert "Mind the README." in last


def _handed_in() -> Reply:
    return Reply(calls=[Call("report_result", DONE)])
