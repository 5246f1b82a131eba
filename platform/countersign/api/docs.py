"""The OpenAPI document and the page that browses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.response import Response

# Swagger UI sets styles from its script and draws its icons from data: URLs. Nothing else is
# relaxed: its script is a file of ours, and it may call only this server.
DOCS_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "object-src 'none'",
    )
)


class Schema(SpectacularAPIView):
    """The document, for anybody: it names no data."""

    authentication_classes = []
    permission_classes = []


class Docs(SpectacularSwaggerSplitView):
    """The page."""

    # To be asked for its OPTIONS it would look for a template that it has not.
    http_method_names = ["get", "head"]
    authentication_classes = []
    permission_classes = []

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        """Send the page's own policy in place of the console's."""
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Content-Security-Policy"] = DOCS_POLICY
        return response
