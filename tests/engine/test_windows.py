"""Two windows on one session: reading along, a copy, taking over; nothing said is ever lost."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest

from chinwag.engine import shelf
from chinwag.stores.base import News, Reply
from chinwag.stores.disk import Disk
from chinwag.stores.files import FileStore
from chinwag.stores.redis import RedisStore
from chinwag.stores.sqlite import SqliteStore
from chinwag.talk.delta import Ended, Stop, TextDelta
from chinwag.talk.entry import AssistantSaid, Status, ToolReturned, UserSaid, new_id, now
from chinwag.talk.event import (
    DraftOffered,
    Failed,
    Following,
    Heard,
    Notice,
    Offered,
    Opened,
    Settled,
    to_plain,
)
from chinwag.talk.message import Call, Result, Text
from chinwag.talk.session import Birth, Session, fold_all, new_session_id
from support import redis as real
from support.engine import Player
from support.two import Window

END = Ended(Stop.END)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with real.Server(tmp_path_factory.mktemp("redis")) as running:
        yield running


SERVED = pytest.param(
    "redis",
    marks=[
        pytest.mark.server,
        pytest.mark.skipif(real.may_skip(), reason=real.missing() or "-"),
    ],
)


@pytest.fixture(params=["files", "sqlite", SERVED])
def make_store(request, tmp_path):
    """A store that every window opens for itself."""
    if request.param == "files":
        return lambda: FileStore(tmp_path)
    if request.param == "sqlite":
        return lambda: SqliteStore(tmp_path / "all.db")
    server = request.getfixturevalue("server")
    server.client().flushall()
    return lambda: RedisStore(server.url)


@pytest.fixture
async def window(make_store, tmp_path):
    opened = []

    def make(*players, **more):
        opened.append(Window(make_store, tmp_path, *players, **more))
        return opened[-1]

    yield make
    for one in opened:
        await one.desk.close()


async def two(window, *players):
    """A window that writes, and one that has opened the same session."""
    first = await window(*players).start()
    await first("one")
    second = window()
    before = time.monotonic()
    await second.start(resume=first.desk.session.id)
    assert time.monotonic() - before < 1.0
    return first, second


async def test_the_second_window_is_told_who_and_reads_along(window):
    first, second = await two(window)
    assert second.talk.following.startswith("process ")
    assert "on " in second.talk.following
    assert "since " in second.talk.following
    assert [e.owner for e in second.of(Following)] == [second.talk.following]
    assert "open elsewhere" in second.of(Notice)[0].text
    offer = second.of(Offered)[-1]
    assert [c.line for c in offer.choices] == ["", "/fork", "/takeover"]
    assert second.desk.status().following == second.talk.following
    assert second.desk.session == first.desk.session


async def test_what_is_said_appears_as_it_is_settled(window):
    first, second = await two(window, Player([TextDelta("1"), END], [TextDelta("2"), END]))
    await first("two")
    await second.until(lambda: second.said == ["one", "1", "two", "2"])
    assert second.desk.session == first.desk.session
    for event in second.heard:
        to_plain(event)


async def test_an_answer_is_heard_while_it_streams(window):
    words = [TextDelta(f"word{n} ") for n in range(4)]
    player = Player([TextDelta("1"), END], [step for w in words for step in (w, 0.3)] + [END])
    first, second = await two(window, player)
    turn = asyncio.create_task(first("two"))
    await second.until(lambda: any(isinstance(e, Heard) for e in second.heard))
    assert not turn.done(), "it was heard only when it was over"
    await turn
    await second.until(lambda: len(second.said) == 4)
    heard = "".join(e.delta.text for e in second.of(Heard) if isinstance(e.delta, TextDelta))
    assert heard == first.said[-1], "each word once, none left out"


@pytest.mark.parametrize("make_store", ["files"], indirect=True)
async def test_the_last_piece_of_an_answer_is_heard_once(window):
    """Pieces and entries are looked at one after the other: it may be settled in between."""
    _, second = await two(window)
    talk, windows = second.talk, second.desk._windows
    about = News(talk.session.id, len(talk.session), holder=talk.following)
    entry = AssistantSaid(parts=(Text("one two"),), id="x", at=now())
    told = msgspec.structs.replace
    windows._news(told(about, part="x", deltas=(TextDelta("one "),)))
    windows._news(told(about, part="x", deltas=(TextDelta("two"),), entries=(entry,)))
    windows._news(told(about, after=len(talk.session), part="x"))
    windows._news(told(about, after=len(talk.session)))
    heard = [e.delta.text for e in second.of(Heard) if isinstance(e.delta, TextDelta)]
    assert heard == ["one ", "two"]
    assert second.said[-1] == "one two"


async def test_a_message_is_not_sent_and_not_lost(window):
    first, second = await two(window)
    second.heard.clear()
    await second("my words")
    assert [e.text for e in second.of(DraftOffered)] == ["my words"]
    assert "/fork" in [c.line for c in second.of(Offered)[0].choices]
    await second("/rename other")
    assert second.of(Failed)[-1].kind == "SessionLocked"
    assert first.said == second.said == ["one", "ok"]


async def test_a_copy_goes_on_by_itself(window):
    first, second = await two(window)
    await second("/fork")
    await second("in the copy")
    assert second.desk.session.birth.parent == first.desk.session.id
    assert not second.talk.following
    assert "in the copy" not in first.said
    await first("in the original")
    assert first.said[-2:] == ["in the original", "ok"]


async def test_a_copy_may_be_opened_at_once(window):
    first = await window().start()
    await first("one")
    await first.until(lambda: not first.talk.unsaved)
    second = await window().start()
    await second(f"/load {first.desk.session.id} --copy")
    assert second.desk.session.birth.parent == first.desk.session.id
    assert second.said == first.said
    assert not second.of(Following)


async def test_taking_over(window):
    first, second = await two(window)
    before = time.monotonic()
    await second("/takeover")
    assert time.monotonic() - before < 1.0
    assert not second.talk.following
    assert first.talk.following, "who held it reads along"
    assert any("written elsewhere now" in e.text for e in first.of(Notice))
    await second("from the second")
    await first.until(lambda: first.said == ["one", "ok", "from the second", "ok"])
    await first("/takeover")
    await first("and back")
    await second.until(lambda: second.said[-2:] == ["and back", "ok"])
    assert not [e for w in (first, second) for e in w.of(Failed)]


async def test_taking_over_ends_the_answer_that_comes_in_and_keeps_it(window):
    player = Player([TextDelta("1"), END], [TextDelta("so far "), 30.0, END])
    first, second = await two(window, player)
    turn = asyncio.create_task(first("two"))
    await first.until(lambda: any(e.delta == TextDelta("so far ") for e in first.of(Heard)))
    before = time.monotonic()
    await second("/takeover")
    assert time.monotonic() - before < 1.0
    await turn
    assert second.said == ["one", "1", "two", "so far "]
    assert second.desk.session.last_answer.status is Status.INTERRUPTED
    await second("go on")
    await first.until(lambda: first.said == second.said)


async def test_what_waits_when_it_is_taken_over_comes_back(window):
    """A line that was queued behind the answer is refused with its words, not lost."""
    player = Player([TextDelta("1"), END], [TextDelta("so far "), 30.0, END])
    first, second = await two(window, player)
    turn = asyncio.create_task(first("two"))
    await first.until(lambda: any(e.delta == TextDelta("so far ") for e in first.of(Heard)))
    await second("/takeover")
    await turn
    await first("queued")
    assert [e.text for e in first.of(DraftOffered)] == ["queued"]
    assert "queued" not in second.said


async def test_whoever_has_gone_leaves_it_to_who_speaks(window):
    first, second = await two(window)
    await first.desk.close()
    await second.until(lambda: any("nobody writes" in e.text for e in second.of(Notice)), 4)
    await second("now here")
    assert not second.talk.following
    assert second.said == ["one", "ok", "now here", "ok"]


async def test_what_cannot_be_saved_is_not_let_go(tmp_path, monkeypatch):
    class Full(Disk):
        full = False

        def pwrite(self, fd, data, at):
            if self.full:
                raise OSError(28, "No space left on device")
            return super().pwrite(fd, data, at)

    disk = Full()
    monkeypatch.setattr(shelf, "LET_GO_WITHIN", 0.2)
    first = await Window(lambda: FileStore(tmp_path, disk), tmp_path).start()
    second = Window(lambda: FileStore(tmp_path), tmp_path)
    try:
        await first("one")
        await second.start(resume=first.desk.session.id)
        disk.full = True
        turn = asyncio.create_task(first("unsaved"))
        await first.until(lambda: first.said[-1] == "ok" and len(first.said) == 4)
        await turn
        await second("/takeover")
        assert second.of(Failed)[-1].kind == "SessionLocked"
        assert second.talk.following
        assert not first.talk.following
        disk.full = False
        first.keeping.kick()
        await second.until(lambda: second.said == first.said)
    finally:
        await first.desk.close()
        await second.desk.close()


async def test_who_cannot_follow_is_refused_with_what_to_do(window):
    first = await window().start()
    await first("one")
    second = window()
    second.talk.may_follow = False
    await second.start(resume=first.desk.session.id)
    assert not second.desk.opened
    failure = second.of(Failed)[0]
    assert failure.kind == "SessionLocked"
    assert "process" in failure.message
    assert "--fork" in failure.hint


# -- conflicts and leaving -------------------------------------------------------------------------


async def foreign(make_store, session_id, text="theirs"):
    """Somebody who heeds no lock adds to a session."""

    def write():
        with make_store() as store:
            store.lock = lambda _: None
            if hasattr(store, "_locks"):
                store._locks.lock = lambda _: None
            stored = store.read(session_id)
            entry = UserSaid(parts=(Text(text),), id=new_id(), at=now())
            headline = shelf._session(stored).headline()
            store.append(stored.birth, (entry,), at=len(stored.entries), headline=headline)

    await asyncio.to_thread(write)


@pytest.mark.parametrize("make_store", ["files", "sqlite"], indirect=True)
async def test_after_a_conflict_every_word_goes_on_in_one_fork(window, make_store):
    first = await window().start()
    await first("one")
    lost = first.desk.session.id
    await first.until(lambda: not first.talk.unsaved)
    await foreign(make_store, lost)
    await asyncio.gather(first("two"), first("/rename x"), first("three"))
    await first.until(lambda: "(conflict)" in first.desk.session.title)
    await first.until(lambda: not first.talk.unsaved)
    assert "two" in first.said
    assert "three" in first.said
    assert len(first.of(Opened)) == 1, "one fork, not one of another"
    told = " ".join(e.text for e in first.of(Notice))
    assert "goes on in a fork" in told
    assert "could not be saved" not in told, "it is saved: in the fork"
    with make_store() as store:
        forks = [h for h in store.headers() if h.id != lost]
        words = [e.text for e in store.read(forks[0].id).entries if isinstance(e, UserSaid)]
        theirs = [e.text for e in store.read(lost).entries if isinstance(e, UserSaid)]
    assert len(forks) == 1
    assert words == ["one", "two", "three"]
    assert theirs == ["one", "theirs"]
    assert await first.desk.close() == []


@pytest.mark.parametrize("make_store", ["files"], indirect=True)
@pytest.mark.parametrize("status", [Status.COMPLETE, Status.PARTIAL])
async def test_a_call_without_a_result_is_said_when_its_session_is_opened(
    window, make_store, status
):
    birth = Birth(id=new_session_id(), created=now())
    calls = (Call("a", "clock", "{}"), Call("b", "shell", "{}"))
    entries = (
        UserSaid(parts=(Text("do it"),), id=new_id(), at=now()),
        AssistantSaid(parts=calls, id=new_id(), at=now(), status=status),
        ToolReturned(result=Result("a", "clock", "noon"), id=new_id(), at=now()),
    )
    with make_store() as store:
        store.append(birth, entries, at=0, headline=fold_all(Session(birth), entries).headline())
    one = await window().start(resume=birth.id)
    told = [e.text for e in one.of(Notice)]
    if status is Status.COMPLETE:
        assert [t for t in told if "no result of shell was kept" in t] == told != []
    else:
        assert told == [], "a call that was cut never begins"


async def test_a_conflict_in_a_session_that_was_left_loses_nothing(tmp_path):
    class Slow(Disk):
        stuck = False

        def pwrite(self, fd, data, at):
            if self.stuck:
                raise OSError(28, "No space left on device")
            return super().pwrite(fd, data, at)

    disk = Slow()
    first = await Window(lambda: FileStore(tmp_path, disk), tmp_path).start()
    try:
        await first("one")
        lost = first.desk.session.id
        disk.stuck = True
        await first("unsaved words")
        await first("/new")
        with FileStore(tmp_path) as other:
            assert other.holder(lost), "what waits for the disk keeps its lock"
        await foreign(lambda: FileStore(tmp_path), lost)
        disk.stuck = False
        first.keeping.kick()
        await first.until(lambda: any("unsaved" in n for n in _all_words(tmp_path, lost)))
        assert any("(conflict)" in e.text for e in first.of(Notice))
        with FileStore(tmp_path) as other:
            await first.until(lambda: not other.holder(lost))
    finally:
        assert await first.desk.close() == []


def _all_words(root, but):
    with FileStore(root) as store:
        return [
            entry.text
            for header in store.headers()
            if header.id != but
            for entry in store.read(header.id).entries
            if isinstance(entry, UserSaid)
        ]


async def test_a_session_that_was_left_is_let_go_when_it_is_safe(window, make_store):
    first = await window().start()
    await first("one")
    left = first.desk.session.id
    await first("/new")
    with make_store() as other:
        await first.until(lambda: not other.holder(left))
    await first("in the new one")
    await first(f"/load {left}")
    with make_store() as other:
        await first.until(lambda: other.holder(left) != "")
    assert first.said == ["one", "ok"]


async def test_going_back_at_once_keeps_the_lock(tmp_path):
    """A late acknowledgement of what was said before must not let go of what is in front again."""

    class Slow(Disk):
        def fdatasync(self, fd):
            time.sleep(0.05)
            super().fdatasync(fd)

    first = await Window(lambda: FileStore(tmp_path, Slow()), tmp_path).start()
    try:
        await first("one")
        left = first.desk.session.id
        for _ in range(5):
            first.talk.rename("again", first.heard.append)
            await first.talk.begin(first.heard.append)
            await first.talk.open(left, first.heard.append)
        await first.until(lambda: not first.talk.unsaved)
        await asyncio.sleep(0.1)
        with FileStore(tmp_path) as other:
            assert other.holder(left)
    finally:
        await first.desk.close()


async def test_nobody_is_asked_where_nobody_can_be(window, make_store, monkeypatch):
    first, second = await two(window)
    first.windows.close()  # as a program in a pipe, or on another machine
    await second("/takeover")
    assert "cannot be asked" in second.of(Failed)[-1].message
    assert [c.line for c in second.of(Offered)[-1].choices] == ["", "/fork"]
    assert second.talk.following


async def test_a_reply_says_what_can_be_chosen():
    from chinwag.engine.windows import choices

    lines = {reply: [c.line for c in choices(reply)] for reply in Reply}
    assert lines[Reply.STOPPED] == ["/fork", ""], "a copy comes first: nobody answers"
    assert lines[Reply.AWAY] == ["", "/fork"]
    assert all("/fork" in found for found in lines.values())


async def test_settled_events_carry_the_session(window):
    first, second = await two(window)
    await first("two")
    await second.until(lambda: len(second.said) == 4)
    for event in second.of(Settled):
        assert len(event.session) == event.n


class Slow(Disk):
    """A disk on which making anything safe takes a while, once it is told so."""

    seconds = 0.0

    def fdatasync(self, fd):
        time.sleep(self.seconds)
        super().fdatasync(fd)


@pytest.fixture
async def slow(tmp_path):
    """A window on a slow disk, and one that reads along."""
    disk = Slow()
    first = await Window(lambda: FileStore(tmp_path, disk), tmp_path).start()
    await first("one")
    await first.until(lambda: not first.talk.unsaved)
    second = await Window(lambda: FileStore(tmp_path), tmp_path).start(resume=first.desk.session.id)
    yield first, second, disk
    disk.seconds = 0.0
    for one in (first, second):
        await one.desk.close()


async def test_a_line_said_while_the_session_is_let_go_does_not_take_it_back(slow):
    first, second, disk = slow
    disk.seconds = 0.3
    first.talk.rename("still being saved", first.heard.append)
    taking = asyncio.create_task(second("/takeover"))
    await first.until(lambda: first.talk.following)
    await first("said meanwhile")
    await taking
    assert first.talk.following
    assert not second.talk.following
    assert [e.text for e in first.of(DraftOffered)] == ["said meanwhile"]
    assert second.desk.session.title == "still being saved", "what was being saved was waited for"


async def test_leaving_while_it_is_let_go_lets_it_go(slow):
    first, second, disk = slow
    disk.seconds = 0.3
    first.talk.rename("still being saved", first.heard.append)
    taking = asyncio.create_task(second("/takeover"))
    await first.until(lambda: first.talk.following)
    await first("/new")
    await taking
    await second.until(lambda: not second.talk.following or second.of(Failed))
    assert not first.talk.following, "what is in front now is nobody else's"
    await first("in the new one")
    assert first.said == ["in the new one", "ok"]
    if second.talk.following:  # it was refused: then it comes free when all is saved
        await second.until(lambda: not first.store.holder(second.desk.session.id))
        await second("mine")
    assert not second.talk.following
