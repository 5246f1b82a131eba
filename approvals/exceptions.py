"""Why a decision, an undo or an effect was refused, in the reader's words."""

from __future__ import annotations

from projects.exceptions import CountersignError, NotAllowed, TransitionRefused


class UnknownApproval(CountersignError, LookupError):
    """There is no such approval."""


class DecisionConflict(TransitionRefused):
    """This approval cannot be decided any more."""


class AlreadyDecided(DecisionConflict):
    """This approval was already decided."""


class StaleApproval(DecisionConflict):
    """Main has moved since this was sealed. Nothing was merged; propose it again."""


class ApprovalExpired(DecisionConflict):
    """Nobody decided in time. Nothing was merged; ask for the decision again."""


class DigestMismatch(CountersignError):
    """What you signed is not what is sealed. Nothing changed; reload the page and look again."""


class NoSuchLine(CountersignError):
    """A comment is on a line that what is sealed does not have. Nothing changed; reload the page."""


class CannotSign(CountersignError):
    """Only the console signs, and this process has no key to sign with. Nothing was signed."""


class RepositoryAway(CountersignError):
    """The repository does not answer as it should. Nothing was changed; try again in a moment."""


class BulkRefused(CountersignError):
    """These cannot be approved together. Nothing was signed."""


class UndoRefused(TransitionRefused):
    """This cannot be undone any more."""


class TooLarge(CountersignError):
    """The change is too large to be shown whole, so it cannot be signed."""


class Refused(CountersignError):
    """What would be carried out is not what was signed. Nothing was done."""


class NotCarriedOut(CountersignError):
    """It was tried and surely not done."""


class NotNow(CountersignError):
    """It was stopped or held before it was sent."""


class Uncertain(CountersignError):
    """It was sent and nobody can tell whether it was done."""


__all__ = [
    "AlreadyDecided",
    "ApprovalExpired",
    "BulkRefused",
    "CannotSign",
    "DecisionConflict",
    "DigestMismatch",
    "NoSuchLine",
    "NotAllowed",
    "NotCarriedOut",
    "Refused",
    "RepositoryAway",
    "StaleApproval",
    "TooLarge",
    "Uncertain",
    "UndoRefused",
    "UnknownApproval",
]
