"""Router: turns a request into a plan."""

from agents.roster.router.agent import SEED

__all__ = ["SEED"]
