"""Aggregator: makes one proposal of everybody's work."""

from agents.roster.aggregator.agent import SEED

__all__ = ["SEED"]
