"""What keeps a talk that lasts only as long as the program: memory, without a thread.

Invariants: memory never makes anybody wait, so everything is done at once and is safe at once.
`memory:` is one store for the whole process, so that a session begun there is found there again
(by any chat, from any thread); a talk without a store has one of its own, gone with it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from chinwag.errors import SessionConflict
from chinwag.stores.base import ConflictReport, PartHead, Report, SessionStore
from chinwag.stores.opening import memory
from chinwag.talk.delta import AnyDelta
from chinwag.talk.entry import AnyEntry
from chinwag.talk.session import Birth, Headline

T = TypeVar("T")

_lock = threading.RLock()
_shared: list[SessionStore] = []


def shared_memory() -> SessionStore:
    """The process's own memory: what `memory:` names in a program."""
    with _lock:
        if not _shared:
            _shared.append(memory())
        return _shared[0]


def is_memory(url: str) -> bool:
    return url.strip().lower().rstrip("/") == "memory:"


class InMemory:
    """A keeper (`engine.promises.Keeper`) over a store that cannot make anybody wait."""

    private = True

    def __init__(self, store: SessionStore, report: Callable[[Report], None]) -> None:
        self._store = store
        self._report = report
        self._through: dict[str, int] = {}

    def hide(self) -> None:
        """Nothing is kept anywhere else."""

    def reveal(self) -> None:
        """See hide."""

    async def erase(self, session_id: str) -> None:
        with _lock:
            self._store.erase(session_id)

    def opened(self, session_id: str, through: int) -> None:
        self._through[session_id] = through

    def forget(self, session_id: str) -> None:
        """A conflict was taken care of: nothing waits here."""

    def append(
        self, birth: Birth, entries: tuple[AnyEntry, ...], at: int, headline: Headline
    ) -> None:
        try:
            with _lock:
                self._through[birth.id] = self._store.append(
                    birth, entries, at=at, headline=headline
                )
        except SessionConflict as error:
            self._report(ConflictReport(birth.id, entries, error.message))

    async def safe(
        self,
        session_id: str,
        through: int,
        timeout: float | None,  # noqa: ARG002 - nothing is waited for
    ) -> bool:
        return self.saved_through(session_id) >= through

    def saved_through(self, session_id: str) -> int:
        return self._through.get(session_id, 0)

    def part_begin(self, session_id: str, head: PartHead) -> None:
        """Nobody can come back to a memory that is gone: parts are not kept."""

    def part_add(self, session_id: str, delta: AnyDelta) -> None:
        """See part_begin."""

    def part_end(self, session_id: str) -> None:
        """See part_begin."""

    async def call(self, fn: Callable[[SessionStore], T]) -> T:
        with _lock:
            return fn(self._store)

    async def look(self, fn: Callable[[SessionStore], T]) -> T:
        return await self.call(fn)

    def kick(self) -> None:
        """Nothing waits."""

    def close(self, timeout: float) -> list[str]:  # noqa: ARG002 - as a saver's
        return []
