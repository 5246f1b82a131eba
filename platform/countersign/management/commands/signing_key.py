"""`manage.py signing_key`: prints the public half of the key that this process is given."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from approvals import signing
from approvals.exceptions import CannotSign
from projects.signing_keys import public_half

_HOW = (
    "Name its file: COUNTERSIGN_SIGNING_KEY_FILE=… manage.py signing_key. The one that make up made is "
    "signing-key in the data directory."
)


class Command(BaseCommand):
    """Print what the processes that verify are to be given."""

    help = "Print the public half of COUNTERSIGN_SIGNING_KEY, for COUNTERSIGN_SIGNING_PUBLIC_KEYS."
    requires_system_checks: list[str] = []

    def handle(self, **options: Any) -> None:
        """Print it alone on a line."""
        try:
            signing.require_key()
        except CannotSign as error:
            raise CommandError(f"{error} {_HOW}") from error
        self.stdout.write(public_half(settings.SIGNING_KEY))
