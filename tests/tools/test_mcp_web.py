"""MCP servers at an address: one origin only, the key for it alone, everything under a cap."""

from __future__ import annotations

import asyncio
import time

import pytest

pytest.importorskip("mcp", reason="the mcp extra is not installed")

from chinwag.tools.mcp.keeper import State
from chinwag.tools.mcp.spec import ServerSpec
from support.mcp import Bench, approved, held
from support.mcp_web import served


def web(server, **more):
    return ServerSpec(name="web", url=server.url, **more)


def token(_):
    return {}, "token-1"


@pytest.mark.parametrize("mode", ["", "sse", "near"])
async def test_a_tool_at_an_address_is_called(mode):
    with served(mode) as server:
        async with approved(web(server)) as bench:
            result, output = await bench.call("web__echo", {"text": "over there"})
            assert (result.content, output.foreign) == ("over there", True)
            assert str(bench.box.specs(["web__echo"])[0].risk) == "network"
        assert all("Authorization" not in headers for _, headers, _ in server.asked)


async def test_nothing_is_asked_before_the_address_was_approved():
    with served() as server:
        async with Bench(web(server)) as bench:
            assert bench.status("web").question.text == f"address: {server.url}"
        assert server.asked == []


async def test_the_key_goes_to_the_configured_address_and_nowhere_else():
    with served() as other, served("elsewhere", target=other.url) as server:
        async with approved(web(server, key="env:K"), secrets=token) as bench:
            result, _ = await bench.call("web__echo", {"text": "x"})
            assert result.is_error
            assert "not followed" in result.content
        assert all(h.get("Authorization") == "Bearer token-1" for _, h, _ in server.asked)
        assert other.asked == []


async def test_a_redirect_to_a_private_address_is_not_followed():
    with served("elsewhere", target="http://169.254.169.254/latest/") as server:
        async with approved(web(server)) as bench:
            result, _ = await bench.call("web__echo", {"text": "x"})
            assert result.is_error
            assert "169.254.169.254" in result.content
            assert "not followed" in result.content


async def test_a_refused_key_says_so(monkeypatch):
    monkeypatch.setattr("chinwag.tools.mcp.keeper.TRIES", 1)
    with served("closed") as server:
        async with Bench(web(server)) as bench:
            await bench.servers.approve("web", bench.status("web").question.digest)
            await bench.until(lambda: bench.status("web").state is State.STOPPED)
            assert bench.status("web").why == "it answered 401 Unauthorized (see its key)"
    with served("closed") as server:
        async with approved(web(server, key="env:K"), secrets=token) as bench:
            assert (await bench.call("web__echo", {"text": "in"}))[0].content == "in"


@pytest.mark.parametrize("mode", ["packed", "long", "flood"])
async def test_an_answer_that_is_too_much_is_cut_off(mode):
    with served(mode) as server:
        async with approved(web(server)) as bench:
            before = held()
            result, _ = await bench.call("web__echo", {"text": "x"})
            assert result.is_error
            await bench.until(lambda: bench.status("web").state is State.STOPPED)
            assert "it sent" in bench.status("web").why
            assert held() - before < 60 << 20


async def test_an_address_where_nobody_is_says_so(monkeypatch):
    monkeypatch.setattr("chinwag.tools.mcp.keeper.TRIES", 1)
    with served() as server:
        spec = web(server)
    async with Bench(spec) as bench:
        await bench.servers.approve("web", bench.status("web").question.digest)
        await bench.until(lambda: bench.status("web").state is State.STOPPED)
        assert bench.status("web").why.startswith("it cannot be reached: ")


@pytest.mark.parametrize("seconds", [0, 0.003, 0.01, 0.03])
async def test_leaving_while_it_is_started_again_takes_no_time(seconds):
    with served() as server:
        async with approved(web(server)) as bench:
            await bench.servers.restart("web")
            await asyncio.sleep(seconds)
            began = time.monotonic()
        assert time.monotonic() - began < 3


async def test_a_server_that_went_away_comes_back():
    with served() as server:
        async with approved(web(server)) as bench:
            assert (await bench.call("web__echo", {"text": "a"}))[0].content == "a"
            server.mode = "closed"
            result, _ = await bench.call("web__echo", {"text": "b"})
            assert result.content == "Error: it answered 401 Unauthorized (see its key)"
            server.mode = ""
            await bench.servers.restart("web")
            await bench.ready("web")
            assert (await bench.call("web__echo", {"text": "c"}))[0].content == "c"


async def test_a_server_that_is_gone_is_tried_again_until_it_is_back():
    with served() as server:
        port = server.server_address[1]
        bench_of = approved(web(server))
        bench = await bench_of.__aenter__()
    try:
        result, _ = await bench.call("web__echo", {"text": "a"})
        assert "MCP server web is gone" in result.content
        await bench.until(lambda: bench.status("web").state is State.PAUSED)
        with served(port=port):
            await bench.ready("web")
            assert (await bench.call("web__echo", {"text": "b"}))[0].content == "b"
    finally:
        await bench_of.__aexit__(None, None, None)
