"""The memory floor."""

from django.apps import AppConfig


class MemoryConfig(AppConfig):
    """Lessons, preferences and facts, their embeddings, links and uses."""

    name = "memory"
