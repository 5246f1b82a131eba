"""What the drawer of a span shows: input, output, version and memory, and whatever else may stand there."""

from __future__ import annotations

from agents.models import AgentVersion, Attempt, ModelCall, Step, ToolCall
from countersign.console.trace.spans import MODEL, TOOL, key_of
from memory.lifecycle import MemoryState
from tests import console_fixtures as fixtures
from tests import trace_fixtures as traces
from tests.integration import test_trace_page
from tests.integration.test_trace_page import HTMX

task = test_trace_page.task
opened = test_trace_page.opened


def test_a_model_call_shows_what_was_sent_and_answered_and_its_version(opened, task):
    call = ModelCall.objects.get(repairs=1)
    page = opened(task, f"?span={key_of(MODEL, call.pk)}")
    drawer = page[page.index('id="span"') :]
    assert "Result of" in drawer
    assert "48 lines" in drawer
    assert "billing/invoice.py" in drawer
    assert "Round tax once." not in drawer  # of the turn before
    version = task.steps.get(key="fix-rounding").version
    assert f"Code agent v{version.number}" in drawer
    fragment = opened(task, f"?span={key_of(MODEL, call.pk)}&part=span", **HTMX)
    assert "<html" not in fragment
    assert "48 lines" in fragment


def test_a_call_that_is_not_kept_says_so(opened, task):
    call = ModelCall.objects.filter(attempt__step__key="cover").get()
    assert "not kept" in opened(task, f"?span={key_of(MODEL, call.pk)}")


def test_a_long_text_is_cut_and_all_of_it_one_link_away(opened, task):
    call = ToolCall.objects.get(tool="edit_file")
    ToolCall.objects.filter(pk=call.pk).update(result="a" * 19_000 + "the end")
    query = f"?span={key_of(TOOL, call.pk)}"
    page = opened(task, query)
    assert "the end" not in page
    assert "Show all 19007 characters" in page
    assert "the end" in opened(task, query + "&whole=1")


def test_hostile_text_is_only_text(opened, task):
    call = ToolCall.objects.get(tool="edit_file")
    ToolCall.objects.filter(pk=call.pk).update(tool=traces.HOSTILE[:120], summary=traces.HOSTILE)
    Step.objects.filter(task=task).update(title=traces.HOSTILE)
    Attempt.objects.filter(step__task=task).update(error=traces.HOSTILE)
    for query in ("", f"?span={key_of(TOOL, call.pk)}&q=%3Cscript%3E", "?errors=1"):
        page = opened(task, query)
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "&lt;script&gt;alert" in page


def test_hidden_characters_are_made_visible(opened, task):
    ToolCall.objects.filter(tool="edit_file").update(summary="pay\u202eload")
    assert "U+202E" in opened(task)


def test_memory_used_is_shown_until_it_is_forgotten(opened, task, project, lead):
    step = task.steps.get(key="fix-rounding")
    lesson = fixtures.make_lesson(project, lead)
    made = fixtures.Made(task=task, steps={"coder": step})
    fixtures.use_lesson(lesson, made)
    attempt = step.attempts.get(number=2)
    text = f"Do it.\n- [{lesson.pk}] lesson, confirmed by Dana on 2026-01-01: {lesson.content}"
    attempt.checkpoint["messages"][2]["parts"] = [traces.prompt(text)]
    attempt.save()
    query = f"?span={key_of(MODEL, ModelCall.objects.get(repairs=1).pk)}"
    page = opened(task, query)
    assert page.count(lesson.content) == 2  # as memory used, and as it was sent
    type(lesson).objects.filter(pk=lesson.pk).update(
        state=MemoryState.ERASED, content="", text_digest="", subject=""
    )
    page = opened(task, query)
    assert lesson.content not in page
    assert "a memory that was forgotten" in page


def test_only_staff_is_led_to_the_prompt_in_the_admin(client, opened, task, requester):
    call = ModelCall.objects.get(repairs=1)
    query = f"?span={key_of(MODEL, call.pk)}"
    assert "/admin/" not in opened(task, query)
    requester.is_staff = requester.is_superuser = True
    requester.save()
    version = AgentVersion.objects.get(steps__key="fix-rounding")
    assert f"/admin/agents/agentversion/{version.pk}/change/" in opened(task, query)


def test_a_span_of_another_task_is_not_shown(opened, task, project, requester):
    other = traces.traced_task(project, requester)
    call = ToolCall.objects.get(tool="edit_file", attempt__step__task=other)
    page = opened(task, f"?span={key_of(TOOL, call.pk)}")
    assert "span-open" not in page
