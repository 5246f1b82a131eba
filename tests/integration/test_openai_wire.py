"""OpenAI's protocol as servers really speak it: odd framing, errors, and connections used again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import openai
import pytest
from aiohttp import web

from agents.runtime import openai_wire, providers
from agents.runtime.openai_streams import Whole
from agents.runtime.openai_wire import Client

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletion

Script = Callable[[web.StreamResponse], Any]
BODY = {"model": "x", "messages": []}


def line(content: str, finish: str | None = None) -> str:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish}
    return json.dumps({"id": "1", "model": "x", "choices": [choice]})


@asynccontextmanager
async def served(script: Script) -> AsyncIterator[tuple[Client, list[Any]]]:
    """Serve each request by the script; give the client and the connections that were made."""
    connections: list[Any] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        connections.append(request.transport.get_extra_info("peername"))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await script(response)
        return response

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    client = Client(base_url=url, api_key="k", max_retries=0)
    try:
        yield client, connections
    finally:
        await client.close()
        await runner.cleanup()


async def read(client: Client, **more: Any) -> ChatCompletion:
    answer: ChatCompletion = await client.chat.completions.create(**{**BODY, **more})
    return answer


def text_of(answer: ChatCompletion) -> str:
    return answer.choices[0].message.content or ""


async def test_bytes_may_be_cut_anywhere_and_lines_end_either_way() -> None:
    whole = f": hello\r\n\r\ndata: {line('Grün ')}\r\n\r\nevent: x\ndata:{line('und blau')}\n\n"
    pieces = f"{whole}data: {line('', 'stop')}\n\ndata: [DONE]\n\n".encode()

    async def script(response: web.StreamResponse) -> None:
        for at in range(0, len(pieces), 7):
            await response.write(pieces[at : at + 7])
            await asyncio.sleep(0)

    async with served(script) as (client, _):
        answer = await read(client)
    assert text_of(answer) == "Grün und blau"
    assert answer.choices[0].finish_reason == "stop"


async def test_the_key_and_what_the_sdk_says_of_itself_are_sent() -> None:
    seen: dict[str, str] = {}

    async def script(response: web.StreamResponse) -> None:
        seen.update(response._req.headers)
        await response.write(f"data: {line('a', 'stop')}\n\ndata: [DONE]\n\n".encode())

    async with served(script) as (client, _):
        await read(client, extra_headers={"User-Agent": "mine"})
    headers = {name.lower(): text for name, text in seen.items()}
    assert headers["authorization"] == "Bearer k"
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"] == "mine"


async def test_an_answer_may_end_without_being_called_done() -> None:
    async def script(response: web.StreamResponse) -> None:
        await response.write(f"data: {line('a')}\n\ndata: {line('b', 'stop')}".encode())

    async with served(script) as (client, _):
        assert text_of(await read(client)) == "ab"


async def test_a_connection_is_used_again_after_an_answer() -> None:
    async def script(response: web.StreamResponse) -> None:
        await response.write(f"data: {line('a', 'stop')}\n\ndata: [DONE]\n\n".encode())

    async with served(script) as (client, connections):
        for _ in range(3):
            await read(client)
    assert len(set(connections)) == 1


async def test_a_server_that_never_ends_a_done_answer_is_left() -> None:
    over = asyncio.Event()

    async def script(response: web.StreamResponse) -> None:
        await response.write(f"data: {line('a', 'stop')}\n\ndata: [DONE]\n\n".encode())
        await over.wait()

    async with served(script) as (client, _):
        async with asyncio.timeout(openai_wire._END_SECONDS + 5):
            assert text_of(await read(client)) == "a"
        over.set()


async def test_an_answer_that_is_left_early_closes_its_connection() -> None:
    begun, gone = asyncio.Event(), asyncio.Event()

    async def script(response: web.StreamResponse) -> None:
        await response.write(f"data: {line('first')}\n\n".encode())
        begun.set()
        try:
            while True:
                await response.write(b": still here\n\n")
                await asyncio.sleep(0.01)
        except ConnectionError:
            gone.set()
            raise

    async with served(script) as (client, _):
        reading = asyncio.create_task(read(client))
        await begun.wait()
        reading.cancel()
        async with asyncio.timeout(5):
            await gone.wait()


async def test_a_chunk_that_leaves_things_out_is_taken_as_it_is() -> None:
    loose = {"id": None, "choices": [{"delta": {"content": "a"}, "finish_reason": "done"}]}

    async def script(response: web.StreamResponse) -> None:
        await response.write(f"data: {json.dumps(loose)}\n\ndata: [DONE]\n\n".encode())

    async with served(script) as (client, _):
        assert text_of(await read(client)) == "a"


@pytest.mark.parametrize(
    "data",
    [
        '{"error": {"message": "too busy", "code": 529}}',
        "{not json",
        "[]",
        line("cut off"),
        f'{{"id": {"9" * 5_000}}}',
    ],
)
async def test_what_is_no_answer_is_an_error(data: str) -> None:
    async def script(response: web.StreamResponse) -> None:
        await response.write(f"data: {data}\n\n".encode())

    async with served(script) as (client, _):
        with pytest.raises(openai.APIError):
            await read(client)


async def test_a_line_without_an_end_is_not_kept(monkeypatch) -> None:
    monkeypatch.setattr(openai_wire, "_LONGEST_EVENT", 1_000)

    async def line(response: web.StreamResponse) -> None:
        await response.write(b"data: " + b"x" * 5_000)

    async def lines(response: web.StreamResponse) -> None:
        await response.write(b"data: x\n" * 2_000)

    for script in (line, lines):
        async with served(script) as (client, _):
            with pytest.raises(openai.APIError, match="has no end"):
                await read(client)


async def refused(headers: dict[str, str], body: bytes) -> openai.APIStatusError:
    """Ask a server that refuses, and return what came of it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        told = {"Content-Length": str(len(body)), **headers}
        head = "".join(f"{name}: {text}\r\n" for name, text in told.items())
        writer.write(f"HTTP/1.1 503 Busy\r\n{head}\r\n".encode("latin-1") + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = Client(base_url=f"http://127.0.0.1:{port}/v1", api_key="k", max_retries=0)
    try:
        with pytest.raises(openai.APIStatusError) as caught:
            await read(client)
    finally:
        await client.close()
        server.close()
    return caught.value


async def test_a_refusal_keeps_its_status_whatever_its_headers_say() -> None:
    error = await refused({"X-Said": "caf\xe9", "Retry-After": "7"}, b"")
    assert (error.status_code, error.response.headers["retry-after"]) == (503, "7")


async def test_of_a_long_refusal_the_beginning_is_read(monkeypatch) -> None:
    monkeypatch.setattr(openai_wire, "_ERROR_BYTES", 1_000)
    assert len((await refused({}, b"x" * 50_000)).response.content) == 1_000


async def test_a_login_in_the_address_is_sent_and_no_other(tmp_path, monkeypatch) -> None:
    (tmp_path / "netrc").write_text("default login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    seen: list[str] = []

    async def script(response: web.StreamResponse) -> None:
        seen.append(response._req.headers["Authorization"])
        await response.write(f"data: {line('a', 'stop')}\n\n".encode())

    async with served(script) as (client, _):
        await read(client)
        url = str(client.base_url).replace("http://", "http://me:pw@")
        named = Client(base_url=url, api_key="k", max_retries=0)
        await read(named)
        await named.close()
    assert seen == ["Bearer k", aiohttp.encode_basic_auth("me", "pw")]


async def test_silence_is_a_time_out_and_a_broken_answer_a_broken_connection() -> None:
    async def silent(_: web.StreamResponse) -> None:
        await asyncio.sleep(30)

    async def broken(response: web.StreamResponse) -> None:
        await response.write(f"data: {line('a')}\n\n".encode())
        transport = response._req.transport
        assert transport is not None
        transport.abort()

    async with served(silent) as (client, _):
        with pytest.raises(openai.APITimeoutError):
            await read(client, timeout=0.2)
    async with served(broken) as (client, _):
        with pytest.raises(openai.APIConnectionError):
            await read(client)


async def test_a_loop_that_ends_closes_what_its_models_keep_open(settings) -> None:
    settings.OPENAI_BASE_URL = "http://127.0.0.1:9/v1"
    model: Any = providers._cached("openai:x", "")
    session = model.client._connected()
    await providers.close()
    assert session.closed


def test_pieces_of_many_calls_find_their_own() -> None:
    whole = Whole()
    numbers = range(300)
    begun = [{"index": n, "id": f"c{n}", "function": {"name": "x"}} for n in numbers]
    more = [{"index": n, "function": {"arguments": str(n)}} for n in numbers]
    whole.take({"choices": [{"delta": {"tool_calls": [*begun, *more]}}]})
    calls = whole.completion()["choices"][0]["message"]["tool_calls"]
    assert [call["function"]["arguments"] for call in calls] == [str(n) for n in numbers]


async def test_nobody_there_is_told_from_a_time_out() -> None:
    client = Client(base_url="http://127.0.0.1:9/v1", api_key="k", max_retries=0)
    with pytest.raises(openai.APIConnectionError) as caught:
        await read(client)
    assert type(caught.value.__cause__).__name__ == "ClientConnectorError"
    await client.close()


async def test_a_request_that_cannot_be_written_is_not_blamed_on_the_answer() -> None:
    async def never(_: web.StreamResponse) -> None:
        raise AssertionError("it was asked")

    async with served(never) as (client, connections):
        for odd in (object(), "\ud800"):
            with pytest.raises(openai.APIError, match="The request cannot be written"):
                await read(client, messages=[{"role": "user", "content": odd}])
        assert connections == []
