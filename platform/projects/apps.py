"""The ground floor: people, projects, membership, tokens, audit."""

from django.apps import AppConfig


class ProjectsConfig(AppConfig):
    """People, projects and what they may see and do."""

    name = "projects"
