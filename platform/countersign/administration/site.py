"""The admin's site: what its pages show is marked as the console marks it."""

from __future__ import annotations

from functools import wraps
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from django.contrib.admin import AdminSite
from django.db import transaction
from django.template.response import SimpleTemplateResponse

from countersign import entrance
from countersign.administration import marking

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

    from projects.models import User

    View = Callable[..., HttpResponse]


class MarkedSite(AdminSite):
    """Marks whole pages: Django's templates show rows in dozens of places, and none may be forgotten."""

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:  # noqa: FBT001, FBT002 - Django's signature
        """Return the view for who may enter, with what it shows marked."""
        return super().admin_view(_marked(view), cacheable)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Let an admin in, with the audit entry of it."""
        with transaction.atomic():
            answer = super().login(request, extra_context)
            if _done(request, answer):
                entrance.note(request, _person(request), "signed_in")
            elif request.method == "POST":
                entrance.refused(request)
        return answer

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """End the session, with the audit entry of it."""
        person = _person(request)
        with transaction.atomic():
            answer = super().logout(request, extra_context)
            if _done(request, answer):
                entrance.note(request, person, "signed_out")
        return answer

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Change the admin's own password, with the audit entry of it."""
        with transaction.atomic():
            answer = super().password_change(request, extra_context)
            if _done(request, answer):
                entrance.note(request, _person(request), "password_changed")
        return answer


def _done(request: HttpRequest, answer: HttpResponse) -> bool:
    """Tell whether Django did what a form asked: it shows a form it refuses, and leads on from others."""
    return request.method == "POST" and answer.status_code == HTTPStatus.FOUND


def _person(request: HttpRequest) -> User:
    return cast("User", request.user)


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
