"""Between a loop and threads: work done aside, and word brought back.

Invariants: what is done apart has a thread of its own, which nobody waits for at the end of the
program: work that never ends is left behind, and cannot keep anything else from running. A loop
that has ended is told nothing, and nobody fails for it.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")


async def apart(function: Callable[..., T], /, *args: Any, **named: Any) -> T:
    """What ``function`` returns or raises. Cancelled, this ends at once; the thread does not."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            value = context.run(function, *args, **named)
        except BaseException as error:  # noqa: BLE001  # it is carried over to whoever waits
            tell(loop, _fail, future, error)
        else:
            tell(loop, give, future, value)

    threading.Thread(target=work, name="apart", daemon=True).start()
    return await future


def beside(tasks: set[asyncio.Future[Any]], work: Awaitable[Any]) -> None:
    """Have ``work`` done beside what goes on; ``tasks`` holds it to its end, as a loop does not."""
    task = asyncio.ensure_future(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


def tell(loop: asyncio.AbstractEventLoop, work: Callable[..., object], *what: Any) -> None:
    """Have ``work(*what)`` done on ``loop``, from any thread; nothing where the loop has ended."""
    try:
        loop.call_soon_threadsafe(work, *what)
    except RuntimeError:
        pass  # the loop is closed: nobody wants to know any more


def give(future: asyncio.Future[T], value: T) -> None:
    """Settle it, on its loop, unless nobody waits any more."""
    if not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[T], error: BaseException) -> None:
    if not future.done():
        # A future refuses these two, and neither should end the loop.
        is_odd = isinstance(error, StopIteration | KeyboardInterrupt)
        future.set_exception(RuntimeError(type(error).__name__) if is_odd else error)
