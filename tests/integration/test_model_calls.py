"""Every answer of a model leaves a row of what it took and used, written with its turn."""

from __future__ import annotations

from datetime import timedelta

import pytest

from agents.models import Attempt, ModelCall
from agents.runtime.contract import Finished
from agents.runtime.database import in_db
from agents.runtime.performing import perform
from countersign.console.trace import reading
from countersign.console.trace.tree import build
from tests.integration import test_performing
from tests.integration.test_performing import report, worked
from tests.stub_model import Reply

pytestmark = pytest.mark.django_db(transaction=True)
task = test_performing.task
served = test_performing.served


def rows() -> tuple[list[ModelCall], Attempt]:
    return list(ModelCall.objects.order_by("response")), Attempt.objects.get()


async def test_an_answer_that_had_to_be_corrected_is_two_calls(task, served) -> None:
    served(report({"status": "perhaps"}), report({"status": "done", "summary": "Found it."}))
    assert isinstance(await perform(await in_db(worked, task)), Finished)
    (first, second), attempt = await in_db(rows)
    assert (first.response, first.repairs, second.response, second.repairs) == (0, 0, 1, 1)
    assert first.model == attempt.model == "openai:stub"
    assert first.input_tokens + second.input_tokens == attempt.input_tokens > 0
    assert first.output_tokens + second.output_tokens == attempt.output_tokens > 0
    assert first.started_at < first.finished_at < second.started_at < second.finished_at
    assert second.finished_at - first.started_at < timedelta(minutes=1)
    assert first.finished_at < attempt.called_at < second.started_at


async def test_a_call_without_an_answer_is_seen_from_the_attempt(task, served) -> None:
    served(Reply(status=503), Reply(status=503), Reply(status=503))
    work = await in_db(worked, task)
    assert not isinstance(await perform(work), Finished)
    calls, attempt = await in_db(rows)
    assert calls == []
    assert attempt.called_at is not None

    def errors() -> list[tuple[str, bool]]:
        spans = build(reading.read(task), by_agent_over=400).spans
        return [(span.title, span.running) for span in spans if span.kind == "model"]

    assert await in_db(errors) == [("Model call", True)]  # until the attempt is settled
