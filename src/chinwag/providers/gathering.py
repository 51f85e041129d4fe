"""The bytes of one answer, read ahead a little by a task of their own and taken as they gather.

A fast server sends many small pieces in what one look at the socket brings: taken together, they
cost one turn of the loop and one look at the clock, where each piece would cost both.

Invariants: pieces come in order and none is lost, what came before a break included. No more than
about ``AHEAD`` bytes are read before somebody takes them. A wait for bytes ends at a deadline; time
in which nobody waits is the reader's own slowness, and never the server's. After ``close`` the task
is over, however it was closed. Nothing here knows what the bytes mean.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

AHEAD: Final = 16 * 1024
"""Bytes that are gathered before others on the loop get their turn: 1 to 2 ms of reading."""
_GRACE: Final = 0.1
"""Seconds between two looks at a deadline that passed while nobody waited."""


class Gathering:
    """See the module. ``lost`` names the exceptions that mean a lost connection.

    ``broken`` is true once one of them came, ``expired`` where the deadline ended a wait
    and has not been moved since.
    """

    __slots__ = (
        "_chunks",
        "_deadline",
        "_error",
        "_held",
        "_hurried",
        "_loop",
        "_lost",
        "_news",
        "_over",
        "_room",
        "_size",
        "_task",
        "_timer",
        "broken",
        "expired",
    )

    def __init__(
        self, chunks: AsyncIterator[bytes], lost: tuple[type[Exception], ...], seconds: float
    ) -> None:
        self._chunks = chunks
        self._lost = lost
        self._held: list[bytes] = []
        self._size = 0
        self._news: asyncio.Future[None] | None = None  # somebody waits for bytes
        self._room: asyncio.Future[None] | None = None  # the task waits until they are taken
        self._over = False
        self._error: Exception | None = None
        self._hurried = False
        self.broken = False
        self.expired = False
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + seconds
        # One timer for a whole answer: it looks at the deadline when it goes off, so moving that
        # costs nothing, where a limit round every read would cost more than the reading.
        self._timer = self._loop.call_at(self._deadline, self._look)
        self._task = self._loop.create_task(self._read())

    async def take(self) -> bytes:
        """What has gathered, waited for where nothing has; empty at the end or the deadline."""
        # Bytes may have come at the same moment as the deadline: then nobody set a timer again.
        if not (self._held or self._over or self.expired):
            self._news = self._loop.create_future()
            try:
                await self._news
            finally:
                self._news = None
        held = self._held
        if not held:
            if self._error is not None:
                raise self._error
            return b""
        self._held, self._size = [], 0
        _tell(self._room)
        return held[0] if len(held) == 1 else b"".join(held)

    def wait(self, seconds: float) -> None:
        """Moves the deadline to ``seconds`` from now."""
        self._deadline = self._loop.time() + seconds
        if self.expired or self._deadline < self._timer.when():
            self.expired = False
            self._timer.cancel()
            self._timer = self._loop.call_at(self._deadline, self._look)

    def hurry(self, seconds: float) -> None:
        """Moves the deadline nearer: to ``seconds`` from the first time this is said."""
        if not self._hurried:
            self._hurried = True
            self.wait(seconds)

    async def close(self) -> None:
        """Ends the reading, in the middle of a wait too."""
        self._timer.cancel()
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _read(self) -> None:
        try:
            async for chunk in self._chunks:
                self._held.append(chunk)
                self._size += len(chunk)
                if self._news is not None:
                    _tell(self._news)
                if self._size >= AHEAD:
                    await self._taken()
        except self._lost:
            self.broken = True
        except Exception as error:  # noqa: BLE001 - a mistake goes up where bytes are asked for
            self._error = error
        finally:
            self._over = True
            _tell(self._news)
            await self._chunks.aclose()  # type: ignore[attr-defined]  # they are generators

    async def _taken(self) -> None:
        self._room = self._loop.create_future()
        try:
            await self._room
        finally:
            self._room = None

    def _look(self) -> None:
        now = self._loop.time()
        waits = self._news is not None and not self._news.done()
        if waits and now >= self._deadline:
            self.expired = True
            _tell(self._news)
            return
        # Late while nobody waits for bytes: whoever listens is slow, not the server.
        self._timer = self._loop.call_at(max(self._deadline, now + _GRACE), self._look)


def _tell(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
