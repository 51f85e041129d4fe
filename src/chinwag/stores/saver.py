"""The thread that owns a store: what is handed over here is saved in order, or said not to be.

Invariants. Nothing called from the event loop blocks or touches the disk. Entries of one session
are written in the order they came, several waiting ones at once (group commit); `SavedReport` is
made only after the store has acknowledged them. While the store cannot take them they stay in
memory and are tried again, at once when more comes or somebody asks, else every few seconds; this
is reported once for each change of reason. After a conflict nothing of that session is written
any more: each refused entry is handed back in exactly one `ConflictReport`. A part is unlinked
only after every entry that came before `part_end` is safe. An idle saver sleeps without a timer.

Reports are made FROM THE SAVER'S THREAD: `report` must hand them over to the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar, assert_never

from chinwag.errors import ChinwagError, StoreError, StoreUnavailable
from chinwag.stores import haste
from chinwag.stores.base import (
    ConflictReport,
    FailedReport,
    PartHead,
    Report,
    SavedReport,
    SessionStore,
)
from chinwag.stores.waiting import (
    SYNC_EVERY,
    Append,
    Batch,
    Begin,
    Call,
    Close,
    End,
    Job,
    Line,
    Part,
    Waiter,
    joined,
    later,
)
from chinwag.talk.delta import AnyDelta
from chinwag.talk.entry import AnyEntry
from chinwag.talk.session import Birth, Headline

T = TypeVar("T")


class Saver:
    """See the module. `retry_every` is in seconds."""

    def __init__(
        self, store: SessionStore, report: Callable[[Report], None], *, retry_every: float = 5.0
    ) -> None:
        self._store = store
        self._report = report
        self._retry_every = retry_every
        self._lines: dict[str, Line] = {}
        self._jobs: deque[Job] = deque()
        self._turn = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._calls = 0  # handed over
        self._called = 0  # of these, done
        self._hasty = False

    # -- from the loop: none of these waits for the disk ----------------------------------------

    @property
    def store_url(self) -> str:
        return self._store.url

    @property
    def lasting(self) -> bool:
        return self._store.lasting

    def opened(self, session_id: str, through: int) -> None:
        """The session was read from the store with so many entries: they are safe."""
        with self._turn:
            line = self._line(session_id, through)
            line.saved, line.lost = through, ""

    def append(
        self, birth: Birth, entries: tuple[AnyEntry, ...], at: int, headline: Headline
    ) -> None:
        """Save ``entries`` as numbers at+1…; returns at once."""
        with self._turn:
            line = self._line(birth.id, at)
            line.waiting.append(Batch(birth, tuple(entries), at, headline, self._calls))
            if not self._hasty:
                self._hasty = True  # before the thread wakes, or it waits out a long turn
                haste.begin()
            self._put(Append(birth.id))

    def saved_through(self, session_id: str) -> int:
        """How many entries the store has acknowledged, as far as this saver knows."""
        line = self._lines.get(session_id)
        return line.saved if line else 0

    async def safe(self, session_id: str, through: int, timeout: float | None = None) -> bool:
        """Wait until entries up to ``through`` are acknowledged.

        False as soon as saving them fails, or after ``timeout`` seconds, or when nothing that was
        handed over could make it true.
        """
        loop = asyncio.get_running_loop()
        with self._turn:
            line = self._lines.get(session_id)
            if line is None or line.saved >= through or all(b.tried for b in line.waiting):
                return line is not None and line.saved >= through
            waiter = Waiter(through, loop, loop.create_future())
            line.waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout):
                return await waiter.future
        except TimeoutError:
            return False
        finally:
            with self._turn, contextlib.suppress(ValueError):
                line.waiters.remove(waiter)

    def part_begin(self, session_id: str, head: PartHead) -> None:
        """An answer starts to come in."""
        with self._turn:
            line = self._line(session_id, 0)
            line.part = Part(head)

    def part_add(self, session_id: str, delta: AnyDelta) -> None:
        """More of it. Cheap: the thread is woken at most once per write."""
        with self._turn:
            line = self._lines.get(session_id)
            if line is None or line.part is None:
                return
            line.part.buffer.append(delta)
            if not line.part.begun:
                line.part.begun = True  # not before: making a file would delay the first word
                self._put(Begin(session_id, line.part))
            elif len(line.part.buffer) == 1 and line.part.open:
                self._turn.notify()

    def part_end(self, session_id: str) -> None:
        """The answer was settled (its entry handed over before) or dropped."""
        with self._turn:
            if line := self._lines.get(session_id):
                self._put(End(session_id, line.part))
                line.part = None

    async def call(self, fn: Callable[[SessionStore], T]) -> T:
        """Run ``fn`` on the store in the saver's thread, after everything handed over before."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def run(store: SessionStore) -> None:
            try:
                result = fn(store)
            except Exception as error:  # noqa: BLE001 - it goes up where it was asked for
                problem = error
                later(loop, future, lambda: future.set_exception(problem))
            else:
                later(loop, future, lambda: future.set_result(result))

        with self._turn:
            self._calls += 1
            self._put(Call(run))
        return await future

    def kick(self) -> None:
        """Try now what waits to be tried again."""
        with self._turn:
            for line in self._lines.values():
                line.retry_at = 0.0
            self._turn.notify()

    def forget(self, session_id: str) -> None:
        """What was handed back in a ConflictReport has been taken care of (saved elsewhere)."""
        with self._turn:
            if line := self._lines.get(session_id):
                line.refused = False

    def unsaved(self) -> list[str]:
        """Ids of sessions with entries that are not safe."""
        with self._turn:
            return [name for name, line in self._lines.items() if line.waiting or line.refused]

    def close(self, timeout: float = 3.0) -> list[str]:
        """Save what can be saved within ``timeout`` seconds; ids of sessions that were not.

        Blocks. The thread of a disk that hangs is left behind: it cannot hold the exit.
        """
        with self._turn:
            started = self._thread is not None
            if started and not self._closed:
                self._put(Close())
            self._closed = True
        if self._thread is not None:
            self._thread.join(timeout)
        elif not started:
            self._store.close()
        return self.unsaved()

    def _line(self, session_id: str, at: int) -> Line:
        return self._lines.setdefault(session_id, Line(saved=at))

    def _put(self, job: Job) -> None:
        if self._closed:
            raise RuntimeError("the saver is closed")
        self._jobs.append(job)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="saver", daemon=True)
            self._thread.start()
        self._turn.notify()

    # -- the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        while (job := self._next()) is not None:
            match job:
                case Append(session_id=session_id):
                    self._save(session_id)
                    self._calm()
                case Begin(session_id=session_id, part=part):
                    self._begin(session_id, part)
                case End(session_id=session_id, part=part):
                    self._end(session_id, part)
                case Call(run=run):
                    run(self._store)
                    self._called += 1
                case Close():
                    break
                case _:
                    assert_never(job)
            self._tend()
        self._finish()

    def _calm(self) -> None:
        """What was in haste is saved, or is known not to be."""
        with self._turn:
            if self._hasty and not any(isinstance(job, Append) for job in self._jobs):
                self._hasty = False
                haste.end()

    def _next(self) -> Job | None:
        """The next job; in between, what has become due is done."""
        while True:
            with self._turn:
                if self._jobs:
                    return self._jobs.popleft()
                due = self._due()
                wait = None if due is None else due - time.monotonic()
                if wait is None or wait > 0:
                    self._turn.wait(wait)
                    continue
            self._tend()

    def _due(self) -> float | None:
        times: list[float] = []
        for line in self._lines.values():
            if line.reason:
                times.append(line.retry_at)
            if line.part and (due := line.part.due()) is not None:
                times.append(due)
        return min(times, default=None)

    def _tend(self) -> None:
        """Retries and flushes that are due."""
        now = time.monotonic()
        for session_id, line in self._all():
            if line.reason and line.retry_at <= now:
                self._save(session_id)
            if line.part and (due := line.part.due()) is not None and due <= now:
                self._flush(session_id, line.part)

    def _all(self) -> list[tuple[str, Line]]:
        with self._turn:
            return list(self._lines.items())

    def _save(self, session_id: str) -> None:
        """Write everything of one session that may be written now, as few times as possible."""
        line = self._lines[session_id]
        while (batch := self._ready(line)) is not None:
            if not self._write(session_id, line, *batch):
                return
        if line.end_due and not line.waiting:
            self._unlink(session_id, line)

    def _ready(self, line: Line) -> tuple[Batch, int] | None:
        """What waits and was handed over before the next call, as far as it follows on itself."""
        with self._turn:
            ready = [batch for batch in line.waiting if batch.after <= self._called]
        return joined(ready) if ready else None

    def _write(self, session_id: str, line: Line, joined: Batch, taken: int) -> bool:
        """One append to the store. False when it was not taken."""
        if line.lost:
            self._refuse(session_id, line)
            return False
        try:
            through = self._store.append(
                joined.birth, joined.entries, at=joined.at, headline=joined.headline
            )
        except StoreUnavailable as error:
            self._fail(session_id, line, error.message, error.hint)
            return False
        except StoreError as error:
            line.lost = error.message
            self._refuse(session_id, line)
            return False
        except Exception as error:  # noqa: BLE001 - a mistake of ours must not lose what waits
            hint = "this is a mistake of the program; please report it"
            self._fail(session_id, line, f"{type(error).__name__}: {error}", hint)
            return False
        self._acknowledge(session_id, line, through, taken)
        return True

    def _acknowledge(self, session_id: str, line: Line, through: int, taken: int) -> None:
        with self._turn:
            for _ in range(taken):
                line.waiting.popleft()
            line.saved, line.reason = through, ""
            told = [w for w in line.waiters if w.through <= through or not line.waiting]
            line.waiters = [w for w in line.waiters if w not in told]
        # The report first: whoever waits finds it in the loop's queue before they go on.
        self._tell(SavedReport(session_id, through))
        for waiter in told:
            waiter.tell(safe=waiter.through <= through)

    def _fail(self, session_id: str, line: Line, reason: str, hint: str) -> None:
        with self._turn:
            news = reason != line.reason
            line.reason = reason
            line.retry_at = time.monotonic() + self._retry_every
            waiting = sum(len(batch.entries) for batch in line.waiting)
            for batch in line.waiting:
                batch.tried = True
            told, line.waiters = line.waiters, []
        if news:
            self._tell(FailedReport(session_id, reason, hint, waiting))
        for waiter in told:
            waiter.tell(safe=False)

    def _refuse(self, session_id: str, line: Line) -> None:
        with self._turn:
            refused = list(line.waiting)
            line.reason, line.refused = "", True
        entries = tuple(entry for batch in refused for entry in batch.entries)
        # The report first, as above: whoever hears that it is not safe finds why in the queue.
        self._tell(ConflictReport(session_id, entries, line.lost))
        with self._turn:
            for _ in refused:
                line.waiting.popleft()
            told, line.waiters = line.waiters, []
        for waiter in told:
            waiter.tell(safe=False)

    def _tell(self, report: Report) -> None:
        try:
            self._report(report)
        except Exception as error:  # noqa: BLE001 - saving goes on; the mistake is seen all the same
            seen = (type(error), error, error.__traceback__, threading.current_thread())
            threading.excepthook(threading.ExceptHookArgs(seen))

    # -- parts, in the thread -------------------------------------------------------------------

    def _begin(self, session_id: str, part: Part) -> None:
        line = self._lines[session_id]
        if line.part is not part or part.open or part.broken or line.end_due or line.lost:
            return  # over already; or the part that is there holds what is not safe otherwise
        try:
            self._store.begin_part(session_id, part.head)
        except ChinwagError:
            part.broken = True  # the entry that follows will tell
            return
        part.synced = time.monotonic()
        part.open = True

    def _flush(self, session_id: str, part: Part) -> None:
        with self._turn:
            deltas, part.buffer = part.buffer, []
        now = time.monotonic()
        sync = now - part.synced >= SYNC_EVERY
        try:
            self._store.add_part(session_id, deltas, sync=sync)
        except ChinwagError:
            part.open, part.broken = False, True  # the entry that follows will tell
            return
        part.flushed, part.unsynced = now, not sync
        if sync:
            part.synced = now

    def _end(self, session_id: str, part: Part | None) -> None:
        line = self._lines[session_id]
        if not line.waiting and not line.refused:
            self._unlink(session_id, line)
            return
        line.end_due = not line.lost
        if part and part.open:
            part.synced = 0.0  # what cannot be saved as an entry is made safe as a part
            self._flush(session_id, part)

    def _unlink(self, session_id: str, line: Line) -> None:
        line.end_due = False
        with contextlib.suppress(StoreError):  # a part whose entry is there is removed at opening
            self._store.end_part(session_id)
        if line.part is not None:
            self._begin(session_id, line.part)

    def _finish(self) -> None:
        """Last tries before the program ends; then let go of the store."""
        self._calm()
        for session_id, line in self._all():
            if line.waiting:
                self._save(session_id)
            if line.part and line.part.open:
                line.part.synced = 0.0
                self._flush(session_id, line.part)
        with contextlib.suppress(StoreError):
            self._store.close()
