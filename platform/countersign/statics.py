"""Serves scripts and styles under every address they ever had, so that an upgrade breaks no open page.

While old and new processes stand side by side, a page of one asks the other for its files; and a page
stays open over an upgrade. Each gets the files at hand; only what has the digest of these is kept.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from whitenoise.middleware import WhiteNoiseMiddleware  # type: ignore[import-untyped]

from countersign.assets import FOLDER

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

_ADDRESS = re.compile(rf"/static/(?:{FOLDER}/)?(?P<name>.+)")


class StaticFiles(WhiteNoiseMiddleware):  # type: ignore[misc]  # it has no types
    """Answers for files before anything else is asked."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Serve a file to be kept for ever, or to be asked for again; else go on."""
        answer: HttpResponse
        path = request.path_info
        named = _ADDRESS.fullmatch(path)
        file = self.files.get(f"{self.static_prefix}{named['name']}") if named else None
        if file is None or path in self.files:
            answer = super().__call__(request)
        else:
            answer = self.serve(file, request)
            answer["Cache-Control"] = "no-cache"
        return answer
