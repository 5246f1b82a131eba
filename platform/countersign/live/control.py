"""What web processes tell each other: rights may have changed, so ask now.

Only a hint that spares seconds: who does not hear of it asks by the clock (see register). It goes by
the one subscription there is. A channel layer's own would look ten times a second, log a traceback a
second while Redis is away, and swallow the cancellation of who waits for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memory import posting

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse
    from django.urls import ResolverMatch

RIGHTS = "cs:rights"  # the Redis channel
_REFUSED = 400


def tell() -> None:
    """Make every web process ask now what its watchers may still watch; waits for nothing."""
    posting.post(_publish)


def _publish(pipeline: Any) -> None:
    pipeline.publish(RIGHTS, "{}")


def rights_may_change(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Tell after a sign-out, and after any act in the admin: members, people and tokens are there.

    Not after what was refused: a stranger could keep every process asking.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        # Asked before: afterwards nobody may be signed in.
        somebody = request.method == "POST" and request.user.is_authenticated
        staff = somebody and request.user.is_staff
        response = get_response(request)
        done = somebody and response.status_code < _REFUSED
        if done and _is_about_rights(request.resolver_match, staff=staff):
            tell()
        return response

    return middleware


def _is_about_rights(match: ResolverMatch | None, *, staff: bool) -> bool:
    if match is None:
        return False
    return match.view_name == "console:sign_out" or (staff and match.app_name == "admin")
