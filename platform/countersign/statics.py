"""Serves scripts and styles under every address they ever had, so that an upgrade breaks no open page.

While old and new processes stand side by side, a page of one asks the other for its files; and a page
stays open over an upgrade. Each gets the files at hand; only what has the digest of these is kept.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from django.http import HttpResponse, HttpResponseNotAllowed
from whitenoise.middleware import WhiteNoiseMiddleware  # type: ignore[import-untyped]

from countersign import assets, scripts, sheets

if TYPE_CHECKING:
    from django.http import HttpRequest

_ADDRESS = re.compile(rf"/static/(?:{assets.FOLDER}/)?(?P<name>.+)")


class StaticFiles(WhiteNoiseMiddleware):  # type: ignore[misc]  # it has no types
    """Answers for files before anything else is asked."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Serve a file to be kept for ever, or to be asked for again; else go on."""
        path = request.path_info
        named = _ADDRESS.fullmatch(path)
        answer = self._known(request, path, named["name"]) if named else None
        if answer is None:
            answer = super().__call__(request)
        return answer

    def _known(self, request: HttpRequest, path: str, name: str) -> HttpResponse | None:
        # What WhiteNoise does not know: files at an address they had, and those that are served as one.
        now = f"{self.static_prefix}{name}"
        if path != now and now in self.files:
            answer: HttpResponse | None = self.serve(self.files[now], request)
        else:
            answer = _joined(request, name, whole=path == now)
        if answer is not None and answer.status_code < HTTPStatus.BAD_REQUEST:
            kept = path == now and not self.autorefresh
            answer["Cache-Control"] = assets.KEPT if kept else assets.RENEWED
        return answer


def _joined(request: HttpRequest, name: str, *, whole: bool) -> HttpResponse | None:
    kind, text = "text/css", sheets.text_of(name, whole=whole)
    if text is None:
        kind, text = "text/javascript", scripts.text_of(name)
    if text is None:
        return None
    if request.method not in {"GET", "HEAD"}:
        return HttpResponseNotAllowed(("GET", "HEAD"))
    return HttpResponse(text, content_type=f"{kind}; charset=utf-8")
