"""A request that is ready waits to be let go: not a byte of it is on the wire before."""

import asyncio
import socket

import pytest

from chinwag.errors import Unreachable
from chinwag.providers.base import Request
from chinwag.providers.dialects.base import Endpoint
from chinwag.providers.dialects.openai import OpenAI
from chinwag.providers.http import HttpProvider
from chinwag.talk.message import Message
from support.servers import HANG, Loopback, Reply, finish, said, sse

ASKED = Request("m", (Message.user("a secret until it is safe"),))
HELLO = sse(said("Hel"), said("lo"), finish())


def provider(port, **more):
    return HttpProvider(
        Endpoint(name="lab", base_url=f"http://127.0.0.1:{port}/v1", **more), OpenAI()
    )


class Wire:
    """A server that only listens: what has come in so far."""

    def __init__(self):
        self.came = b""

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._heard, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def _heard(self, reader, writer):
        while data := await reader.read(65536):
            self.came += data
        writer.close()

    async def __aexit__(self, *why):
        self._server.close()
        await self._server.wait_closed()


async def drawn(stream):
    return [delta async for delta in stream]


async def test_nothing_leaves_before_it_may_and_all_of_it_then():
    async with Wire() as wire:
        asked, may = asyncio.Event(), asyncio.Event()

        async def leave():
            asked.set()
            await may.wait()

        there = provider(wire.port)
        answering = asyncio.create_task(drawn(there.stream(ASKED, leave)))
        await asyncio.wait_for(asked.wait(), 5)
        await asyncio.sleep(0.05)
        assert wire.came == b""
        may.set()
        async with asyncio.timeout(5):
            while b"a secret" not in wire.came:
                await asyncio.sleep(0.005)
        head, _, body = wire.came.partition(b"\r\n\r\n")
        assert b"content-length: %d" % len(body) in head.lower()
        assert b"transfer-encoding" not in head.lower()
        answering.cancel()
        await asyncio.wait({answering})
        await there.aclose()


async def test_one_that_may_never_leave_can_be_cancelled_and_leaves_nothing():
    async with Wire() as wire:
        before = asyncio.all_tasks()
        asked = asyncio.Event()

        async def leave():
            asked.set()
            await asyncio.get_running_loop().create_future()

        there = provider(wire.port)
        answering = asyncio.create_task(drawn(there.stream(ASKED, leave)))
        await asyncio.wait_for(asked.wait(), 5)
        answering.cancel()
        await asyncio.wait({answering}, timeout=1)
        assert answering.cancelled()
        await there.aclose()
        await asyncio.sleep(0.02)
        assert wire.came == b""
        assert asyncio.all_tasks() - before == set()


async def test_the_wait_is_not_counted_as_the_servers():
    with Loopback(Reply(HELLO)) as server:
        there = provider(server.port, connect=0.1, first_byte=0.2)
        deltas = await drawn(there.stream(ASKED, lambda: asyncio.sleep(0.6)))
        assert "".join(getattr(delta, "text", "") for delta in deltas) == "Hello"
        await there.aclose()


async def test_after_the_wait_the_server_has_its_own_time_and_no_more():
    with Loopback(Reply([HANG], silent=True)) as server:
        there = provider(server.port, connect=0.1, first_byte=0.2)
        began = asyncio.get_running_loop().time()
        with pytest.raises(Unreachable):
            await drawn(there.stream(ASKED, lambda: asyncio.sleep(0.3)))
        assert 0.5 < asyncio.get_running_loop().time() - began < 3.0
        await there.aclose()


async def test_an_unreachable_server_is_known_without_waiting():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    asked = []

    async def leave():
        asked.append(True)

    there = provider(port)
    with pytest.raises(Unreachable):
        await drawn(there.stream(ASKED, leave))
    assert not asked
    await there.aclose()


async def test_the_key_is_looked_for_once_where_there_is_none_to_find():
    looked = []
    with Loopback(Reply(HELLO)) as server:
        there = provider(server.port, key=lambda: looked.append(True))
        await drawn(there.stream(ASKED))
        await drawn(there.stream(ASKED))
        assert len(looked) == 1
        await there.aclose()
