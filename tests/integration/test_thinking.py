"""What a model thinks reaches people apart from what it says, over the wire of a real server."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing

import pytest
import redis

from agents.models import Event
from agents.runtime.chains import read_chain
from agents.runtime.database import in_db
from agents.runtime.performing import perform
from agents.runtime.streaming import tail_key
from agents.seeding import seed_agents
from agents.workspace.demo import create_demo_repository
from countersign.console.streams import events_of, stream_of
from countersign.live.feeds import TaskFeed
from countersign.live.identity import Viewer
from projects import tokens
from tests.live_fixtures import until
from tests.stub_model import Call, Reply
from tests.thinking_fixtures import DONE, make_step, make_task, on_files, serve

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "sk-test-0123456789"
THOUGHT = "Who asked for this? The rounding is in one place, so I begin there, with its tests."
SAID = "I look at the rounding code first, then at its tests, then at the docs."


@pytest.fixture
def task(project, requester, settings, tmp_path):
    settings.DATA_DIR = tmp_path / "data"
    project.repository = str(create_demo_repository(tmp_path / "demo.git"))
    project.save()
    seed_agents()
    return make_task(project, requester)


@pytest.fixture
def served(settings):
    settings.OPENAI_API_KEY = SECRET
    with serve(settings) as start:
        yield start


@pytest.fixture
def viewer(requester):
    token, _ = tokens.issue(requester, name="test")
    return Viewer(user=requester.pk, token=token.pk)


def reply(text: str = SAID, thinking: str = THOUGHT, pace: float = 0) -> Reply:
    return Reply(text=text, thinking=thinking, calls=[Call("report_result", DONE)], pace=pace)


def message_of(task) -> dict:
    return Event.objects.get(task=task, kind="message").data


async def frames_of(feed: TaskFeed, until: int) -> list[dict]:
    """Read what is being written until there are so many characters of the text."""
    found = []
    async with aclosing(feed.items()) as items, asyncio.timeout(20):
        async for item in items:
            frame = json.loads(item.body)
            if frame["kind"] in {"delta", "thinking"}:
                found.append(frame)
            if frame["kind"] == "delta" and frame["offset"] + len(frame["text"]) >= until:
                return found
    raise AssertionError(found)


def joined(frames: list[dict], kind: str) -> str:
    """Put the frames of one kind together; there is no gap between them."""
    text = ""
    for frame in frames:
        if frame["kind"] == kind:
            assert frame["offset"] == len(text)
            text += frame["text"]
    return text


async def test_a_watcher_and_a_late_comer_see_thinking_apart_from_text(
    task, viewer, served, settings
) -> None:
    served(reply(pace=0.1))
    work = await in_db(lambda: on_files(make_step(task, "coder")))
    watching = asyncio.create_task(frames_of(TaskFeed(task.pk, after=0, viewer=viewer), len(SAID)))
    working = asyncio.create_task(perform(work))
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        await until(lambda: client.exists(tail_key(work.step.pk)))
        late = await frames_of(TaskFeed(task.pk, after=0, viewer=viewer), len(SAID))
        frames = await watching
        await working
        for each in (frames, late):
            kinds = [frame["kind"] for frame in each]
            assert kinds == sorted(kinds, reverse=True)  # all thinking comes before all text
            assert (joined(each, "thinking"), joined(each, "delta")) == (THOUGHT, SAID)
        assert len([frame for frame in frames if frame["kind"] == "thinking"]) > 1
        await until(lambda: not client.keys(f"cs:tail:{work.step.pk}*"))


async def test_the_message_holds_it_capped_and_without_secrets(task, served) -> None:
    served(reply(thinking=f"The key is {SECRET}. " + "hm " * 3_000))
    await perform(await in_db(lambda: on_files(make_step(task, "coder"))))
    said = await in_db(message_of, task)
    assert said["text"] == SAID
    assert said["thinking"].startswith("The key is [OPENAI_API_KEY removed]. hm")
    assert said["thinking"].endswith("characters left out …]")
    assert len(said["thinking"]) == 4_000


async def test_a_thought_alone_is_kept_and_told_to_no_agent(task, served) -> None:
    served(reply(text=""))
    work = await in_db(lambda: on_files(make_step(task, "coder")))
    await perform(work)
    (entry, *_) = await in_db(lambda: stream_of(list(events_of(work.step))))
    assert (entry.text, entry.thinking, entry.brief) == ("", THOUGHT, True)
    assert THOUGHT not in json.dumps(await in_db(read_chain, task.pk, "coder"))


async def test_without_a_thought_the_message_is_as_it_was(task, served) -> None:
    served(reply(thinking=""))
    await perform(await in_db(lambda: on_files(make_step(task, "coder"))))
    assert "thinking" not in await in_db(message_of, task)
