"""Test agent: writes and mends tests."""

from agents.roster.tester.agent import SEED

__all__ = ["SEED"]
