"""The approvals floor."""

from django.apps import AppConfig


class ApprovalsConfig(AppConfig):
    """Approvals, signatures, policies, comments and effects."""

    name = "approvals"
