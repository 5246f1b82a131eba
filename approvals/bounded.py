"""HTTP that ends an answer beyond a size and a long good-bye: no tool server fills memory or keeps a hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import httpx2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
GOOD_BYE_SECONDS = 2.0  # for the end of a session, whose answer says nothing


class BoundedTransport(httpx2.AsyncHTTPTransport):
    """Passes on at most so many bytes of each answer, and raises ReadError at the next.

    Of the end of a session only its status, which has to come soon, or TimeoutError is raised.
    """

    def __init__(self, most: int) -> None:
        super().__init__(trust_env=False)
        self._most = most

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request."""
        if request.method == "DELETE":
            return await self._say_good_bye(request)
        response = await super().handle_async_request(request)
        if isinstance(response.stream, httpx2.AsyncByteStream):
            response.stream = _Bounded(response.stream, self._most)
        return response

    async def _say_good_bye(self, request: httpx2.Request) -> httpx2.Response:
        # The timeouts of HTTP are of each read: a byte a second would keep us for ever.
        with anyio.fail_after(GOOD_BYE_SECONDS):
            response = await super().handle_async_request(request)
            await response.aclose()
        return httpx2.Response(response.status_code)


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, most: int) -> None:
        self._stream = stream
        self._most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._most
        async for chunk in self._stream:
            left -= len(chunk)
            if left < 0:
                raise httpx2.ReadError(f"the answer has more than {self._most:,} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
