"""What people decide: policies with their rules, approvals, signatures, comments, edits, effects."""

from approvals.models.absences import Absence, Delegation
from approvals.models.approvals import (
    COSTS,
    RANKS,
    SEAL,
    SEAL_OF_APPROVAL,
    Approval,
    Effect,
    Signature,
)
from approvals.models.calls import CallApproval, CallSignature
from approvals.models.collisions import Collision
from approvals.models.comments import MAX_QUOTE, Comment, HunkVerdict, Side
from approvals.models.editing import Edit
from approvals.models.listing import UNDER_AGENT, UNDER_REQUESTER, Listed
from approvals.models.policies import (
    AtExpiry,
    EffectKind,
    Policy,
    PolicyRule,
    ReadWhole,
    Remember,
    Remind,
    Risk,
)
from approvals.models.reminders import CallReminder, Reminder, Share
from approvals.models.routing import Assignment, CallAssignment
from approvals.models.snoozing import CallSnooze, Snooze
from approvals.models.standing import Standing, StandingGrant, StandingUse
from approvals.models.viewing import Viewed
from approvals.models.views import MOST_VIEWS, SavedView, Sort

__all__ = [
    "COSTS",
    "MAX_QUOTE",
    "MOST_VIEWS",
    "RANKS",
    "SEAL",
    "SEAL_OF_APPROVAL",
    "UNDER_AGENT",
    "UNDER_REQUESTER",
    "Absence",
    "Approval",
    "Assignment",
    "AtExpiry",
    "CallApproval",
    "CallAssignment",
    "CallReminder",
    "CallSignature",
    "CallSnooze",
    "Collision",
    "Comment",
    "Delegation",
    "Edit",
    "Effect",
    "EffectKind",
    "HunkVerdict",
    "Listed",
    "Policy",
    "PolicyRule",
    "ReadWhole",
    "Remember",
    "Remind",
    "Reminder",
    "Risk",
    "SavedView",
    "Share",
    "Side",
    "Signature",
    "Snooze",
    "Sort",
    "Standing",
    "StandingGrant",
    "StandingUse",
    "Viewed",
]
