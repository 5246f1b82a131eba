"""What people do beside deciding, to an approval and to a call alike: put off, wake, assign, release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.response import Response

from approvals import routing, snoozing
from countersign.api.approvals.routing import (
    AssignmentInput,
    AssignmentShape,
    SnoozedShape,
    SnoozeInput,
)
from notices import quiet

if TYPE_CHECKING:
    from approvals.rights import Decidable
    from countersign.api.endpoint import Endpoint


def put_off(view: Endpoint, found: Decidable) -> Response:
    """Put it off until the body says; twice moves the end."""
    body, by = view.body(SnoozeInput), view.person
    if "until" in body:
        kept = snoozing.snooze(found, by=by, until=body["until"], address=view.address)
    else:
        clock = quiet.clock_of(by)
        kept = snoozing.put_off(found, body["span"], by=by, clock=clock, address=view.address)
    return Response(SnoozedShape(kept).data)


def wake(view: Endpoint, found: Decidable) -> Response:
    """Take it back from where it was put off; twice changes nothing."""
    snoozing.wake(found, by=view.person, address=view.address)
    return Response(status=204)


def assign(view: Endpoint, found: Decidable) -> Response:
    """Give it to who is named in the body; without a name, to who asks."""
    body = view.body(AssignmentInput)
    if "to" in body:
        held = routing.assign(found, body["to"], by=view.person, address=view.address)
    else:
        held = routing.claim(found, by=view.person, address=view.address)
    return Response(AssignmentShape(held).data)


def release(view: Endpoint, found: Decidable) -> Response:
    """Give it back; twice changes nothing."""
    routing.release(found, by=view.person, address=view.address)
    return Response(status=204)
