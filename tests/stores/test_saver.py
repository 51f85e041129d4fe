"""The saver: order, group commit, acknowledgements, retries, conflicts, parts, leaving."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from chinwag.errors import SessionConflict, SessionNotFound, StoreUnavailable
from chinwag.stores.base import PartHead, SessionStore
from chinwag.stores.memory import MemoryStore
from chinwag.stores.saver import ConflictReport, FailedReport, Report, SavedReport, Saver
from chinwag.talk.delta import AnyDelta, TextDelta
from chinwag.talk.entry import AnyEntry, AssistantSaid
from chinwag.talk.message import Text
from chinwag.talk.session import Birth, Headline
from contracts.store import birth, some

LINE = Headline()


class Trying(MemoryStore):
    """A memory store that keeps a log and can be held up, full, or broken."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[str] = []
        self.may_go = threading.Event()
        self.may_go.set()
        self.full = ""
        self.bug: Exception | None = None
        self.closed = 0

    def append(
        self, birth: Birth, entries: Sequence[AnyEntry], *, at: int, headline: Headline
    ) -> int:
        self.may_go.wait()
        self.log.append(f"append {at}+{len(entries)}")
        if self.bug:
            raise self.bug
        if self.full:
            raise StoreUnavailable(self.full, hint="free some space")
        return super().append(birth, entries, at=at, headline=headline)

    def begin_part(self, session_id: str, head: PartHead) -> None:
        self.log.append(f"begin {head.id}")
        super().begin_part(session_id, head)

    def add_part(self, session_id: str, deltas: Sequence[AnyDelta], *, sync: bool) -> None:
        self.log.append(f"add {len(deltas)}{' sync' if sync else ''}")
        if self.full:
            raise StoreUnavailable(self.full)
        super().add_part(session_id, deltas, sync=sync)

    def end_part(self, session_id: str) -> None:
        self.log.append("end")
        super().end_part(session_id)

    def close(self) -> None:
        self.closed += 1


class Desk:
    """A saver over a trying store, with what it reported."""

    def __init__(self) -> None:
        self.store = Trying()
        self.reports: list[Report] = []
        self.saver = Saver(self.store, self.reports.append, retry_every=0.05)
        self.born = birth()

    def append(self, count: int, at: int) -> None:
        self.saver.append(self.born, some(count, at + 1), at, LINE)

    async def until(self, truth: Callable[[], object], seconds: float = 5.0) -> None:
        async with asyncio.timeout(seconds):
            while not truth():
                await asyncio.sleep(0.002)

    def said(self, kind: type[Report]) -> list[Report]:
        return [r for r in self.reports if isinstance(r, kind)]


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.store.may_go.set()
    desk.saver.close()
    assert desk.store.closed >= 1
    assert not any(t.name == "saver" and t.is_alive() for t in threading.enumerate())


async def test_what_is_appended_is_acknowledged(desk: Desk) -> None:
    desk.append(2, 0)
    assert await desk.saver.safe(desk.born.id, 2, 5.0)
    assert desk.saver.saved_through(desk.born.id) == 2
    assert desk.reports == [SavedReport(desk.born.id, 2)]
    assert desk.store.read(desk.born.id).entries == some(2)


def test_nothing_is_started_before_it_is_needed(desk: Desk) -> None:
    assert not any(t.name == "saver" for t in threading.enumerate())
    assert desk.saver.saved_through(desk.born.id) == 0
    assert desk.saver.unsaved() == []


async def test_waiting_entries_are_written_at_once(desk: Desk) -> None:
    desk.store.may_go.clear()
    desk.append(1, 0)
    await asyncio.sleep(0.02)
    for at in range(1, 50):
        desk.append(1, at)
    desk.store.may_go.set()
    assert await desk.saver.safe(desk.born.id, 50, 5.0)
    assert desk.store.log == ["append 0+1", "append 1+49"]
    assert desk.reports == [SavedReport(desk.born.id, 1), SavedReport(desk.born.id, 50)]


async def test_appending_never_waits_for_the_store(desk: Desk) -> None:
    desk.store.may_go.clear()
    began = time.monotonic()
    for at in range(200):
        desk.append(1, at)
        desk.saver.part_add(desk.born.id, TextDelta("x"))
    assert time.monotonic() - began < 0.5
    assert not await desk.saver.safe(desk.born.id, 1, 0.05)
    assert desk.saver.unsaved() == [desk.born.id]


async def test_a_full_disk_is_told_once_and_healed_without_help(desk: Desk) -> None:
    desk.store.full = "the disk is full"
    desk.append(2, 0)
    assert not await desk.saver.safe(desk.born.id, 2, 5.0)
    await desk.until(lambda: len(desk.store.log) > 3)
    failed = FailedReport(desk.born.id, "the disk is full", "free some space", 2)
    assert desk.reports == [failed]
    desk.store.full = "the quota is used up"
    await desk.until(lambda: len(desk.reports) == 2)
    desk.append(1, 2)
    desk.store.full = ""
    await desk.until(lambda: desk.said(SavedReport))
    assert await desk.saver.safe(desk.born.id, 3, 5.0)
    assert desk.store.read(desk.born.id).entries == some(3)
    assert len(desk.said(FailedReport)) == 2
    assert desk.saver.unsaved() == []


async def test_waiting_for_what_fails_returns_at_once(desk: Desk) -> None:
    desk.saver._retry_every = 60.0
    desk.store.full = "the disk is full"
    desk.append(1, 0)
    began = time.monotonic()
    assert not await desk.saver.safe(desk.born.id, 1, None)
    assert not await desk.saver.safe(desk.born.id, 1, None)
    assert not await desk.saver.safe(desk.born.id, 99, None)
    assert not await desk.saver.safe("unknown", 1, None)
    desk.store.full = ""
    desk.append(1, 1)  # tried at once, without waiting a minute
    assert await desk.saver.safe(desk.born.id, 2, None)
    assert time.monotonic() - began < 5


async def test_a_kick_tries_again_now(desk: Desk) -> None:
    desk.saver._retry_every = 60.0
    desk.store.full = "the disk is full"
    desk.append(1, 0)
    await desk.until(lambda: desk.reports)
    desk.store.full = ""
    desk.saver.kick()
    await desk.until(lambda: desk.said(SavedReport))


async def test_waiting_for_more_than_was_handed_over_does_not_hang(desk: Desk) -> None:
    desk.store.may_go.clear()
    desk.append(1, 0)
    waiting = asyncio.create_task(desk.saver.safe(desk.born.id, 9, None))
    await asyncio.sleep(0.01)
    desk.store.may_go.set()
    assert not await asyncio.wait_for(waiting, 5)


async def test_a_conflict_hands_every_entry_back_once(desk: Desk) -> None:
    desk.store.append(desk.born, some(3, 90), at=0, headline=LINE)
    desk.append(1, 1)
    assert not await desk.saver.safe(desk.born.id, 2, 5.0)
    desk.append(2, 2)
    await desk.until(lambda: len(desk.said(ConflictReport)) == 2)
    first, second = desk.said(ConflictReport)
    assert isinstance(first, ConflictReport)
    assert isinstance(second, ConflictReport)
    assert first.entries + second.entries == some(3, 2)
    assert first.message
    assert desk.store.read(desk.born.id).entries == some(3, 90)
    assert desk.saver.unsaved() == [desk.born.id]
    desk.saver.forget(desk.born.id)
    assert desk.saver.unsaved() == []


async def test_a_session_opened_anew_after_a_conflict_is_written_again(desk: Desk) -> None:
    desk.store.append(desk.born, some(3), at=0, headline=LINE)
    desk.append(1, 1)
    await desk.until(lambda: desk.said(ConflictReport))
    desk.saver.opened(desk.born.id, 3)
    assert desk.saver.saved_through(desk.born.id) == 3
    desk.append(1, 3)
    assert await desk.saver.safe(desk.born.id, 4, 5.0)


async def test_a_mistake_of_ours_is_seen_and_loses_nothing(desk: Desk) -> None:
    desk.store.bug = ZeroDivisionError("oops")
    desk.append(1, 0)
    await desk.until(lambda: desk.reports)
    (report,) = desk.reports
    assert isinstance(report, FailedReport)
    assert "ZeroDivisionError: oops" in report.reason
    desk.store.bug = None
    await desk.until(lambda: desk.said(SavedReport))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_listener_that_fails_does_not_stop_the_saving(desk: Desk) -> None:
    def bad(_: Report) -> None:
        raise ZeroDivisionError

    desk.saver._report = bad
    desk.append(1, 0)
    desk.append(1, 1)
    assert await desk.saver.safe(desk.born.id, 2, 5.0)


async def test_calls_come_in_order_and_see_what_was_before(desk: Desk) -> None:
    desk.store.may_go.clear()
    desk.append(2, 0)
    count = desk.saver.call(lambda store: len(store.read(desk.born.id).entries))
    gone = desk.saver.call(lambda store: store.delete(desk.born.id))
    waiting = [asyncio.create_task(c) for c in (count, gone)]
    await asyncio.sleep(0)
    desk.append(3, 0)  # begins anew: must not be written before it was deleted
    desk.store.may_go.set()
    assert await waiting[0] == 2
    await waiting[1]
    assert await desk.saver.safe(desk.born.id, 3, 5.0)
    assert desk.store.read(desk.born.id).entries == some(3)
    assert desk.said(ConflictReport) == []


async def test_what_a_call_raises_goes_to_who_called(desk: Desk) -> None:
    with pytest.raises(SessionNotFound):
        await desk.saver.call(lambda store: store.read("nothing"))
    desk.append(1, 0)
    assert await desk.saver.safe(desk.born.id, 1, 5.0)


async def test_calls_go_on_while_the_disk_is_full(desk: Desk) -> None:
    desk.store.full = "the disk is full"
    desk.append(1, 0)
    assert await asyncio.wait_for(desk.saver.call(lambda store: store.headers()), 5) == []


# -- parts --------------------------------------------------------------------------------------


async def test_an_answer_is_kept_while_it_comes_in(desk: Desk) -> None:
    desk.append(1, 0)
    desk.saver.part_begin(desk.born.id, PartHead(2, "a", "t"))
    for word in ("one ", "two ", "three"):
        desk.saver.part_add(desk.born.id, TextDelta(word))

    def kept() -> str:
        rescued = desk.store.read(desk.born.id).rescued
        return rescued.text if rescued else ""

    await desk.until(lambda: len(desk.store.log) > 2 and kept() == "one two three", 2.0)
    assert sum(line.startswith("add") for line in desk.store.log) <= 3


async def test_a_fast_answer_costs_few_writes(desk: Desk) -> None:
    desk.append(1, 0)
    desk.saver.part_begin(desk.born.id, PartHead(2, "a", "t"))
    began = time.monotonic()
    while time.monotonic() - began < 0.5:
        desk.saver.part_add(desk.born.id, TextDelta("x"))
        await asyncio.sleep(0)
    assert sum(line.startswith("add") for line in desk.store.log) <= 4


async def test_a_part_ends_after_its_entry_is_safe(desk: Desk) -> None:
    desk.append(1, 0)
    desk.saver.part_begin(desk.born.id, PartHead(2, "a", "t"))
    desk.saver.part_add(desk.born.id, TextDelta("w"))
    await desk.until(lambda: "begin a" in desk.store.log)
    desk.store.full = "the disk is full"
    answer = (AssistantSaid(id="a", parts=(Text("x"),)),)
    desk.saver.append(desk.born, answer, 1, LINE)
    desk.saver.part_end(desk.born.id)
    desk.saver.part_begin(desk.born.id, PartHead(3, "b", "t"))
    desk.saver.part_add(desk.born.id, TextDelta("later"))
    await desk.until(lambda: desk.store.log.count("append 1+1") > 2)
    assert "end" not in desk.store.log
    assert "begin b" not in desk.store.log
    desk.store.full = ""
    await desk.until(lambda: "begin b" in desk.store.log)
    assert desk.store.log.index("end") > desk.store.log.index("append 1+1")

    def kept() -> str:
        rescued = desk.store.read(desk.born.id).rescued
        return rescued.text if rescued else ""

    await desk.until(lambda: kept() == "later")


async def test_a_part_is_made_with_its_first_word(desk: Desk) -> None:
    desk.append(1, 0)
    desk.saver.part_begin(desk.born.id, PartHead(2, "a", "t"))
    await desk.saver.call(lambda store: None)
    assert "begin a" not in desk.store.log
    desk.saver.part_add(desk.born.id, TextDelta("x"))
    await desk.until(lambda: "begin a" in desk.store.log)


async def test_an_answer_that_was_dropped_leaves_no_part(desk: Desk) -> None:
    desk.append(1, 0)
    desk.saver.part_begin(desk.born.id, PartHead(2, "a", "t"))
    desk.saver.part_add(desk.born.id, TextDelta("x"))
    desk.saver.part_end(desk.born.id)
    desk.saver.part_add(desk.born.id, TextDelta("late"))
    await desk.until(lambda: "end" in desk.store.log)
    assert desk.store.read(desk.born.id).rescued is None


async def test_a_part_that_cannot_be_written_harms_nothing(desk: Desk) -> None:
    desk.append(1, 0)
    desk.saver.part_begin(desk.born.id, PartHead(2, "a", "t"))
    desk.saver.part_add(desk.born.id, TextDelta("w"))
    await desk.until(lambda: "begin a" in desk.store.log and "add 1" in desk.store.log)
    desk.store.full = "the disk is full"
    desk.saver.part_add(desk.born.id, TextDelta("x"))
    await desk.until(lambda: desk.store.log.count("add 1") > 1)
    desk.store.full = ""
    desk.saver.part_add(desk.born.id, TextDelta("y"))
    desk.append(1, 1)
    desk.saver.part_end(desk.born.id)
    assert await desk.saver.safe(desk.born.id, 2, 5.0)


# -- rest and leaving ---------------------------------------------------------------------------


async def test_an_idle_saver_uses_no_time(desk: Desk) -> None:
    desk.append(1, 0)
    desk.saver.part_begin(desk.born.id, PartHead(2, "a", "t"))
    desk.saver.part_add(desk.born.id, TextDelta("x"))
    desk.saver.part_end(desk.born.id)
    await desk.saver.safe(desk.born.id, 1, 5.0)
    await desk.saver.call(lambda store: None)
    assert desk.saver._due() is None
    waits: list[float | None] = []
    real = desk.saver._turn.wait
    desk.saver._turn.wait = lambda t=None: (waits.append(t), real(t))[1]  # type: ignore[method-assign]  # to count wakings
    await asyncio.sleep(0.3)
    # It may have been on its way to bed just now; it lies down once, and without an alarm.
    assert waits in ([], [None])


def test_leaving_saves_what_waits() -> None:
    desk = Desk()
    desk.store.may_go.clear()
    desk.append(3, 0)
    desk.store.may_go.set()
    assert desk.saver.close() == []
    assert desk.store.read(desk.born.id).entries == some(3)
    assert desk.store.closed == 1
    with pytest.raises(RuntimeError):
        desk.append(1, 3)


def test_leaving_says_what_could_not_be_saved() -> None:
    desk = Desk()
    desk.store.full = "the disk is full"
    desk.append(3, 0)
    assert desk.saver.close() == [desk.born.id]


def test_a_disk_that_hangs_cannot_hold_the_exit() -> None:
    desk = Desk()
    desk.store.may_go.clear()
    desk.append(3, 0)
    began = time.monotonic()
    assert desk.saver.close(timeout=0.1) == [desk.born.id]
    assert time.monotonic() - began < 2
    assert desk.saver._thread is not None
    assert desk.saver._thread.daemon
    desk.store.may_go.set()
    desk.saver._thread.join(5)


def test_a_saver_of_which_nothing_was_asked_closes_its_store() -> None:
    desk = Desk()
    assert desk.saver.close() == []
    assert desk.store.closed == 1


def test_conflicts_of_every_kind_are_reports() -> None:
    class Refusing(MemoryStore):
        def append(
            self, birth: Birth, entries: Sequence[AnyEntry], *, at: int, headline: Headline
        ) -> int:
            raise SessionConflict("somebody else", expected=at, found=9)

    reports: list[Report] = []
    store: SessionStore = Refusing()
    saver = Saver(store, reports.append)
    born = birth()
    saver.append(born, some(2), 0, LINE)
    assert saver.close() == [born.id]
    assert reports == [ConflictReport(born.id, some(2), "somebody else")]
