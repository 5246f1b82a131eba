"""Sends spans after the fact: ended attempts are queued, one thread reads their rows and exports.

The runtime only ever appends to a bounded queue: a collector that is slow or away costs it nothing,
and what does not fit is let go. Rows are read after their commit, so no span tells of what was not.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import connection

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator

    from opentelemetry.sdk.trace.export import SpanExporter

logger = logging.getLogger(__name__)

_WAITING = 4_096  # attempts
_AT_ONCE = 64
_TELL_SECONDS = 60.0  # between two complaints
_FLUSH_SECONDS = 2.0

Ended = tuple["uuid.UUID", int]  # a step, and the number of its attempt


class _Sender:
    """The queue and its thread, which starts with the first attempt."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[Ended | None] = queue.Queue(_WAITING)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._exporter: SpanExporter | None = None
        self._over = threading.Event()
        self._dropped = 0
        self._told_at = -_TELL_SECONDS

    def add(self, ended: Ended) -> None:
        """Queue one attempt; never waits."""
        try:
            self._waiting.put_nowait(ended)
        except queue.Full:
            self._dropped += 1
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._over.clear()
                self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
                # Without a thread to spare the work goes on, and nobody is told of it.
                with contextlib.suppress(RuntimeError):
                    self._thread.start()

    def flush(self) -> None:
        """Send what waits and end the thread; after a moment what is left is let go."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is None:
            return
        self._wake()
        thread.join(_FLUSH_SECONDS)
        if thread.is_alive():
            self._over.set()
            self._wake()  # it may have been too full before
            if self._exporter is not None:
                self._exporter.shutdown()  # ends its waiting for the collector

    def _wake(self) -> None:
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(None)

    def _run(self) -> None:
        try:
            exporter = self._exporter = _exporter()
        except Exception:
            logger.exception("no span is sent: OTEL_EXPORTER_OTLP_ENDPOINT cannot be used")
            return
        try:
            for batch in self._batches():
                self._send(exporter, batch)
        finally:
            exporter.shutdown()
            connection.close()

    def _batches(self) -> Iterator[list[Ended]]:
        """Yield attempts as they come, together what waits together, until the flush."""
        found: list[Ended] = []
        while (each := self._waiting.get()) is not None and not self._over.is_set():
            found.append(each)
            if len(found) == _AT_ONCE or self._waiting.empty():
                yield found
                found = []
        if found and not self._over.is_set():
            yield found

    def _send(self, exporter: SpanExporter, batch: list[Ended]) -> None:
        from opentelemetry.sdk.trace.export import SpanExportResult

        from agents.telemetry.conventions import spans_of

        try:
            spans = spans_of(batch)
            if not spans or exporter.export(spans) == SpanExportResult.SUCCESS:
                return
            why = "the collector does not take them"
        except Exception as error:  # noqa: BLE001  # whatever it is, the work goes on without
            connection.close()
            why = f"{type(error).__name__}: {error}"
        self._dropped += len(batch)
        if not self._over.is_set():
            self._tell(why)

    def _tell(self, why: str) -> None:
        if time.monotonic() - self._told_at >= _TELL_SECONDS:
            self._told_at = time.monotonic()
            logger.warning("spans of %s attempts were not sent: %s", self._dropped, why)
            self._dropped = 0


_sender = _Sender()


def ended(step: uuid.UUID, attempt: int) -> None:
    """Say that an attempt has ended and is committed; does nothing without an endpoint."""
    if settings.OTEL_ENDPOINT:
        _sender.add((step, attempt))


def flush() -> None:
    """Send what waits, for at most two seconds; the process ends."""
    _sender.flush()


def _exporter() -> SpanExporter:
    # Here and not above: only a worker that exports needs the SDK's memory.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.util.re import parse_env_headers

    headers = parse_env_headers(settings.OTEL_HEADERS, liberal=True)
    return OTLPSpanExporter(endpoint=settings.OTEL_ENDPOINT, headers=headers)
