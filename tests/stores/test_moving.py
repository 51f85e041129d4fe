"""Nothing is lost or written over on the way from one store to another, wherever it is cut off."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chinwag.errors import (
    SessionLocked,
    SessionNotFound,
    SessionUnreadable,
    StoreUnavailable,
    UsageError,
)
from chinwag.stores import moving
from chinwag.stores.files import FileStore
from chinwag.stores.memory import MemoryStore
from chinwag.stores.moving import Came
from chinwag.talk.entry import (
    AssistantSaid,
    Compacted,
    Hidden,
    Rewound,
    Titled,
    ToolReturned,
    Unknown,
    UserSaid,
)
from chinwag.talk.message import Call, Image, Result, Text
from chinwag.talk.session import Birth, Session, fold_all

ID = "20261120-093015-k3f9q2"
BIRTH = Birth(ID, "2026-11-20T09:30:15.000Z")


def user(text, *more):
    return UserSaid(id=f"u-{text}", at="2026-11-20T09:31:00.000Z", parts=(Text(text), *more))


def answer(text, *more):
    return AssistantSaid(id=f"a-{text}", at="2026-11-20T09:31:01.000Z", parts=(Text(text), *more))


def put(store, entries, birth=BIRTH):
    headline = fold_all(Session(birth), entries).headline()
    store.append(birth, tuple(entries), at=0, headline=headline)
    store.unlock(birth.id)


def add(store, *entries):
    stored = store.read(ID)
    session = fold_all(Session(stored.birth), (*stored.entries, *entries))
    at = len(stored.entries)
    store.append(stored.birth, entries, at=at, headline=session.headline())
    store.unlock(ID)


def talk(store, digest="", words=4):
    picture = (Image(mime="image/png", blob=digest),) if digest else ()
    entries = [user("0", *picture), answer("0", Call("c", "now"))]
    entries.append(ToolReturned(id="t", result=Result("c", "now", "noon")))
    entries += [e for n in range(1, words) for e in (user(str(n)), answer(str(n)))]
    put(store, entries)
    return tuple(entries)


@pytest.fixture(params=["memory to memory", "files to files", "files to memory"])
def two(request, tmp_path):
    def made(kind, name):
        return MemoryStore() if kind == "memory" else FileStore(tmp_path / name)

    here, _, there = request.param.split()
    one, other = made(here, "one"), made(there, "other")
    yield one, other
    one.close()
    other.close()


def test_a_session_is_copied_with_what_it_names(two):
    one, other = two
    digest = one.put_blob(b"picture")
    entries = talk(one, digest)
    moved = moving.copy(one, other, ID)
    assert (moved.came, moved.entries, moved.blobs, moved.gone) == (Came.COPIED, 9, 1, False)
    assert other.read(ID).entries == one.read(ID).entries == entries
    assert other.blob(digest) == b"picture"
    assert other.header(ID).headline == one.header(ID).headline
    assert moving.copy(one, other, ID).came is Came.SAME


def test_a_moved_session_is_in_the_trash_here_and_can_come_back(two):
    one, other = two
    entries = talk(one)
    assert moving.move(one, other, ID).gone
    assert one.headers() == []
    assert [t.header.id for t in one.trashed()] == [ID]
    assert other.read(ID).entries == entries
    one.restore(ID)
    assert one.read(ID).entries == entries


def test_doing_it_again_says_that_it_was_done(two):
    one, other = two
    talk(one)
    moving.move(one, other, ID)
    assert moving.move(one, other, ID).came is Came.SAME
    with pytest.raises(SessionNotFound):
        moving.move(one, other, "20261120-093015-aaaaaa")


def test_a_session_that_is_open_elsewhere_stays(tmp_path):
    store, holder = FileStore(tmp_path / "one"), FileStore(tmp_path / "one")
    talk(store)
    holder.lock(ID)
    target = MemoryStore()
    with pytest.raises(SessionLocked, match="process"):
        moving.move(store, target, ID)
    assert target.headers() == []
    assert moving.copy(store, target, ID).came is Came.COPIED
    holder.close()


def test_what_grew_is_extended_and_what_is_longer_stays(two):
    one, other = two
    talk(one)
    moving.copy(one, other, ID)
    add(one, user("more"))
    assert moving.copy(one, other, ID).came is Came.EXTENDED
    add(other, answer("more"))
    assert moving.copy(one, other, ID).came is Came.SAME
    assert other.read(ID).entries[-1].text == "more"


def test_versions_that_part_are_both_kept(two):
    one, other = two
    talk(one)
    moving.copy(one, other, ID)
    add(one, user("left"), Rewound(id="r", to=10), Compacted(id="c", summary="s", through=10))
    add(other, user("right"))
    moved = moving.copy(one, other, ID)
    assert moved.came is Came.CONFLICT
    assert other.read(ID).entries[-1].text == "right"
    beside = other.read(moved.there)
    assert (beside.birth.parent, beside.birth.parent_at) == (ID, 9)
    session = fold_all(Session(beside.birth), beside.entries)
    assert session.title == "0 (conflict)"
    assert [e.text for _, e in session.said()][-1] == "left"
    assert session.entry(12).to == 11  # one place on, behind the new title
    assert session.entry(13).through == 11
    assert moving.copy(one, other, ID).came is Came.SAME
    assert len(other.headers()) == 2


def test_a_version_with_an_unknown_entry_is_kept_as_it_is(two):
    one, other = two
    talk(one)
    moving.copy(one, other, ID)
    add(one, Unknown(raw={"kind": "future", "id": "z", "of": 4}), Hidden(id="h", ns=(1,)))
    add(other, user("right"))
    moved = moving.copy(one, other, ID)
    assert other.read(moved.there).entries == one.read(ID).entries


def test_sessions_of_one_id_that_were_born_apart_are_both_kept(two):
    one, other = two
    talk(one)
    put(other, [user("0"), answer("0")], Birth(ID, "2020-01-01T00:00:00.000Z"))
    assert moving.copy(one, other, ID).came is Came.CONFLICT
    assert len(other.read(ID).entries) == 2


def test_a_sync_leaves_the_same_in_both_and_a_second_does_nothing(two):
    one, other = two
    talk(one)
    second = Birth("20261120-093015-b22222", "2026-11-20T10:00:00.000Z")
    put(other, [user("x")], second)
    put(one, [user("y")], Birth("20261120-093015-c33333", "2026-11-20T10:00:00.000Z"))
    came = [m.came for m in moving.sync(one, other)]
    assert came == [Came.COPIED] * 3
    assert {h.id for h in one.headers()} == {h.id for h in other.headers()}
    assert list(moving.sync(one, other)) == []


def test_a_sync_of_versions_that_part_settles(two):
    one, other = two
    talk(one)
    moving.copy(one, other, ID)
    add(one, user("left"))
    add(other, user("right"))
    assert [m.came for m in moving.sync(one, other)] == [Came.CONFLICT] * 2
    assert list(moving.sync(one, other)) == []
    add(one, answer("left"))
    assert [m.came for m in moving.sync(one, other)] == [Came.EXTENDED]
    said = {h.id: h.headline.messages for h in other.headers()}
    assert len(said) == 2
    assert len(one.headers()) == 2
    assert list(moving.sync(other, one)) == []


def test_a_sync_tells_what_it_could_not_and_goes_on(tmp_path):
    one, other = FileStore(tmp_path / "one"), MemoryStore()
    talk(one)
    put(one, [user("x")], Birth("20261120-093015-b22222", "2026-11-20T10:00:00.000Z"))
    (tmp_path / "one" / "sessions" / f"{ID}.json").write_bytes(b"\0\0\0")
    told = list(moving.sync(one, other))
    assert [isinstance(t, SessionUnreadable) for t in told].count(True) == 1
    assert len(other.headers()) == 1


def test_a_damaged_session_is_copied_as_far_as_it_goes_and_stays(tmp_path):
    one, other = FileStore(tmp_path / "one"), MemoryStore()
    talk(one)
    path = tmp_path / "one" / "sessions" / f"{ID}.json"
    lines = path.read_bytes().split(b"\n")
    lines[3] = b",{broken"
    path.write_bytes(b"\n".join(lines))
    moved = moving.move(one, other, ID)
    assert not moved.gone
    assert "damaged" in moved.warning
    assert other.read(ID).entries[0].text == "0"
    assert path.exists()


def test_a_store_is_no_target_of_itself(tmp_path):
    one, same = FileStore(tmp_path), FileStore(tmp_path)
    talk(one)
    with pytest.raises(UsageError):
        moving.move(one, same, ID)
    with pytest.raises(UsageError):
        list(moving.sync(one, one))


# -- cut off anywhere ------------------------------------------------------------------------------

CALLS = {"append", "read", "header", "headers", "delete", "put_blob", "blob", "lock", "holder"}


class Failing:
    """A store whose nth call fails, before or after it has done its work."""

    def __init__(self, store, countdown, *, after):
        self._store, self._countdown, self._after = store, countdown, after

    def __getattr__(self, name):
        found = getattr(self._store, name)
        if name not in CALLS:
            return found

        def called(*args, **more):
            self._countdown[0] -= 1
            if self._countdown[0] == 0 and not self._after:
                raise StoreUnavailable("gone")
            given = found(*args, **more)
            if self._countdown[0] == 0:
                raise StoreUnavailable("gone")
            return given

        return called


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("parting", [False, True])
def test_cut_off_at_any_call_and_done_again_it_ends_the_same(after, parting):
    struck = 0
    for n in range(1, 60):
        one, other = MemoryStore(), MemoryStore()
        digest = one.put_blob(b"picture")
        entries = talk(one, digest)
        if parting:
            moving.copy(one, other, ID)
            add(one, user("left"))
            add(other, user("right"))
            entries = one.read(ID).entries
        countdown = [n]
        failing = (Failing(s, countdown, after=after) for s in (one, other))
        try:
            moved = moving.move(*failing, ID)
        except StoreUnavailable:
            struck += 1
            assert one.headers() or other.headers()
            moved = moving.move(one, other, ID)
        assert one.headers() == []
        assert len(one.trashed()) == 1
        assert other.blob(digest) == b"picture"
        assert len(other.headers()) == 1 + parting
        kept = [e for e in other.read(moved.there).entries if not isinstance(e, Titled)]
        wanted = entries if moved.came is not Came.SAME or not parting else None
        assert wanted is None or kept == list(entries)
        if countdown[0] > 0:
            break
    assert struck > 8


@given(st.lists(st.sampled_from(["one", "other", "sync", "copy"]), max_size=12))
@settings(max_examples=40, deadline=None)
def test_whatever_is_said_on_either_side_stays(steps):
    one, other = MemoryStore(), MemoryStore()
    talk(one)
    said = set()
    for n, step in enumerate(steps):
        store = {"one": one, "other": other}.get(step)
        if step == "sync":
            assert not [m for m in moving.sync(one, other) if isinstance(m, Exception)]
        elif step == "copy":
            moving.copy(one, other, ID)
        elif any(h.id == ID for h in store.headers()):
            add(store, user(f"{step}{n}"))
            said.add(f"{step}{n}")
    list(moving.sync(one, other))
    assert list(moving.sync(one, other)) == []
    for store in (one, other):
        everywhere = {
            e.text for h in store.headers() for e in store.read(h.id).entries if hasattr(e, "text")
        }
        assert said <= everywhere


# -- verifying -------------------------------------------------------------------------------------


def check(store):
    (found,) = moving.verify(store)
    return found


def test_a_sound_session_passes(two):
    one, _ = two
    talk(one, one.put_blob(b"picture"))
    found = check(one)
    assert (found.entries, found.blobs, found.problems, found.notices) == (9, 1, (), ())


def test_what_is_missing_or_points_nowhere_is_told(two):
    one, _ = two
    lost = "0" * 64
    entries = [
        user("0", Image(mime="image/png", blob=lost)),
        ToolReturned(id="t", result=Result("nobody", "now", "noon")),
        Rewound(id="r", to=9),
        Compacted(id="c", summary="s", through=99),
        user("0"),
    ]
    put(one, entries)
    told = "\n".join(check(one).problems)
    for words in ("attachment", "nobody made", "goes back to 9", "sums up to 99", "id of entry 1"):
        assert words in told


def test_bytes_that_changed_are_told(tmp_path):
    store = FileStore(tmp_path)
    talk(store)
    store.close()
    path = tmp_path / "sessions" / f"{ID}.json"
    path.write_bytes(path.read_bytes().replace(b'"content":"2"', b'"content":"7"'))
    assert check(FileStore(tmp_path)).problems
    path.write_bytes(b"\0" * 100)
    assert check(FileStore(tmp_path)).problems


def test_a_header_that_says_something_else_is_told():
    store = MemoryStore()
    entries = [user("0"), answer("0")]
    put(store, entries)
    store._sessions[ID].headline = fold_all(Session(BIRTH), entries[:1]).headline()
    assert "another title" in check(store).problems[0]
