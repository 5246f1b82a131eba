"""What web processes tell each other over the channel layer: rights may have changed, so ask now.

Only a hint that spares seconds: who does not hear of it asks by the clock (see register).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse
    from django.urls import ResolverMatch

_GROUP = "rights"
_CHANGED = {"type": "rights.changed"}
_TELL_SECONDS = 2.0  # nobody's sign-out waits longer for a Redis that does not answer
_RETRY_SECONDS = 5.0
_AWAY = (RedisError, OSError, TimeoutError)

logger = logging.getLogger(__name__)


async def tell() -> None:
    """Make every web process ask now what its watchers may still watch; without Redis none hears."""
    try:
        async with asyncio.timeout(_TELL_SECONDS):
            await _layer().group_send(_GROUP, _CHANGED)
    except _AWAY as error:
        logger.warning("streams learn of changed rights a few seconds late: %s", error)


async def listen(react: Callable[[], None]) -> None:
    """Call `react` whenever somebody tells, until cancelled."""
    layer = _layer()
    while True:
        try:
            name = await layer.new_channel()
            await layer.group_add(_GROUP, name)
            while True:
                await layer.receive(name)
                react()
        except _AWAY as error:
            logger.warning("changed rights are not heard of, trying again: %s", error)
            await asyncio.sleep(_RETRY_SECONDS)


def _layer() -> Any:  # settings name one, and it has groups: its types do not say so
    return get_channel_layer()


def rights_may_change(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Tell after a sign-out, and after any act in the admin: members, people and tokens are there."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.method == "POST" and _is_about_rights(request.resolver_match):
            async_to_sync(tell)()
        return response

    return middleware


def _is_about_rights(match: ResolverMatch | None) -> bool:
    if match is None:
        return False
    return match.app_name == "admin" or match.view_name == "console:sign_out"
