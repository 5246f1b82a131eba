"""The agents floor."""

from django.apps import AppConfig


class AgentsConfig(AppConfig):
    """Tasks, plans, steps, proposals, and the agents and tools that make them."""

    name = "agents"
