"""The roof of the house: settings, API, console, live updates, commands."""

from countersign.celery import app as celery_app

__all__ = ["celery_app"]
