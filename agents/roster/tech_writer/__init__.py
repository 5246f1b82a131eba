"""Tech writer: keeps the documentation true."""

from agents.roster.tech_writer.agent import SEED

__all__ = ["SEED"]
