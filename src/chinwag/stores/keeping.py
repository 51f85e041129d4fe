"""Who keeps what is said: the saver of the lasting store or, in a private talk, memory alone.

Invariants: while it is private nothing that is handed over reaches the lasting store, which is not
even opened if it never was, unless somebody asks to look into it. What had been handed over before
is still saved. Nothing is told of what memory keeps: it is never called saved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from chinwag.stores.base import (
    ConflictReport,
    FailedReport,
    PartHead,
    Report,
    SavedReport,
    SessionStore,
)
from chinwag.stores.saver import Saver
from chinwag.talk.delta import AnyDelta
from chinwag.talk.entry import AnyEntry
from chinwag.talk.session import Birth, Headline

T = TypeVar("T")


class Keeping:
    """A keeper that can be made private and lasting again. Blocks nowhere but in `close`."""

    def __init__(
        self,
        store: SessionStore,
        memory: Callable[[], SessionStore],
        report: Callable[[Report], None],
        *,
        private: bool = False,
    ) -> None:
        self._saver = Saver(store, report)
        self._make_memory = memory
        self._report = report
        self._memory: Saver | None = None
        self._now = self._saver
        if private:
            self.hide()

    @property
    def private(self) -> bool:
        return self._now is self._memory

    @property
    def lasting(self) -> bool:
        """Whether what is handed over now outlives the program."""
        return self._now.lasting

    @property
    def store_url(self) -> str:
        return self._now.store_url

    def hide(self) -> None:
        if self._memory is None:
            self._memory = Saver(self._make_memory(), _only_mistakes(self._report))
        self._now = self._memory

    def reveal(self) -> None:
        self._now = self._saver

    async def erase(self, session_id: str) -> None:
        """Remove for good what was saved of a session, its deleted forms included."""
        await self._saver.call(lambda store: store.erase(session_id))
        self._saver.opened(session_id, 0)

    # -- as a saver ---------------------------------------------------------------------------

    def opened(self, session_id: str, through: int) -> None:
        self._now.opened(session_id, through)

    def forget(self, session_id: str) -> None:
        self._now.forget(session_id)

    def append(
        self, birth: Birth, entries: tuple[AnyEntry, ...], at: int, headline: Headline
    ) -> None:
        self._now.append(birth, entries, at, headline)

    async def safe(self, session_id: str, through: int, timeout: float | None = None) -> bool:
        return await self._now.safe(session_id, through, timeout)

    def saved_through(self, session_id: str) -> int:
        return self._now.saved_through(session_id)

    def part_begin(self, session_id: str, head: PartHead) -> None:
        self._now.part_begin(session_id, head)

    def part_add(self, session_id: str, delta: AnyDelta) -> None:
        self._now.part_add(session_id, delta)

    def part_end(self, session_id: str) -> None:
        self._now.part_end(session_id)

    async def call(self, fn: Callable[[SessionStore], T]) -> T:
        return await self._now.call(fn)

    async def look(self, fn: Callable[[SessionStore], T]) -> T:
        return await self._saver.call(fn)

    def kick(self) -> None:
        self._now.kick()

    def close(self, timeout: float = 3.0) -> list[str]:
        """Save what can be saved within ``timeout`` seconds; ids of sessions that were not."""
        if self._memory is not None:
            self._memory.close(timeout)
        return self._saver.close(timeout)


def _only_mistakes(report: Callable[[Report], None]) -> Callable[[Report], None]:
    def tell(said: Report) -> None:
        match said:
            case SavedReport():
                pass
            case FailedReport() | ConflictReport():
                report(said)

    return tell
