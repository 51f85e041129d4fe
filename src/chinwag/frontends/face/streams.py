"""An answer as it comes in: iterators over the engine's typed events.

Invariants: asking begins with the first event that is asked for; leaving early interrupts, and what
was heard is kept in the session before `close` returns; a failure is raised after its events.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Self

from chinwag.errors import ChinwagError
from chinwag.frontends.face.core import Core
from chinwag.frontends.face.loop import Loop
from chinwag.frontends.face.reply import Reply
from chinwag.talk.delta import TextDelta
from chinwag.talk.event import AnyEvent, Ear, Heard
from chinwag.threads import tell

PATIENCE = 10.0  # seconds for an answer that was left to be settled

Asking = Callable[[Ear], Awaitable[Reply]]


class Stream:
    """Events of one turn, as an iterator; `reply` is there at its end. See `Chat.stream`."""

    def __init__(self, core: Core, loop: Callable[[], Loop], ask: Asking) -> None:
        self._core = core
        self._get_loop = loop
        self._ask = ask
        self._queue: SimpleQueue[AnyEvent | None] = SimpleQueue()
        self._future: Future[Reply] | None = None
        self._loop: Loop | None = None
        self._over = False
        #: What the turn brought, once it has ended (also where it was left early).
        self.reply: Reply | None = None

    def __iter__(self) -> Iterator[AnyEvent]:
        return self

    def __next__(self) -> AnyEvent:
        if self._over:
            raise StopIteration
        if self._future is None:
            self._begin()
        try:
            event = self._queue.get()
        except BaseException:  # Ctrl-C
            self.close()
            raise
        if event is not None:
            return event
        self._over = True
        assert self._future is not None  # noqa: S101 - for the type checker
        self.reply = self._future.result()
        raise StopIteration

    def texts(self) -> Iterator[str]:
        """The words of the answer alone, piece by piece (F021)."""
        with self:
            for event in self:
                if isinstance(event, Heard) and isinstance(event.delta, TextDelta):
                    yield event.delta.text

    def _begin(self) -> None:
        self._loop = loop = self._get_loop()
        queue, ask = self._queue, self._ask
        self._future = loop.begin(_reply(ask, queue.put))
        self._future.add_done_callback(lambda _: queue.put(None))

    def close(self) -> None:
        """Leave: the answer is interrupted, and what was heard is kept when this returns."""
        future, loop = self._future, self._loop
        if self._over or future is None or loop is None:
            self._over = True
            return
        self._over = True
        loop.soon(self._core.conversation.interrupt)
        if loop.here:
            return  # it is settled as soon as the loop gets its turn
        try:
            self.reply = future.result(PATIENCE)
        except (ChinwagError, TimeoutError):
            pass  # whoever leaves does not want to know; what was heard is kept all the same

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not sys.is_finalizing():
            self.close()


async def _reply(ask: Asking, hear: Ear) -> Reply:
    return await ask(hear)


class AsyncStream:
    """The same on the caller's loop. See `AsyncChat.stream`."""

    def __init__(self, core: Core, ask: Asking) -> None:
        self._core = core
        self._ask = ask
        self._queue: asyncio.Queue[AnyEvent | None] = asyncio.Queue()
        self._task: asyncio.Task[Reply] | None = None
        self._over = False
        #: What the turn brought, once it has ended (also where it was left early).
        self.reply: Reply | None = None

    def __aiter__(self) -> AsyncIterator[AnyEvent]:
        return self

    async def __anext__(self) -> AnyEvent:
        if self._over:
            raise StopAsyncIteration
        if self._task is None:
            queue = self._queue
            self._task = asyncio.ensure_future(_reply(self._ask, queue.put_nowait))
            self._task.add_done_callback(lambda _: queue.put_nowait(None))
        try:
            event = await self._queue.get()
        except asyncio.CancelledError:
            await self.aclose()
            raise
        if event is not None:
            return event
        self._over = True
        self.reply = self._task.result()
        raise StopAsyncIteration

    async def texts(self) -> AsyncIterator[str]:
        """The words of the answer alone, piece by piece."""
        async with self:
            async for event in self:
                if isinstance(event, Heard) and isinstance(event.delta, TextDelta):
                    yield event.delta.text

    async def aclose(self) -> None:
        """Leave: the answer is interrupted, and what was heard is kept when this returns."""
        if self._over or self._task is None:
            self._over = True
            return
        self._over = True
        self._core.conversation.interrupt()
        try:
            self.reply = await self._task
        except ChinwagError:
            pass  # see Stream.close

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        task = self._task
        if self._over or task is None or task.done() or sys.is_finalizing():
            return
        task.add_done_callback(_looked_at)
        tell(task.get_loop(), self._core.conversation.interrupt)


def _looked_at(task: asyncio.Task[Reply]) -> None:
    """Nobody waits for it any more: how it failed is no event for a log."""
    if not task.cancelled():
        task.exception()
