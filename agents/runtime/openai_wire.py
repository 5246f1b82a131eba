"""Asks a server that speaks OpenAI's protocol, over aiohttp and nothing between.

The SDK's request, its transport and its loose construction of every chunk cost two milliseconds a
call, five times what sending and reading it takes. Its keys, headers and errors stay.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any, Self

import aiohttp
import httpx2
import openai
from openai.types.chat import ChatCompletionChunk
from pydantic import ValidationError

from agents.runtime.openai_streams import Runs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_LONGEST_LINE = 8 * 1024 * 1024  # bytes; a server that never ends one would take all memory
_DONE = "[DONE]"
_END_SECONDS = 0.2  # what a server may take to end an answer it has said is done


class Client(openai.AsyncOpenAI):
    """The SDK's client, whose completions are streamed by us."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._session: aiohttp.ClientSession | None = None
        self._address = str(self.base_url.join("chat/completions"))

    @property
    def chat(self) -> Any:
        """Return what pydantic-ai asks for completions."""
        return _Chat(self)

    async def ask(self, body: dict[str, Any], headers: dict[str, str], waits: Any) -> Answer:
        """Send a request and return its answer, to be read; raises the SDK's errors."""
        request = httpx2.Request("POST", self._address)
        sent = {**self.default_headers, **headers}
        try:
            response = await self._connected().post(
                self._address,
                data=json.dumps(body, ensure_ascii=False).encode(),
                headers={name: value for name, value in sent.items() if isinstance(value, str)},
                timeout=_timeout(waits),
            )
            if response.status >= 400:
                raise self._refused(response, await response.read(), request)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _trouble(error, request) from error
        return Answer(response, request)

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Each answer in flight has a connection of its own: a limit would let the rest wait.
            connector = aiohttp.TCPConnector(limit=0)
            jar = aiohttp.DummyCookieJar()
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=jar, trust_env=True
            )
        return self._session

    def _refused(
        self, response: aiohttp.ClientResponse, content: bytes, request: httpx2.Request
    ) -> openai.APIStatusError:
        # The body is decompressed already.
        headers = {k: v for k, v in response.headers.items() if k.lower() != "content-encoding"}
        told = httpx2.Response(response.status, headers=headers, content=content, request=request)
        return self._make_status_error_from_response(told)


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
    ) -> Answer:
        waits = body.pop("timeout", None)
        unset = openai.Omit | openai.NotGiven
        given = {name: value for name, value in body.items() if not isinstance(value, unset)}
        if not given.get("stream"):
            raise TypeError("answers are always streamed")
        return await self._client.ask({**given, **(extra_body or {})}, extra_headers or {}, waits)


class Answer:
    """A stream of chunks, neighbouring deltas of one kind as one; closed when it is left."""

    def __init__(self, response: aiohttp.ClientResponse, request: httpx2.Request) -> None:
        self._response = response
        self._request = request

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connection back, or close it when the answer was not read to its end."""
        self._response.release()

    async def __aiter__(self) -> AsyncIterator[ChatCompletionChunk]:
        reader = _Reader(self._request)
        try:
            async for piece in self._response.content.iter_any():
                for chunk in reader.take(piece):
                    yield chunk
                if reader.done:
                    await self._let_end()
                    break
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _trouble(error, self._request) from error
        for chunk in reader.end():
            yield chunk

    async def _let_end(self) -> None:
        """Read on to the end, which is near: only then can the connection be used again."""
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with asyncio.timeout(_END_SECONDS):
                while await self._response.content.readany():
                    pass


class _Reader:
    """Takes the bytes of an answer; gives its chunks."""

    def __init__(self, request: httpx2.Request) -> None:
        self.done = False  # the server has said so
        self._request = request
        self._runs = Runs()
        self._rest = b""
        self._data: list[str] = []

    def take(self, piece: bytes) -> Iterator[ChatCompletionChunk]:
        """Give the chunks these bytes complete; raises JSONDecodeError over a line without an end."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            yield from self._line(line)
        if len(self._rest) > _LONGEST_LINE:
            raise json.JSONDecodeError("a line of the answer has no end", "", 0)

    def end(self) -> Iterator[ChatCompletionChunk]:
        """Give what is left."""
        yield from self._line(self._rest)
        yield from self._line(b"")
        yield from map(_made, self._runs.end())

    def _line(self, line: bytes) -> Iterator[ChatCompletionChunk]:
        """Take a line of server-sent events (HTML, 9.2.6); an empty one ends an event of any name."""
        text = line.removesuffix(b"\r").decode()
        if text.startswith("data:"):
            self._data.append(text[5:].removeprefix(" "))
        elif not text and self._data:
            data, self._data = "\n".join(self._data), []
            self.done = self.done or data.startswith(_DONE)
            if not self.done:
                yield from map(_made, self._runs.take(self._read(data)))

    def _read(self, data: str) -> dict[str, Any]:
        chunk: dict[str, Any] = json.loads(data)
        if error := chunk.get("error"):
            told = error.get("message") if isinstance(error, dict) else None
            message = told if isinstance(told, str) and told else "An error during streaming"
            raise openai.APIError(message=message, request=self._request, body=error)
        return chunk


def _made(chunk: dict[str, Any]) -> ChatCompletionChunk:
    try:
        return ChatCompletionChunk.model_validate(chunk)
    except ValidationError:  # of a server that leaves things out: taken as loosely as the SDK does
        return ChatCompletionChunk.construct(**chunk)


def _timeout(given: Any) -> aiohttp.ClientTimeout:
    """Return the time a connection and each piece of an answer may take; the whole has no limit."""
    seconds = given.read if isinstance(given, httpx2.Timeout) else given
    waits = float(seconds) if isinstance(seconds, int | float) else None
    return aiohttp.ClientTimeout(total=None, sock_connect=waits, sock_read=waits)


def _trouble(error: Exception, request: httpx2.Request) -> openai.APIConnectionError:
    if isinstance(error, TimeoutError):
        return openai.APITimeoutError(request)
    return openai.APIConnectionError(message=f"Connection error: {error}", request=request)
