"""The promise of stores on a real Redis, alone and as a cluster."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from chinwag.errors import SessionLocked, SessionUnreadable
from chinwag.stores.base import PartHead, SessionStore
from chinwag.stores.redis import RedisStore
from chinwag.stores.redis_scripts import SESSIONS, TRASH, key
from chinwag.talk.delta import TextDelta
from chinwag.talk.entry import Noted
from chinwag.talk.session import Headline
from contracts.store import SharedStoreContract, birth, some
from support import redis as real

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(real.may_skip(), reason=real.missing() or "-"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[real.Server]:
    with real.Server(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[real.Server]:
    with real.cluster(tmp_path_factory.mktemp("cluster"), 1) as nodes:
        yield nodes[0]


class RedisContract(SharedStoreContract):
    suffix = ""
    server: real.Server

    def open(self) -> RedisStore:
        # Patient: a loaded machine is no dead server (what is said of one is timed elsewhere).
        store = RedisStore(f"{self.server.url}{self.suffix or '?'}&timeout=10")
        self.opened.append(store)
        return store

    def make(self) -> SessionStore:
        self.opened: list[RedisStore] = []
        self.admin = self.server.client()
        self.admin.flushall()
        return self.open()

    def again(self, store: SessionStore) -> SessionStore:
        """Killed long enough ago for its lease to have run out."""
        assert isinstance(store, RedisStore)
        store._leases.renewal.stop()
        for lease in self.admin.scan_iter("*:lease"):
            self.admin.delete(lease)
        return self.open()

    def beside(self, store: SessionStore) -> SessionStore:
        other = self.open()
        assert other.notices == ()  # it is connected
        return other

    def peek(self, store: SessionStore, session_id: str) -> list[dict[str, Any]]:
        rows = self.admin.xrange(key(session_id, "entries"))
        assert [row_id for row_id, _ in rows] == [b"%d-0" % n for n in range(1, len(rows) + 1)]
        return [json.loads(fields[b"v"]) for _, fields in rows]

    def poke(self, store: SessionStore, session_id: str, plain: dict[str, Any]) -> None:
        fields = {"v": json.dumps(plain), "w": "another"}
        self.admin.xadd(key(session_id, "entries"), fields, id=f"{plain['n']}-0")

    def spoil(self, store: SessionStore, digest: str) -> None:
        self.admin.append(f"chinwag:blob:{digest}", "!")

    def bill(self, store: SessionStore) -> int:
        """Connections to the server, ours aside, and threads that keep leases."""
        for other in self.opened:
            other.close()
        deadline = time.monotonic() + 2
        while (left := len(self.admin.client_list()) - 1) and time.monotonic() < deadline:
            time.sleep(0.005)
        self.admin.close()
        threads = [s._leases.renewal._thread for s in self.opened]
        return left + sum(t is not None and t.is_alive() for t in threads)


class TestRedisStore(RedisContract):
    @pytest.fixture(autouse=True)
    def _server(self, server: real.Server) -> None:
        self.server = server

    # -- what is only here ----------------------------------------------------------------------

    def test_lists_and_trash_come_back_when_their_index_is_lost(self, store: SessionStore) -> None:
        births = [birth() for _ in range(3)]
        for born in births:
            store.append(born, some(2), at=0, headline=Headline())
        store.delete(births[0].id)
        for lost in (SESSIONS, TRASH):
            self.admin.delete(lost)
            store.append(birth(), (), at=0, headline=Headline())  # makes a new, incomplete index
            ids = {h.id for h in store.headers()}
            assert {born.id for born in births[1:]} <= ids
            assert [t.header.id for t in store.trashed()] == [births[0].id]
        assert len(store.headers()) == 4

    def test_an_index_is_scanned_for_once(self, store: SessionStore) -> None:
        assert store.headers() == []
        self.admin.config_resetstat()
        for _ in range(3):
            assert store.headers() == []
        assert "cmdstat_scan" not in self.admin.info("commandstats")

    def test_what_is_listed_in_vain_goes_a_day_later(self, store: SessionStore) -> None:
        store.headers()
        now = self.admin.time()[0]
        self.admin.zadd(SESSIONS, {"20260101-000000-aaaaaa": now - 86390})
        self.admin.zadd(SESSIONS, {"20260101-000000-bbbbbb": now - 86410})
        assert store.headers() == []
        assert set(self.admin.zrange(SESSIONS, 0, -1)) == {b"", b"20260101-000000-aaaaaa"}

    def test_a_session_whose_entries_were_dropped_is_never_an_empty_one(
        self, store: SessionStore
    ) -> None:
        born = birth()
        store.append(born, some(5), at=0, headline=Headline(title="kept"))
        self.admin.xdel(key(born.id, "entries"), "2-0", "5-0")
        (header,) = store.headers()
        assert (header.entries, header.headline.title) == (5, "kept")
        assert "2 of its 5 entries" in header.damaged
        stored = store.read(born.id)
        assert [type(e) is Noted for e in stored.entries] == [False, True, False, False, True]
        assert "2 of the 5" in stored.notices[0]
        assert store.span(born.id, 3) == (stored.entries[3:], 5)
        self.admin.delete(key(born.id, "entries"))
        assert "5 of its 5" in store.header(born.id).damaged
        with pytest.raises(SessionUnreadable):
            store.read(born.id)

    def test_a_session_without_its_head_is_read_all_the_same(self, store: SessionStore) -> None:
        born = birth()
        store.append(born, some(3), at=0, headline=Headline(title="lost"))
        self.admin.delete(key(born.id, "head"))
        (header,) = store.headers()
        assert (header.id, header.entries) == (born.id, 3)
        assert "title" in header.damaged
        stored = self.again(store).read(born.id)
        assert stored.entries == some(3)
        assert stored.birth.id == born.id
        assert store.append(born, some(1, 4), at=3, headline=Headline(title="back")) == 4
        assert store.header(born.id).headline.title == "back"

    @pytest.mark.parametrize("what", ["entries", "head"])
    def test_somebody_elses_key_is_refused_in_words_and_left(
        self, store: SessionStore, what: str
    ) -> None:
        born = birth()
        store.append(born, some(1), at=0, headline=Headline())
        self.admin.delete(key(born.id, what))
        self.admin.set(key(born.id, what), "mine")
        for attempt in (
            lambda: store.read(born.id),
            lambda: store.span(born.id, 0),
            lambda: store.append(born, some(1, 2), at=1, headline=Headline()),
        ):
            with pytest.raises(SessionUnreadable, match="something else"):
                attempt()
        (header,) = store.headers()
        assert "something else" in header.damaged
        assert self.admin.get(key(born.id, what)) == b"mine"

    @pytest.mark.parametrize("junk", [b"", b"{", b"[]", b'{"n":2}', b"\xff", b"[" * 9999])
    def test_an_entry_that_is_none_becomes_a_note(self, store: SessionStore, junk: bytes) -> None:
        born = birth()
        store.append(born, some(1), at=0, headline=Headline())
        self.admin.xadd(key(born.id, "entries"), {"v": junk}, id="2-0")
        self.admin.xadd(key(born.id, "entries"), {"other": "x"}, id="3-0")
        assert store.append(born, some(1, 4), at=3, headline=Headline()) == 4
        entries = store.read(born.id).entries
        assert [type(e) is Noted for e in entries] == [False, True, True, False]

    def test_a_stream_of_another_program_is_not_taken_for_a_long_session(
        self, store: SessionStore
    ) -> None:
        born = birth()
        store.append(born, some(1), at=0, headline=Headline())
        self.admin.xadd(key(born.id, "entries"), {"v": "x"})
        for attempt in (lambda: store.read(born.id), lambda: store.span(born.id, 0)):
            with pytest.raises(SessionUnreadable):
                attempt()

    def test_a_newer_format_is_refused(self, store: SessionStore) -> None:
        born = birth()
        store.append(born, some(1), at=0, headline=Headline())
        self.admin.hset(key(born.id, "head"), "birth", '{"format":2,"id":"x","created":""}')
        with pytest.raises(SessionUnreadable, match="newer version"):
            store.read(born.id)
        assert "newer version" in store.headers()[0].damaged

    def test_a_holder_that_died_on_this_machine_is_passed_over(self, store: SessionStore) -> None:
        assert isinstance(store, RedisStore)
        born = birth()
        gone = json.loads(store._leases.me) | {"pid": 2**22 + 1, "by": "x"}
        for attempt in (
            lambda: store.lock(born.id),
            lambda: store.append(born, some(1), at=0, headline=Headline()),
            lambda: store.delete(born.id),
        ):
            store.unlock(born.id)
            self.admin.set(key(born.id, "lease"), json.dumps(gone))
            assert store.holder(born.id) == ""
            attempt()
        elsewhere = gone | {"place": "another host", "host": "venus"}
        self.admin.set(key(born.id, "lease"), json.dumps(elsewhere))
        assert "venus" in store.holder(born.id)
        with pytest.raises(SessionLocked):
            store.lock(born.id)
        self.admin.set(key(born.id, "lease"), "[]")
        assert store.holder(born.id) == "in another program"

    def test_a_lease_is_renewed_while_held_and_runs_out_otherwise(
        self, store: SessionStore, other: SessionStore
    ) -> None:
        born = birth()
        brief = RedisStore(self.server.url, lease=0.3)
        self.opened.append(brief)
        brief.lock(born.id)
        deadline = time.monotonic() + 0.8
        while time.monotonic() < deadline:
            assert other.holder(born.id) != ""
            time.sleep(0.02)
        brief._leases.renewal.stop()
        time.sleep(0.35)
        assert other.holder(born.id) == ""
        other.lock(born.id)

    def test_the_second_window_hears_of_an_entry_at_once(
        self, store: SessionStore, other: SessionStore
    ) -> None:
        from threading import Thread

        born = birth()
        store.append(born, some(1), at=0, headline=Headline())
        assert other.wait(born.id, 0, 5)
        assert not other.wait(born.id, 1, 0.05)
        heard: list[float] = []

        def follow() -> None:
            for at in range(1, 4):
                assert other.wait(born.id, at, 5)
                heard.append(time.monotonic())

        follower = Thread(target=follow)
        follower.start()
        said = []
        for at in range(1, 4):
            time.sleep(0.05)
            said.append(time.monotonic())
            store.append(born, some(1, at + 1), at=at, headline=Headline())
        follower.join(5)
        assert len(heard) == 3
        assert min(h - s for s, h in zip(said, heard, strict=True)) < 0.05

    def test_closing_ends_a_wait(self, store: SessionStore, other: SessionStore) -> None:
        from threading import Thread

        born, told = birth(), []
        store.append(born, (), at=0, headline=Headline())
        follower = Thread(target=lambda: told.append(other.wait(born.id, 0, 60)))
        follower.start()
        time.sleep(0.1)
        other.close()
        follower.join(2)
        assert told == [False]

    def test_a_part_that_another_writer_replaced_is_not_mixed(
        self, store: SessionStore, other: SessionStore
    ) -> None:
        born = birth()
        store.append(born, some(1), at=0, headline=Headline())
        store.begin_part(born.id, PartHead(2, "a1", "t"))
        other.begin_part(born.id, PartHead(2, "a2", "t"))
        with pytest.raises(Exception, match="taken away"):
            store.add_part(born.id, [TextDelta("mine")], sync=True)
        other.add_part(born.id, [TextDelta("theirs")], sync=True)
        store.end_part(born.id)
        rescued = self.again(other).read(born.id).rescued
        assert rescued is not None
        assert (rescued.id, rescued.text) == ("a2", "theirs")

    def test_what_is_erased_leaves_nothing(self, store: SessionStore, other: SessionStore) -> None:
        born = birth()
        for size in (1, 2):
            store.append(born, some(size), at=0, headline=Headline(title="secret"))
            store.begin_part(born.id, PartHead(2, "a", "t"))
            store.delete(born.id)
        store.append(born, some(3), at=0, headline=Headline())
        store.begin_part(born.id, PartHead(2, "a", "t"))
        with pytest.raises(SessionLocked):
            other.erase(born.id)
        store.erase(born.id)
        store.erase(born.id)
        assert set(self.admin.scan_iter("*")) <= {SESSIONS.encode(), TRASH.encode()}
        assert self.admin.zrange(SESSIONS, 0, -1) in ([], [b""])
        assert self.admin.zrange(TRASH, 0, -1) == [b""]

    def test_an_answer_that_comes_in_is_overheard(
        self, store: SessionStore, other: SessionStore
    ) -> None:
        born, head = birth(), PartHead(2, "a1", "t")
        store.append(born, some(1), at=0, headline=Headline())
        assert other.overheard(born.id, 0) is None
        store.begin_part(born.id, head)
        assert other.overheard(born.id, 0) == (head, ())
        store.add_part(born.id, [TextDelta("a"), TextDelta("b")], sync=False)
        store.add_part(born.id, [TextDelta("c")], sync=False)
        assert other.overheard(born.id, 1) == (head, (TextDelta("b"), TextDelta("c")))
        store.end_part(born.id)
        assert other.overheard(born.id, 0) is None

    def test_nothing_expires_unless_asked(self, store: SessionStore) -> None:
        born = birth()
        store.append(born, some(1), at=0, headline=Headline())
        store.put_blob(b"kept")
        store.begin_part(born.id, PartHead(2, "a", "t"))
        store.unlock(born.id)
        assert {self.admin.ttl(k) for k in self.admin.scan_iter("*")} == {-1}

    def test_a_long_session_comes_whole_and_its_end_alone(self, store: SessionStore) -> None:
        born = birth()
        store.append(born, some(5000), at=0, headline=Headline())
        assert store.read(born.id).entries == some(5000)
        assert store.span(born.id, 1) == (some(5000)[1:], 5000)
        self.admin.config_resetstat()
        assert store.span(born.id, 4990) == (some(5000)[4990:], 5000)
        sent = self.admin.info("stats")["total_net_output_bytes"]
        assert sent < 10_000


class TestRedisCluster(RedisContract):
    suffix = "?cluster=true"

    @pytest.fixture(autouse=True)
    def _server(self, cluster: real.Server) -> None:
        self.server = cluster

    def test_the_list_is_made_anew_from_every_node(self, store: SessionStore) -> None:
        born = birth()
        store.append(born, some(2), at=0, headline=Headline())
        self.admin.delete(SESSIONS)
        assert [h.id for h in store.headers()] == [born.id]

    def test_following(self, store: SessionStore, other: SessionStore) -> None:
        born = birth()
        store.append(born, some(1), at=0, headline=Headline())
        assert other.wait(born.id, 0, 1)
        assert not other.wait(born.id, 1, 0.05)
