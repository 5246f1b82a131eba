"""OpenTelemetry spans of ended attempts, for a collector of one's own; nothing without an endpoint."""

from agents.telemetry.exporting import ended, flush

__all__ = ["ended", "flush"]
