"""A plain function run where it cannot stop the loop.

Invariants: each call has a thread of its own, which nobody waits for at the end of the program: a
function that never returns is left behind, and cannot keep another from running.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
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
            _tell(loop, _fail, future, error)
        else:
            _tell(loop, _give, future, value)

    threading.Thread(target=work, name="chinwag-tool", daemon=True).start()
    return await future


def _tell(loop: asyncio.AbstractEventLoop, how: Callable[..., None], *what: Any) -> None:
    try:
        loop.call_soon_threadsafe(how, *what)
    except RuntimeError:
        pass  # the loop is closed: nobody wants to know any more


def _give(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[T], error: BaseException) -> None:
    if not future.done():
        # A future refuses these two, and neither should end the loop.
        is_odd = isinstance(error, StopIteration | KeyboardInterrupt)
        future.set_exception(RuntimeError(type(error).__name__) if is_odd else error)
