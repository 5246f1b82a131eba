"""Celery carries doorbells and nothing else."""

from __future__ import annotations

import inspect
import subprocess
import sys
import threading

import celery

from countersign.celery import app


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
