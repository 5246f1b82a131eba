"""What can be wrong with the choice of a model."""

from __future__ import annotations

from projects.exceptions import CountersignError


class ModelMisnamed(CountersignError):
    """The model choice cannot be used."""


class CannotBegin(Exception):
    """Of steps that were to begin together one could not; the transaction is lost."""
