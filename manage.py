#!/usr/bin/env python3
"""Countersign's command line: `manage.py up`, `manage.py submit`, and Django's own commands."""

import os
import sys
from pathlib import Path


def main() -> None:
    """Run one management command."""
    # platform/ is a source folder, not a package: as a package it would shadow
    # the standard library's `platform`.
    sys.path.insert(0, str(Path(__file__).resolve().parent / "platform"))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "countersign.settings")
    if sys.argv[1:2] == ["up"]:
        # It runs for as long as Countersign does, so it stays small: no Django.
        from countersign.supervisor.command import main as up

        sys.exit(up(sys.argv[2:]))
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
