"""Errors meant for the reader: the docstring is the default message."""

from __future__ import annotations

import inspect


class CountersignError(Exception):
    """Countersign could not do this."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or inspect.cleandoc(type(self).__doc__ or ""))


class TransitionRefused(CountersignError):
    """This cannot be done any more: its state has changed in the meantime."""


class NotAllowed(CountersignError):
    """You are not allowed to do this in this project."""


class InvalidInput(CountersignError):
    """The input cannot be accepted."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
