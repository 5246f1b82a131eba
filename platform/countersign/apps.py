"""The roof: settings, web, commands."""

from django.apps import AppConfig

# Before any task module: shared tasks bind to the app that exists. Not in the package itself,
# because the supervisor lives there too and does without Celery.
from countersign.celery import app as celery_app  # noqa: F401


class CountersignConfig(AppConfig):
    """Commands, template tags and pages; its one table is the event sink's."""

    name = "countersign"

    def ready(self) -> None:
        """Register the system checks."""
        from countersign import checks  # noqa: F401 -- importing registers them
