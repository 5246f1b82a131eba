"""Why a decision on a call was refused, in the reader's words."""

from __future__ import annotations

from approvals.exceptions import DecisionConflict
from projects.exceptions import CountersignError


class UnknownCall(CountersignError, LookupError):
    """There is no such call."""


class CallOver(DecisionConflict):
    """This call cannot be decided any more."""


class CallMismatch(CountersignError):
    """What you decided is not what is sealed. Nothing changed; reload the page and look again."""
