"""Tells whether the database has every migration this process knows."""

from __future__ import annotations

import logging
import threading

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

logger = logging.getLogger(__name__)

_known = threading.Event()  # none is ever taken back under a running process


def applied() -> bool:
    """Tell whether none is missing; asked of the database until it is so, and then no more."""
    if not _known.is_set() and _is_complete():
        _known.set()
    return _known.is_set()


def _is_complete() -> bool:
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        logger.warning("not ready: migrations: %s", error)
        return False
    return not missing
