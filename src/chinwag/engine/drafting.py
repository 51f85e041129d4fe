"""Keeping what is typed and not sent: soon, and elsewhere than on the loop.

Invariants. What stands in the input is kept within ``WAIT`` seconds of a change, in the place of
its own session; before a session is kept anywhere its draft has a place of its own. Nothing is
written while nothing changes. Changes are written in order, by one thread that sleeps without a
timer; what it cannot write (a full disk) is kept in memory and tried again with the next change.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection
from queue import SimpleQueue
from typing import Protocol, TypeVar

import msgspec

from chinwag.errors import ChinwagError
from chinwag.talk.unsent import Unsent
from chinwag.threads import give, tell

WAIT = 0.4  # seconds from a change to the disk
T = TypeVar("T")


class Drafts(Protocol):
    """Where drafts are kept, by session; "" for one that is not kept yet. Blocks."""

    def keep(self, session_id: str, draft: Unsent, /) -> None: ...

    def take(self, session_id: str, /) -> Unsent | None: ...

    def discard(self, draft: Unsent, /) -> None: ...

    def recent(self) -> list[Unsent]: ...

    def forget(self, texts: Collection[str], /) -> None: ...

    def close(self) -> None: ...


class _Slot(msgspec.Struct, frozen=True):
    """The place of a draft: of which session, and whether that one is kept already."""

    session_id: str = ""
    born: bool = False

    @property
    def name(self) -> str:
        return self.session_id if self.born else ""


class Drafting:
    """``drafts`` is made when the first is kept or looked for."""

    def __init__(self, make: Callable[[], Drafts]) -> None:
        self._make = make
        self._drafts: Drafts | None = None
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._slot = _Slot()
        self._draft = Unsent()
        self._written = (_Slot(), Unsent())
        self._filled: set[str] = set()  # places in which something may be kept
        self._given_up: set[str] = set()  # here, since the program began

    def changed(self, session_id: str, draft: Unsent, *, born: bool) -> None:
        """``draft`` stands in the input now, of a session that is ``born`` when it is kept."""
        slot = _Slot(session_id, born)
        if slot.name != self._slot.name:
            self._write()  # what stood in the other one, as it was left
            if slot.session_id == self._slot.session_id:
                self._keep("", Unsent())  # the session is kept by now: so is its draft, with it
        self._slot, self._draft = slot, draft
        if self._timer is None and (slot, draft) != self._written:
            self._timer = asyncio.get_running_loop().call_later(WAIT, self._write)

    def _write(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (self._slot, self._draft) != self._written:
            self._written = self._slot, self._draft
            self._keep(self._slot.name, self._draft)

    def _keep(self, name: str, draft: Unsent) -> None:
        if not draft and name not in self._filled:
            return
        (self._filled.add if draft else self._filled.discard)(name)
        self._do(lambda drafts: drafts.keep(name, draft))

    def forget(self, session_id: str) -> None:
        """Nothing typed in this session, or given up here, is to be found any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._draft = Unsent()
        self._written = self._slot, self._draft
        self._filled |= {"", session_id}
        for name in ("", session_id):
            self._keep(name, Unsent())
        given_up, self._given_up = self._given_up, set()
        self._do(lambda drafts: drafts.forget(given_up))

    def put_aside(self, draft: Unsent) -> None:
        """It was given up; `recent` has it."""
        if draft:
            self._given_up.add(draft.text)
            self._do(lambda drafts: drafts.discard(draft))

    async def taken(self, session_id: str, *, born: bool) -> Unsent | None:
        """What had been typed in a session; None for nothing."""
        name = session_id if born else ""
        found = await self._asked(lambda drafts: drafts.take(name))
        if found is not None:
            self._filled.add(name)
            self._slot, self._draft = _Slot(session_id, born), found
            self._written = self._slot, found
        return found

    async def recent(self) -> list[Unsent]:
        """What was given up, newest first."""
        return await self._asked(lambda drafts: drafts.recent()) or []

    def finish(self) -> None:
        """Nothing more changes: have written what is not. On the loop; see `close`."""
        self._write()
        if self._thread is not None:
            self._jobs.put(self._end)
            self._jobs.put(None)

    def close(self, patience: float = 1.0) -> None:
        """Wait for that. Blocks; a disk that hangs holds nobody up for longer."""
        if self._thread is not None:
            self._thread.join(patience)

    # -- the thread ---------------------------------------------------------------------------

    def _do(self, work: Callable[[Drafts], None]) -> None:
        def job() -> None:
            try:
                work(self._opened())
            except ChinwagError:
                self._written = (_Slot(), Unsent())  # it is not there: the next change tries again

        self._put(job)

    async def _asked(self, work: Callable[[Drafts], T]) -> T | None:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T | None] = loop.create_future()

        def job() -> None:
            found = None
            try:
                found = work(self._opened())
            except ChinwagError:
                pass  # nothing can be found there now
            tell(loop, give, answer, found)

        self._put(job)
        return await answer

    def _put(self, job: Callable[[], None]) -> None:
        self._jobs.put(job)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="drafts", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def _opened(self) -> Drafts:
        if self._drafts is None:
            self._drafts = self._make()
        return self._drafts

    def _end(self) -> None:
        if self._drafts is not None:
            self._drafts.close()
