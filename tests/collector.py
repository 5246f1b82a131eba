"""A stand-in for an OpenTelemetry collector: takes OTLP over HTTP and keeps the spans."""

from __future__ import annotations

import gzip
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Callable


class Span:
    """One span as it came."""

    def __init__(self, span: Any, resource: dict[str, Any]) -> None:
        self.name: str = span.name
        self.trace, self.id = span.trace_id.hex(), span.span_id.hex()
        self.parent: str = span.parent_span_id.hex()
        self.facts = {each.key: _value(each.value) for each in span.attributes}
        self.failed = span.status.code == span.status.STATUS_CODE_ERROR
        self.start, self.end = span.start_time_unix_nano, span.end_time_unix_nano
        self.resource = resource


class Collector:
    """Listens on a port of its own; answers with `status` and keeps the spans of what it took."""

    def __init__(self, *, status: int = 200) -> None:
        self.spans: list[Span] = []
        self.headers: list[dict[str, str]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector._take(self)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def until(self, condition: Callable[[list[Span]], object], seconds: float = 20) -> list[Span]:
        deadline = time.monotonic() + seconds
        while not condition(self.spans):
            assert time.monotonic() < deadline, [span.name for span in self.spans]
            time.sleep(0.05)
        return list(self.spans)

    def _take(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        if request.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        assert request.path == "/v1/traces", request.path
        self.headers.append(dict(request.headers.items()))
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = {each.key: _value(each.value) for each in group.resource.attributes}
            found = [span for scope in group.scope_spans for span in scope.spans]
            self.spans += [Span(span, resource) for span in found]


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))
