"""Celery carries doorbells and nothing else."""

from __future__ import annotations

import inspect
import subprocess
import sys
import threading
from types import SimpleNamespace

import celery
import pytest
from celery.concurrency.solo import TaskPool
from celery.worker import state
from kombu import Connection
from kombu.asynchronous.timer import Timer

from agents.dispatch import QUEUE, TASK
from countersign.celery import app
from countersign.consumer import DoorbellConsumer


def test_no_celery_task_is_a_coroutine_function():
    app.loader.import_default_modules()
    ours = [task for name, task in app.tasks.items() if not name.startswith("celery.")]
    assert {task.name for task in ours} >= {"agents.bell", "approvals.bell"}
    assert not [task.name for task in ours if inspect.iscoroutinefunction(task.run)]


def test_bells_rung_from_any_thread_go_to_our_broker():
    found = []
    thread = threading.Thread(target=lambda: found.append(celery.current_app.main))
    thread.start()
    thread.join()
    assert found == ["countersign"]


def test_web_process_never_imports_the_model_libraries():
    code = (
        "import os, sys; os.environ['DJANGO_SETTINGS_MODULE'] = 'countersign.settings';"
        "import django; django.setup();"
        "import agents.intake, agents.tasks, agents.escalations, agents.rounds;"
        "print([name for name in ('pydantic_ai', 'openai', 'anthropic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("task", [TASK, "nobody.knows.it"])
def test_a_bell_leaves_nothing_behind_in_its_channel(task):
    app.loader.import_default_modules()
    taken = []
    worker = {"controller": SimpleNamespace(state=state), "timer": Timer(), "hostname": "w"}
    consumer = DoorbellConsumer(taken.append, app=app, pool=TaskPool(1, app=app), **worker)
    with Connection("memory://") as connection:
        channel = connection.channel()
        queue = app.amqp.queues[QUEUE]
        consumer.task_consumer = app.amqp.TaskConsumer(channel, queues=[queue])
        consumer.update_strategies()
        consumer.task_consumer.on_message = consumer.create_task_handler()
        consumer.task_consumer.consume()
        for _ in range(3):
            app.send_task(task, queue=queue, connection=connection)
            connection.drain_events(timeout=5)
        for request in taken:
            request.acknowledge()
        assert len(taken) == (3 if task == TASK else 0)
        assert not channel.qos._delivered
        assert not channel.qos._dirty
