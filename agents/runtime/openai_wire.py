"""Asks a server that speaks OpenAI's protocol, over aiohttp and nothing between.

The SDK's request, its transport and its loose construction of every chunk cost two milliseconds a
call, more than twice what this does. Its keys, headers and errors stay. Answers are
streamed, so that words are heard and a silent server is noticed, and handed on whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx2
import msgspec
import openai
from openai.types.chat import ChatCompletion
from pydantic import ValidationError
from yarl import URL

from agents.runtime.openai_streams import Whole

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST_EVENT = 8 * 1024 * 1024  # bytes; a server that never ends one would take all memory
_LONGEST_ERROR = 500  # characters
_ERROR_BYTES = 1024 * 1024
_DONE = "[DONE]"
_END_SECONDS = 0.2  # what a server may take to end an answer it has said is done


class Client(openai.AsyncOpenAI):
    """The SDK's client, whose completions are asked for by us."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._session: aiohttp.ClientSession | None = None
        address = URL(str(self.base_url.join("chat/completions")))
        sent = {**self.default_headers, **self.auth_headers}
        self._headers = {name: text for name, text in sent.items() if isinstance(text, str)}
        if address.user is not None:  # as HTTP clients do with an address that names who asks
            login = aiohttp.encode_basic_auth(address.user, address.password or "")
            self._headers["Authorization"] = login
        self._address = address.with_user(None)
        self._proxy = _proxy_of(self._address)

    @property
    def chat(self) -> Any:
        """Return what pydantic-ai asks for completions."""
        return _Chat(self)

    async def ask(
        self, body: dict[str, Any], headers: dict[str, str], waits: float | None
    ) -> ChatCompletion:
        """Read one answer to its end; raises the SDK's errors. Cancelled, the connection is closed."""
        asked = self._written(body)
        try:
            async with self._connected().post(
                self._address,
                data=asked,
                headers={**self._headers, **headers},
                proxy=self._proxy,
                # The time a connection and each piece of an answer may take; the whole has no limit.
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=waits, sock_read=waits),
            ) as response:
                if response.status >= 400:
                    raise self._refused(response, await _some(response.content))
                return _made(await self._read(response))
        except TimeoutError as error:
            raise openai.APITimeoutError(self._request()) from error
        except aiohttp.ClientError as error:
            told = f"Connection error: {error}"
            raise openai.APIConnectionError(message=told, request=self._request()) from error
        except (ValueError, TypeError) as error:
            told = f"The answer cannot be read: {error}"[:_LONGEST_ERROR]
            raise openai.APIError(told, self._request(), body=None) from error

    def _written(self, body: dict[str, Any]) -> bytes:
        try:
            return msgspec.json.encode(body)
        except (ValueError, TypeError) as error:
            told = f"The request cannot be written: {error}"[:_LONGEST_ERROR]
            raise openai.APIError(told, self._request(), body=None) from error

    async def _read(self, response: aiohttp.ClientResponse) -> Whole:
        events, whole = _Events(), Whole()
        async for piece in response.content.iter_any():
            for data in events.take(piece):
                whole.take(self._chunk(data))
            if events.done:
                await _let_end(response.content)
                break
        for data in events.end():
            whole.take(self._chunk(data))
        if not whole.finished:
            told = "the answer broke off: it ended without a finish_reason"
            raise openai.APIError(told, self._request(), body=None)
        return whole

    def _chunk(self, data: str) -> dict[str, Any]:
        chunk = json.loads(data)
        if not isinstance(chunk, dict):
            raise TypeError("a chunk of it is no object")
        if error := chunk.get("error"):
            told = error.get("message") if isinstance(error, dict) else None
            message = told if isinstance(told, str) and told else "An error during streaming"
            raise openai.APIError(message=message, request=self._request(), body=error)
        return chunk

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
        await super().close()

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Each answer in flight has a connection of its own: a limit would let the rest wait.
            connector = aiohttp.TCPConnector(limit=0)
            jar = aiohttp.DummyCookieJar()
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=jar)
        return self._session

    def _refused(self, response: aiohttp.ClientResponse, content: bytes) -> openai.APIStatusError:
        # The body is decompressed already, and may be cut.
        headers = [(k, v) for k, v in response.raw_headers if not k.lower().startswith(b"content-")]
        told = httpx2.Response(
            response.status, headers=headers, content=content, request=self._request()
        )
        return self._make_status_error_from_response(told)

    def _request(self) -> httpx2.Request:
        return httpx2.Request("POST", str(self._address))


class _Chat:
    """What of the SDK's resources pydantic-ai's model uses."""

    def __init__(self, client: Client) -> None:
        self.completions = self
        self._client = client

    async def create(
        self,
        *,
        extra_headers: dict[str, str] | None = None,
        extra_body: dict[str, Any] | None = None,
        **body: Any,
    ) -> ChatCompletion:
        if body.get("stream"):
            raise TypeError("an answer is handed on whole; its words are said while it comes")
        waits = body.pop("timeout", None)
        unset = openai.Omit | openai.NotGiven
        given = {name: value for name, value in body.items() if not isinstance(value, unset)}
        given |= {"stream": True, "stream_options": {"include_usage": True}}
        return await self._client.ask(
            {**given, **(extra_body or {})}, extra_headers or {}, _seconds(waits)
        )


class _Events:
    """Takes bytes; gives the data of each server-sent event (HTML, 9.2.6), whatever its name."""

    def __init__(self) -> None:
        self.done = False  # the server has said so
        self._rest = b""
        self._data: list[str] = []

    def take(self, piece: bytes) -> Iterator[str]:
        """Give the events these bytes complete; raises ValueError over one without an end."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            yield from self._line(line)
        if len(self._rest) + sum(map(len, self._data)) > _LONGEST_EVENT:
            raise ValueError("an event of it has no end")

    def end(self) -> Iterator[str]:
        """Give what is left."""
        yield from self._line(self._rest)
        yield from self._line(b"")

    def _line(self, line: bytes) -> Iterator[str]:
        text = line.removesuffix(b"\r").decode()
        if text.startswith("data:"):
            self._data.append(text[5:].removeprefix(" "))
        elif not text and self._data:
            data, self._data = "\n".join(self._data), []
            self.done = self.done or data.startswith(_DONE)
            if not self.done:
                yield data


async def _some(content: aiohttp.StreamReader) -> bytes:
    """Read what a server says of an error, up to a megabyte."""
    said = b""
    while len(said) < _ERROR_BYTES and (more := await content.read(_ERROR_BYTES - len(said))):
        said += more
    return said


def _proxy_of(address: URL) -> URL | None:
    """Return the proxy the environment names. Not by aiohttp: it would take a login of ~/.netrc too."""
    if address.host is None or proxy_bypass(address.host):
        return None
    proxies = getproxies()
    proxy = proxies.get(address.scheme) or proxies.get("all")
    return URL(proxy) if proxy else None


async def _let_end(content: aiohttp.StreamReader) -> None:
    """Read on to the end, which is near: only then can the connection be used again."""
    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
        async with asyncio.timeout(_END_SECONDS):
            while await content.readany():
                pass


def _made(whole: Whole) -> ChatCompletion:
    answer = whole.completion()
    try:
        return ChatCompletion.model_validate(answer)
    except ValidationError:  # of a server that says things its own way: taken as the SDK takes it
        return ChatCompletion.construct(**answer)


def _seconds(given: Any) -> float | None:
    seconds = given.read if isinstance(given, httpx2.Timeout) else given
    return float(seconds) if isinstance(seconds, int | float) else None
