"""The admin of the agents floor: configuration to change, work to look at."""

from agents.admin import holding, roster, tools, work

__all__ = ["holding", "roster", "tools", "work"]
