"""Keeps out of our processes what libraries load only because it is installed."""

from __future__ import annotations

import importlib
import sys

_SDK = "opentelemetry.sdk.metrics"


def import_redis() -> None:
    """Import redis without the OpenTelemetry SDK, which it would load for metrics nobody reads.

    3 MB in every process; only an agent worker that sends spans needs the SDK, and loads it then.
    """
    if _SDK in sys.modules:
        return
    sys.modules[_SDK] = None  # type: ignore[assignment]  # how Python spells "not to be found"
    try:
        importlib.import_module("redis")
    finally:
        del sys.modules[_SDK]
