"""The private loop: one thread for every sync chat of the process, while one of them needs it.

Invariants: whoever takes it gives it back once; the last one ends the thread and closes the loop,
and the next one begins a new one. Waiting for the loop inside its own thread would never end, so it
is refused in words; so is using it in a process that was forked from the one it runs in.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from chinwag.errors import UsageError
from chinwag.threads import tell

T = TypeVar("T")

PATIENCE = 5.0  # seconds for an answer to be settled after Ctrl-C

_turn = threading.Lock()
_now: list[Loop] = []


class Loop:
    """An event loop in a thread of its own. Use `take` and `give_back`."""

    def __init__(self) -> None:
        self.users = 0
        self._pid = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="chinwag", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(_ended())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            asyncio.set_event_loop(None)
            self._loop.close()

    @property
    def usable(self) -> bool:
        """Whether this is the process it runs in."""
        return self._pid == os.getpid()

    @property
    def here(self) -> bool:
        """Whether this is its own thread."""
        return threading.current_thread() is self._thread

    def begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin ``work`` on the loop. Raises UsageError where that cannot be."""
        try:
            if not self.usable:
                raise UsageError(
                    "this chat belongs to the process this one was forked from",
                    hint="make a new one here: Chat(…, store=…, session=…)",
                )
            return asyncio.run_coroutine_threadsafe(work, self._loop)
        except BaseException:
            work.close()
            raise

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """``work``'s result; Ctrl-C while waiting cancels it, lets it end, and is raised then."""
        if self.here:
            work.close()
            raise UsageError(
                "a Chat cannot be waited for on its own loop, where its compactors and tools run",
                hint="use what you were given there, or a Chat in another thread",
            )
        done = threading.Event()
        future = self.begin(_told(work, done))
        try:
            return future.result()
        except BaseException:
            if not future.done():
                future.cancel()
                done.wait(PATIENCE)  # the work settles what it has before it ends
            raise

    def soon(self, call: Callable[[], object]) -> None:
        """Have ``call`` called on the loop; after its end nobody is there to be told."""
        tell(self._loop, call)

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        if not self.here:
            self._thread.join()


async def _ended() -> None:
    """Nothing may be left on the loop: it is cancelled and waited for."""
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


async def _told(work: Coroutine[Any, Any, T], done: threading.Event) -> T:
    try:
        return await work
    finally:
        done.set()


def take() -> Loop:
    """The loop of this process, begun where there is none."""
    with _turn:
        if not _now or not _now[0].usable:
            _now[:] = [Loop()]
        _now[0].users += 1
        return _now[0]


def give_back(loop: Loop) -> None:
    """It is not needed any more; the last one ends it."""
    with _turn:
        loop.users -= 1
        if loop.users or not loop.usable:
            return
        if _now and _now[0] is loop:
            _now.clear()
    loop.end()
