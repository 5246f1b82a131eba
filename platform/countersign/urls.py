"""Every route of the console, the API and the admin."""

from django.contrib import admin
from django.urls import include, path

from countersign import health, metrics
from countersign.administration import invariants

urlpatterns = [
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", metrics.metrics),
    path("admin/invariants/", invariants.page, name="invariants"),
    path("admin/", admin.site.urls),
    path("api/", include("countersign.api.urls")),
    path("", include("countersign.console.urls")),
]

handler400 = "countersign.api.problems.bad_request"
handler404 = "countersign.api.problems.page_not_found"
handler500 = "countersign.api.problems.server_error"
