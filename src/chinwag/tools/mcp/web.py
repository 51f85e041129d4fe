"""A server at an address, and the requests that go there.

Invariants: no request leaves for another scheme, host or port than the configured one, whatever a
redirect says; the key is in a header of those requests and nowhere else. An answer is taken only as
it stands (not packed: a small one could become a huge one), and under the caps of `flow`. Proxies
and certificates are found by the usual names in the environment.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from chinwag.errors import ToolFailed
from chinwag.tools.mcp.flow import FRAME, Flood, Flow, too_long
from chinwag.tools.mcp.spec import LOOPBACK, origin
from chinwag.tools.mcp.spying import Told, spied

_CONNECT = 15.0
"""Seconds to reach a server; how long it may then be silent is the call's own limit."""
_SILENCE = 3600.0


class Web:
    """An SDK transport to ``url``. ``token`` goes along as a bearer token where there is one."""

    def __init__(self, url: str, token: str, tell: Told) -> None:
        self._url = url
        self._token = token
        self._tell = tell
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> tuple[Any, Any]:
        from mcp.client.streamable_http import streamable_http_client

        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(self._client())
            opened = streamable_http_client(self._url, http_client=client, max_sse_event_size=FRAME)
            theirs, ours = await stack.enter_async_context(opened)
            self._stack = stack.pop_all()
        return _Spied(theirs, self._tell), ours

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return await self._stack.__aexit__(kind, error, trace)

    def _client(self) -> Any:
        import httpx2

        headers = {"Accept-Encoding": "identity"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        home, flow, tell = origin(self._url), Flow(time.monotonic()), self._tell

        async def leaving(request: Any) -> None:
            if origin(str(request.url)) != home:
                raise ToolFailed("it sent us to another address", hint="configure that address")

        async def coming(response: Any) -> None:
            if response.status_code >= 400:
                tell.refused(response.status_code)
            packed = response.headers.get("content-encoding", "identity").lower()
            if packed not in {"", "identity"}:
                tell.flooded("it sent a packed answer, which it was asked not to")
                raise ToolFailed("it sent a packed answer, which it was asked not to")
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            most = None if kind == "text/event-stream" else FRAME
            response.stream = _capped(response.stream, flow, most, tell)

        return httpx2.AsyncClient(
            headers=headers,
            timeout=httpx2.Timeout(_CONNECT, read=_SILENCE),
            follow_redirects=False,
            trust_env=home[1] not in LOOPBACK,  # no proxy is asked for what is on this machine
            event_hooks={"request": [leaving], "response": [coming]},
        )


def _capped(stream: Any, flow: Flow, most: int | None, tell: Told) -> Any:
    """``stream`` under ``flow``, of at most ``most`` bytes in all."""
    import httpx2

    class Capped(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            total = 0
            async for chunk in stream:
                total += len(chunk)
                try:
                    flow.came(len(chunk), time.monotonic())
                    if most is not None and total > most:
                        raise too_long()
                except Flood as flood:
                    tell.flooded(str(flood))
                    raise ToolFailed(str(flood)) from None
                yield chunk

        async def aclose(self) -> None:
            await stream.aclose()

    return Capped()


class _Spied:
    """The SDK's stream of messages, each looked at as it goes by."""

    def __init__(self, stream: Any, tell: Told) -> None:
        self._stream = stream
        self._tell = tell
        self._flow = Flow(time.monotonic())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def receive(self) -> Any:
        got = await self._stream.receive()
        try:
            self._flow.message(time.monotonic())
        except Flood as flood:
            self._tell.flooded(str(flood))
            raise ToolFailed(str(flood)) from None
        if hasattr(got, "message"):
            spied(got.message, self._tell)
        return got

    async def aclose(self) -> None:
        await self._stream.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        import anyio

        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        done: bool | None = await self._stream.__aexit__(kind, error, trace)
        return done
