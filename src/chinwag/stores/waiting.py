"""What waits to be saved, session by session, and who waits for it.

Invariants: entries wait in the order they came; a batch names the calls it has to wait for; an
answer that is coming in is written at most every FLUSH_EVERY seconds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TypeAlias, TypeVar

import msgspec

from chinwag.stores.base import PartHead, SessionStore
from chinwag.talk.delta import AnyDelta
from chinwag.talk.entry import AnyEntry
from chinwag.talk.session import Birth, Headline
from chinwag.threads import tell

T = TypeVar("T")

FLUSH_EVERY = 0.2  # seconds between writes of an answer that is coming in
SYNC_EVERY = 2.0  # seconds between syncs of it


class Append(msgspec.Struct, frozen=True):
    session_id: str


class Begin(msgspec.Struct, frozen=True):
    session_id: str
    part: Part


class End(msgspec.Struct, frozen=True):
    session_id: str
    part: Part | None


class Call(msgspec.Struct, frozen=True):
    run: Callable[[SessionStore], None]


class Close(msgspec.Struct, frozen=True):
    pass


Job: TypeAlias = Append | Begin | End | Call | Close


class Batch(msgspec.Struct, eq=False):
    """Entries handed over together, to be numbers at+1…

    ``after`` is how many calls had been handed over before: it waits for those. ``tried`` says
    that the store refused it at least once.
    """

    birth: Birth
    entries: tuple[AnyEntry, ...]
    at: int
    headline: Headline
    after: int = 0
    tried: bool = False


class Part(msgspec.Struct, eq=False):
    """An answer that is coming in; ``buffer`` is filled by the loop and emptied by the thread."""

    head: PartHead
    buffer: list[AnyDelta] = []
    begun: bool = False  # the thread has been told of it
    open: bool = False
    broken: bool = False  # a piece is missing: nothing more is written to it
    flushed: float = 0.0
    synced: float = 0.0
    unsynced: bool = False

    def due(self) -> float | None:
        """When there is something to do for it, on the monotonic clock."""
        if not self.open:
            return None
        if self.buffer:
            return self.flushed + FLUSH_EVERY
        return self.synced + SYNC_EVERY if self.unsynced else None


class Line(msgspec.Struct, eq=False):
    """One session's way to the store."""

    saved: int = 0
    waiting: deque[Batch] = msgspec.field(default_factory=deque)
    reason: str = ""  # why saving fails at present
    retry_at: float = 0.0
    lost: str = ""  # why nothing more is written: the conflict's message
    refused: bool = False  # entries were handed back and nobody has taken care of them
    part: Part | None = None
    end_due: bool = False  # the part may go as soon as what waits is safe
    waiters: list[Waiter] = []


class Waiter(msgspec.Struct, eq=False):
    through: int
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[bool]

    def tell(self, *, safe: bool) -> None:
        later(self.loop, self.future, lambda: self.future.set_result(safe))


def joined(waiting: list[Batch]) -> tuple[Batch, int]:
    """The batches at the front that follow on one another as one, and how many they are."""
    first, *rest = waiting
    entries = list(first.entries)
    headline, taken = first.headline, 1
    for batch in rest:
        if batch.at != first.at + len(entries) or batch.birth != first.birth:
            break
        entries += batch.entries
        headline = batch.headline
        taken += 1
    return Batch(first.birth, tuple(entries), first.at, headline), taken


def later(
    loop: asyncio.AbstractEventLoop, future: asyncio.Future[T], settle: Callable[[], object]
) -> None:
    """Settle a future on its loop; a loop that is closed has nobody waiting any more."""

    def on_loop() -> None:
        if not future.done():
            settle()

    tell(loop, on_loop)
