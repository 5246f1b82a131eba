"""The admin's site: what its pages show is marked as the console marks it."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from django.contrib.admin import AdminSite
from django.template.response import SimpleTemplateResponse

from countersign.administration import marking

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

    View = Callable[..., HttpResponse]


class MarkedSite(AdminSite):
    """Marks whole pages: Django's templates show rows in dozens of places, and none may be forgotten."""

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:  # noqa: FBT001, FBT002 - Django's signature
        """Return the view for who may enter, with what it shows marked."""
        return super().admin_view(_marked(view), cacheable)


def _marked(view: View) -> View:
    @wraps(view)
    def inner(request: HttpRequest, *args: Any, **facts: Any) -> HttpResponse:
        answer = view(request, *args, **facts)
        if isinstance(answer, SimpleTemplateResponse) and not answer.is_rendered:
            answer.add_post_render_callback(_mark)
        else:
            _mark(answer)
        return answer

    return inner


def _mark(answer: HttpResponse) -> None:
    if not answer.streaming and answer.headers.get("Content-Type", "").startswith("text/html"):
        answer.content = marking.marked(answer.content.decode()).encode()
