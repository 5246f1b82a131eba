"""The roof: settings, web, commands."""

from django.apps import AppConfig


class CountersignConfig(AppConfig):
    """Commands, template tags and pages; owns no tables."""

    name = "countersign"
