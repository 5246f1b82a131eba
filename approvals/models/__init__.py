"""What people decide: policies with their rules, approvals, signatures, comments, effects."""

from approvals.models.approvals import (
    SEAL,
    SEAL_OF_APPROVAL,
    Approval,
    Comment,
    Effect,
    HunkVerdict,
    Signature,
)
from approvals.models.policies import EffectKind, Policy, PolicyRule, Risk

__all__ = [
    "SEAL",
    "SEAL_OF_APPROVAL",
    "Approval",
    "Comment",
    "Effect",
    "EffectKind",
    "HunkVerdict",
    "Policy",
    "PolicyRule",
    "Risk",
    "Signature",
]
