"""The keyless, labelled model: scripted moves, but every statement read from what tools gave."""

from agents.runtime.rehearsal.model import rehearsal_model

__all__ = ["rehearsal_model"]
