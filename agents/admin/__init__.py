"""The admin of the agents floor: configuration to change, work to look at."""

from agents.admin import calls, holding, roster, tools, work

__all__ = ["calls", "holding", "roster", "tools", "work"]
