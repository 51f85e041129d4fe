"""Again, until the first word; never after.

Invariants: at most three attempts and ninety seconds; a wait the server asked for is never cut
short; nothing is tried again once content has been heard, for then it could be heard twice.
Deciding is pure; only ``with_retries`` waits.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final

from chinwag.errors import Overloaded, ProviderError, RateLimited
from chinwag.talk.delta import AnyDelta, CallDelta, TextDelta, ThinkingDelta

ATTEMPTS: Final = 3
LONGEST: Final = 90.0
"""Seconds from the first attempt within which the last one must begin."""
OBEYED: Final = 60.0
"""The longest wait in seconds, asked for by a server, that is kept without asking the person."""
_FIRST: Final = 1.0
_MOST: Final = 20.0


def next_wait(error: ProviderError, attempt: int, elapsed: float, rnd: float) -> float | None:
    """Seconds until the next attempt, or None where there is none.

    ``attempt`` counts those made (1 after the first), ``elapsed`` is seconds since the first began,
    ``rnd`` a random number in [0, 1): full jitter, so that clients do not come back together.
    """
    if not error.may_retry or attempt >= ATTEMPTS:
        return None
    told = error.wait if isinstance(error, RateLimited | Overloaded) else None
    if told is not None and told > OBEYED:
        return None  # nobody sits that long unasked: the error says how long it is
    backoff = min(_MOST, _FIRST * 2.0 ** (attempt - 1))
    wait = rnd * backoff if told is None else told + rnd * 0.25
    return wait if elapsed + wait <= LONGEST else None


async def with_retries(
    open_stream: Callable[[], AsyncGenerator[AnyDelta, None]],
    on_wait: Callable[[str, float], None],
    *,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
    rnd: Callable[[], float] = random.random,
) -> AsyncGenerator[AnyDelta, None]:
    """The deltas of the first attempt that gets to speak.

    ``on_wait`` is told the reason and the seconds before each wait. Raises the last error.
    """
    began = clock()
    attempt = 0
    while True:
        attempt += 1
        heard = False
        stream = open_stream()
        try:
            async for delta in stream:
                heard = heard or isinstance(delta, TextDelta | ThinkingDelta | CallDelta)
                yield delta
            return
        except ProviderError as error:
            wait = None if heard else next_wait(error, attempt, clock() - began, rnd())
            if wait is None:
                raise
            reason = error.message
        finally:
            await stream.aclose()
        on_wait(reason, wait)
        await sleep(wait)
