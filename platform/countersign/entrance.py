"""The way in and out: who signs in or out is entered in the audit log, who is refused is not."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.contrib import auth
from django.db import transaction

from countersign.console.addresses import address_of
from projects import audit

if TYPE_CHECKING:
    from django.http import HttpRequest

    from projects.models import User

logger = logging.getLogger(__name__)


@transaction.atomic
def sign_in(request: HttpRequest, person: User) -> None:
    """Begin the session of a person who was recognised."""
    auth.login(request, person)
    note(request, person, "signed_in")


@transaction.atomic
def sign_out(request: HttpRequest) -> None:
    """End the session, if there is one."""
    person = request.user
    auth.logout(request)
    if person.is_authenticated:
        note(request, person, "signed_out")


def refused(request: HttpRequest) -> None:
    """Say in the log of the process that a sign-in was refused.

    It changes nothing, and anybody may try: entries for it would let who has no account lengthen
    the audit log without end, and hold its lock. Names are left out: people type passwords there.
    """
    logger.warning("A sign-in from %s was refused.", audit.plain(address_of(request)))


def note(request: HttpRequest, person: User, act: str) -> None:
    """Enter what a person did to their own account, in the caller's transaction, as its last act."""
    address = address_of(request)
    audit.record(f"user.{act}", subject=person, actor=person, address=address)
