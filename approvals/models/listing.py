"""Approvals in the lists of single agents and requesters, in the orders an inbox is read in."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from approvals.lifecycle import ApprovalState
from approvals.models.approvals import Approval
from projects.models import Project

UNDER_AGENT, UNDER_REQUESTER = "agent:", "requester:"
# What else a filter asks of a row: an index tells it without a look at the row.
_NARROWED = ["cost", "requester"]


class Listed(models.Model):
    """An approval in the list of an agent whose work is in it, or of who asked for it.

    Kept by triggers of approvals: one for each name as it is sealed, moved on as it is over. Where
    few fit, the whole of a project would be read to find them; here they stand next to each other.
    """

    pk = models.CompositePrimaryKey("approval_id", "under")
    approval = models.ForeignKey(Approval, models.CASCADE, related_name="+", db_index=False)
    under = models.CharField(max_length=80, help_text="agent:SLUG or requester:ID.")
    project = models.ForeignKey(Project, models.CASCADE, related_name="+", db_index=False)
    # As the approval has them.
    risk_rank = models.SmallIntegerField()
    cost = models.DecimalField(max_digits=12, decimal_places=6, null=True)
    requester = models.UUIDField()
    state = models.CharField(max_length=17, choices=ApprovalState)
    expires_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)

    objects: ClassVar[models.Manager[Listed]] = models.Manager()

    class Meta:
        indexes = [
            # One for each order of what waits, and one for what is over.
            models.Index(
                fields=["project", "under", "expires_at", "approval"],
                include=["risk_rank", *_NARROWED],
                name="listed_by_due",
                condition=Q(decided_at=None),
            ),
            models.Index(
                fields=["project", "under", "risk_rank", "expires_at", "approval"],
                include=[*_NARROWED],
                name="listed_by_risk",
                condition=Q(decided_at=None),
            ),
            models.Index(
                fields=["project", "under", "approval"],
                include=["risk_rank", "expires_at", *_NARROWED],
                name="listed_by_age",
                condition=Q(decided_at=None),
            ),
            models.Index(
                fields=["project", "under", "-decided_at", "-approval"],
                include=["risk_rank", "state", *_NARROWED],
                name="listed_over",
                condition=Q(decided_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.under}: {self.approval_id}"
