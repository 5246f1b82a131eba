"""The admin of the approvals floor."""

from approvals.admin import calls, policies, records, standing

__all__ = ["calls", "policies", "records", "standing"]
