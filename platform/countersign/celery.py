"""The Celery app: it carries doorbells to the worker processes."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "countersign.settings")

app = Celery("countersign")
app.set_default()  # "current" holds for one thread only, and bells are rung from others
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
