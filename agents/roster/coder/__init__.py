"""Code agent: changes the program."""

from agents.roster.coder.agent import SEED

__all__ = ["SEED"]
