"""The admin of the agents floor: configuration to change, work to look at."""

from agents.admin import roster, tools, work

__all__ = ["roster", "tools", "work"]
