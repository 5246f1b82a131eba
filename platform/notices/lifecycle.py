"""The states of a delivery, and every legal move."""

from __future__ import annotations

from django.db import models


class DeliveryState(models.TextChoices):
    """What is known of one message to one receiver."""

    WAITING = "waiting", "Waits"  # until its time: new, after a failure, or for quiet hours
    SENDING = "sending", "Being sent"  # after a crash it is sent again, under the same id
    SENT = "sent", "Sent"
    GIVEN_UP = "given_up", "Given up"
    WITHDRAWN = "withdrawn", "No longer needed"


_D = DeliveryState
DELIVERY_MOVES: dict[str, frozenset[str]] = {
    # given up: its receiver took nothing for days
    _D.WAITING: frozenset({_D.SENDING, _D.GIVEN_UP}),
    # sending: the process that sent it died; waiting: it failed, or it is the middle of a night
    _D.SENDING: frozenset({_D.SENDING, _D.SENT, _D.WAITING, _D.GIVEN_UP, _D.WITHDRAWN}),
    # waiting: an admin sends it again
    _D.SENT: frozenset({_D.WAITING}),
    _D.GIVEN_UP: frozenset({_D.WAITING}),
    _D.WITHDRAWN: frozenset(),
}
TERMINAL = (_D.SENT, _D.GIVEN_UP, _D.WITHDRAWN)
OPEN = (_D.WAITING, _D.SENDING)
