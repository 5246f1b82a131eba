"""The admin of the approvals floor."""

from approvals.admin import policies, records

__all__ = ["policies", "records"]
