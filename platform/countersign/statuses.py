"""Which HTTP status an error of the domain has: one answer for the pages and the API."""

from __future__ import annotations

from agents.accepting import IdempotencyMismatch, NotStorable
from agents.quotas import QuotaUsed
from approvals.calls.exceptions import CallMismatch, UnknownCall
from approvals.exceptions import (
    CannotSign,
    DigestMismatch,
    NoSuchLine,
    RepositoryAway,
    UnknownApproval,
)
from approvals.standing.exceptions import UnknownGrant
from projects.exceptions import CountersignError, InvalidInput, NotAllowed

# Every other CountersignError is a 409: asked for correctly, but not possible as things stand.
_STATUS_OF: dict[type[CountersignError], int] = {
    InvalidInput: 400,
    NotStorable: 400,
    NotAllowed: 403,
    UnknownApproval: 404,
    UnknownCall: 404,
    UnknownGrant: 404,
    IdempotencyMismatch: 422,
    DigestMismatch: 422,
    CallMismatch: 422,
    NoSuchLine: 422,
    QuotaUsed: 429,
    CannotSign: 503,
    RepositoryAway: 503,
}


def status_of(error: CountersignError) -> int:
    """Return the status of the answer that tells of this error."""
    return next((code for kind, code in _STATUS_OF.items() if isinstance(error, kind)), 409)
