"""The floor of notices."""

from django.apps import AppConfig


class NoticesConfig(AppConfig):
    """What people are told, by which channel, and what became of it."""

    name = "notices"
