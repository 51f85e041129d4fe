from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chinwag.errors import SessionUnreadable, StoreUnavailable
from chinwag.stores import search, search_rows
from chinwag.stores.memory import MemoryStore
from chinwag.stores.search import Found, Hit, Index
from chinwag.stores.sqlite import SqliteStore
from chinwag.stores.words import Marker, match_of, parse, spaced
from chinwag.talk.entry import AnyEntry, AssistantSaid, Rewound, SystemSet, ToolReturned, UserSaid
from chinwag.talk.message import Call, Result, Text, Thinking
from chinwag.talk.session import Birth, Headline
from contracts.store import birth


class Lasting(MemoryStore):
    """A store that lasts as far as an index can see, and counts what is read of it."""

    url = "test:"
    lasting = True

    def __init__(self) -> None:
        super().__init__()
        self.spans: list[tuple[str, int, int | None]] = []

    def span(
        self, session_id: str, after: int, upto: int | None = None
    ) -> tuple[tuple[AnyEntry, ...], int]:
        self.spans.append((session_id, after, upto))
        return super().span(session_id, after, upto)


@pytest.fixture
def store() -> Lasting:
    return Lasting()


@pytest.fixture(params=[True, False], ids=["fts", "scan"])
def index(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Index]:
    with Index(tmp_path / "data" / "index.sqlite", fts=request.param) as index:
        yield index


def say(store: MemoryStore, *texts: str, born: Birth | None = None, title: str = "") -> Birth:
    """Add messages to a session, a new one if need be."""
    born = born or birth()
    try:
        at = store.header(born.id).entries
    except Exception:  # noqa: BLE001 - it is not there yet
        at = 0
    entries = [
        UserSaid(id=f"{born.id}-{n}", at=f"2026-11-20T09:{n % 60:02}:00.000Z", parts=(Text(text),))
        for n, text in enumerate(texts, at + 1)
    ]
    line = Headline(title or "untitled", bool(title), updated=f"2026-11-20T10:{at:05}")
    store.append(born, entries, at=at, headline=line)
    return born


def caught_up(index: Index, store: MemoryStore) -> None:
    for _ in range(1000):
        if not index.catch_up(store, budget_s=1):
            return
    raise AssertionError("it never comes to an end")


def places(found: Found) -> set[tuple[str, int]]:
    return {(hit.session_id, hit.n) for hit in found.hits}


def texts(index: Index, query: str) -> set[str]:
    return {hit.snippet for hit in index.search(query).hits}


# -- what is found --------------------------------------------------------------------------------


def test_words_are_found_where_all_of_them_are(index: Index, store: Lasting) -> None:
    one = say(store, "The lamp at the harbour", "nothing here")
    two = say(store, "no light", "a harbour without one")
    caught_up(index, store)
    assert places(index.search("harbour")) == {(one.id, 1), (two.id, 2)}
    assert places(index.search("HARBOUR lamp")) == {(one.id, 1)}
    assert places(index.search("harbour nothing")) == set()
    assert places(index.search("harb")) == {(one.id, 1), (two.id, 2)}
    assert index.search("") == Found()
    assert index.search("  \t") == Found()
    assert index.search("harbour", limit=0) == Found()


def test_only_the_last_word_may_go_on(tmp_path: Path, store: Lasting) -> None:
    say(store, "harbours and lamps")
    with Index(None) as index:
        caught_up(index, store)
        assert texts(index, "harbours lam")
        assert not texts(index, "harb lamps")
        assert not texts(index, '"harbours and lam"')


def test_words_in_quotation_marks_stand_together(index: Index, store: Lasting) -> None:
    say(store, "the old harbour lamp", "harbour, old lamp", "the old harbour lamp burns")
    caught_up(index, store)
    assert {n for _, n in places(index.search('"old harbour lamp"'))} == {1, 3}
    assert {n for _, n in places(index.search('burns "harbour lamp"'))} == {3}
    assert {n for _, n in places(index.search('"old harbour lamp'))} == {1, 3}  # left open


CJK = [
    (
        "全文検索の機能を追加する",
        ["検索", "全文検索", "機能", "機", "追加する", "能を", "検索の機能"],
    ),
    ("今日は天気がいいですね", ["天気", "いい", "ですね", "ね", "今日は"]),
    ("会话历史记录", ["历史", "记录", "会话历史", "录"]),
    ("안녕하세요 세계", ["하세", "세계", "안녕"]),
    ("สวัสดีชาวโลก", ["ชาว", "โลก", "สวัสดี"]),
    ("Pythonで検索するAPI", ["Python", "検索", "python で", "API", "するAPI"]),
]


@pytest.mark.parametrize(("text", "queries"), CJK)
def test_scripts_without_spaces_are_found_by_any_piece(
    store: Lasting, text: str, queries: list[str]
) -> None:
    born = say(store, "something else 別の事", text)
    with Index(None) as index:
        caught_up(index, store)
        for query in queries:
            assert places(index.search(query)) == {(born.id, 2)}, query
        assert not texts(index, "犬猫")
        assert not texts(index, text[::-1])


@given(st.text("検索機能追加ab ", min_size=1, max_size=12), st.data())
def test_every_piece_of_a_run_is_found(text: str, data: st.DataObject) -> None:
    """Against Python's own `in`, without spaces and within one script."""
    run = text.replace(" ", "").replace("a", "").replace("b", "")
    if not run:
        return
    start = data.draw(st.integers(0, len(run) - 1))
    piece = run[start : data.draw(st.integers(start + 1, len(run)))]
    other = data.draw(st.text("検索機能", min_size=1, max_size=3))
    db = sqlite3.connect(":memory:")
    db.execute("CREATE VIRTUAL TABLE w USING fts5 (t, content='')")
    db.execute("INSERT INTO w (rowid, t) VALUES (1, ?)", (spaced(run),))
    for query in (piece, other):
        rows = db.execute("SELECT 1 FROM w WHERE w MATCH ?", (match_of(parse(query)),)).fetchall()
        assert bool(rows) == (query in run)
    db.close()


def test_accents_and_forms_do_not_matter(store: Lasting) -> None:
    say(store, "Ein Café in Zürich", "Привет, МИР", "ｆｕｌｌ width")
    with Index(None) as index:
        caught_up(index, store)
        for query in ("cafe", "CAFÉ", "cafe\u0301", "zurich", "мир", "full"):
            assert len(texts(index, query)) == 1, query


@pytest.mark.parametrize("query", ["->", "c++ ->", "100%", "a_b", "👍", "\\", "'", "%"])
def test_signs_are_found_as_they_are(index: Index, store: Lasting, query: str) -> None:
    born = say(store, "plain axb words 1000", "c++ -> 100% a_b 👍 \\ ' %")
    caught_up(index, store)
    assert (born.id, 2) in places(index.search(query))
    if query != "100%":  # FTS5 sees the number, which is where the other one begins
        assert places(index.search(query)) == {(born.id, 2)}


NASTY = [
    '"', '""', '" "', "AND", "NOT x", "a OR", "NEAR(", "NEAR(a b, 2)", "text:", "text : x", "^x",
    "*", "a*", "-x", "(", ")", "{a b}", "a + b", "\0", "a\0b", "\ud800", "'; DROP TABLE words; --",
    "a" * 100_000, "a " * 2_000, "\u202e", "\x1b[31m", "words", "rank", "\n", "％", "¨", "ﷺ",
]  # fmt: skip


@pytest.mark.parametrize("query", NASTY, ids=range(len(NASTY)))
def test_nothing_typed_is_a_mistake(index: Index, store: Lasting, query: str) -> None:
    say(store, "some text: words and rank, a + b")
    caught_up(index, store)
    index.search(query)


@given(st.text(max_size=30) | st.text('"* ()^-+:ANDORNTE検索a', max_size=30))
def test_no_query_is_a_mistake(query: str) -> None:
    assert isinstance(_small().search(query), Found)


def _small() -> Index:
    if not _made:
        _made.append(Index(None))
        store = MemoryStore()
        say(store, "a lamp AND a harbour 検索 (x)")
        caught_up(_made[0], store)
    return _made[0]


_made: list[Index] = []


@pytest.fixture(autouse=True, scope="module")
def _close_the_small_one() -> Iterator[None]:
    yield
    for index in _made:
        index.close()


def test_what_is_said_is_indexed_and_nothing_else(store: Lasting) -> None:
    born = birth()
    entries: list[AnyEntry] = [
        SystemSet(id="1", text="needle in the system prompt"),
        UserSaid(id="2", at="t2", parts=(Text("a needle, asked"),)),
        AssistantSaid(
            id="3",
            at="t3",
            parts=(Thinking("needle thought"), Text("needle answered"), Call("c", "f", "needle")),
        ),
        ToolReturned(id="4", at="t4", result=Result("c", "f", "needle returned")),
        Rewound(id="5", to=2, why="needle"),
    ]
    store.append(born, entries, at=0, headline=Headline("needle work", True, updated="t5"))
    with Index(None) as index:
        caught_up(index, store)
        hits = sorted(index.search("needle").hits, key=lambda hit: hit.n)
    assert [(h.n, h.role, h.snippet, h.at) for h in hits] == [
        (0, "title", "needle work", "t5"),
        (2, "user", "a needle, asked", "t2"),
        (3, "assistant", "needle answered", "t3"),
        (4, "tool", "needle returned", "t4"),
    ]
    assert {(h.session_id, h.title, h.url) for h in hits} == {(born.id, "needle work", "test:")}


def test_the_best_come_first_and_no_more_than_asked(store: Lasting) -> None:
    dense = say(store, "lamp lamp lamp")
    for n in range(30):
        say(store, f"number {n}: " + "many other words " * 20 + "lamp")
    with Index(None) as index:
        caught_up(index, store)
        found = index.search("lamp", limit=7)
        assert len(found.hits) == 7
        assert found.hits[0].session_id == dense.id


# -- snippets -------------------------------------------------------------------------------------


def marked(text: str, query: str) -> tuple[str, list[str]]:
    snippet = Marker(parse(query)).snippet(text)
    return snippet.text, [snippet.text[a:b] for a, b in snippet.marks]


@pytest.mark.parametrize(
    ("text", "query", "marks"),
    [
        ("The Harbour and the lamps", "harbour lam", ["Harbour", "lam"]),
        ("lamplight, lamp", '"lamp"', ["lamp"]),
        ("café CAFE cafes", "cafe x", ["café", "CAFE"]),
        ("全文検索の検索", "検索", ["検索", "検索"]),
        ("안녕하세요", "하세", ["하세"]),
        ("the old\n\n  harbour   lamp", '"old harbour"', ["old harbour"]),
        ("if a -> b", "->", ["->"]),
        ("don't do", "don't", ["don't"]),
        ("", "x", []),
        ("nothing", "", []),
    ],
)
def test_marks_are_what_was_found(text: str, query: str, marks: list[str]) -> None:
    assert marked(text, query)[1] == marks


def test_a_snippet_is_one_short_line_around_what_was_found() -> None:
    text = "word " * 500 + "the\nlamp\tof the harbour " + "more " * 500
    snippet, marks = marked(text, "lamp harbour")
    assert marks == ["lamp", "harbour"]
    assert snippet.startswith("…")
    assert snippet.endswith("…")
    assert len(snippet) <= 165
    assert not set(snippet) & set("\n\t")


def test_of_many_places_the_one_with_most_terms_is_shown() -> None:
    text = "lamp " + "x" * 400 + " harbour lamp " + "y" * 400
    assert marked(text, '"lamp" harbour')[1] == ["harbour", "lamp"]


@given(st.text(max_size=300), st.text(max_size=10))
def test_marks_lie_in_the_snippet(text: str, query: str) -> None:
    snippet = Marker(parse(query)).snippet(text)
    last = 0
    for start, end in snippet.marks:
        assert last <= start <= end <= len(snippet.text)
        last = end
    assert "\n" not in snippet.text


# -- catching up ----------------------------------------------------------------------------------


def test_only_what_is_new_is_read(index: Index, store: Lasting) -> None:
    births = [say(store, f"word{n}", "more") for n in range(5)]
    caught_up(index, store)
    store.spans.clear()
    caught_up(index, store)
    assert store.spans == []
    say(store, "a third one", born=births[2])
    caught_up(index, store)
    assert store.spans == [(births[2].id, 1, 3)]
    assert places(index.search("third")) == {(births[2].id, 3)}
    assert places(index.search("more")) == {(born.id, 2) for born in births}


def test_what_is_not_yet_indexed_is_counted(index: Index, store: Lasting) -> None:
    for n in range(10):
        say(store, f"lamp number {n}")
    left = index.catch_up(store, budget_s=0)
    assert left == 9
    found = index.search("lamp")
    assert (len(found.hits), found.missing) == (1, 9)
    while left:
        before, left = left, index.catch_up(store, budget_s=0)
        assert left == before - 1
    assert (len(index.search("lamp").hits), index.search("lamp").missing) == (10, 0)


def test_catching_up_can_be_broken_off(index: Index, store: Lasting) -> None:
    for n in range(5):
        say(store, f"lamp number {n}")
    stops = iter([False, True])
    assert index.catch_up(store, budget_s=60, stop=lambda: next(stops)) == 3


def test_a_long_session_comes_in_by_slices(
    index: Index, store: Lasting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "CHUNK", 20)
    monkeypatch.setattr(search, "LOOK", 5)
    born = say(store, *(f"lamp{n}" for n in range(100)))
    assert index.catch_up(store, budget_s=0) == 1
    assert places(index.search("lamp4")) == {(born.id, 5)}
    assert index.search("lamp4").missing == 1
    assert not index.search("lamp99").hits
    say(store, "lamp100", born=born)  # it grows meanwhile
    caught_up(index, store)
    caught_up(index, store)
    assert all(upto is not None and upto - after <= 21 for _, after, upto in store.spans)
    assert {n for _, n in places(index.search("lamp", limit=500))} == set(range(1, 102))
    assert index.search("lamp4").missing == 0


def test_a_renamed_session_is_found_by_its_new_title(index: Index, store: Lasting) -> None:
    born = say(store, "text", title="herons")
    caught_up(index, store)
    assert places(index.search("herons")) == {(born.id, 0)}
    say(store, "more", born=born, title="bitterns")
    caught_up(index, store)
    assert not index.search("herons").hits
    assert places(index.search("bitterns")) == {(born.id, 0)}
    assert {hit.title for hit in index.search("text").hits} == {"bitterns"}


def test_a_deleted_session_leaves(index: Index, store: Lasting) -> None:
    gone, stays = say(store, "xyzzylamp secret"), say(store, "xyzzylamp")
    caught_up(index, store)
    assert index.path is not None
    store.delete(gone.id)
    caught_up(index, store)
    assert places(index.search("xyzzylamp")) == {(stays.id, 1)}
    assert not index.search("secret").hits
    store.delete(stays.id)
    caught_up(index, store)
    index.close()
    assert b"xyzzylamp" not in index.path.read_bytes()
    store.restore(stays.id)
    caught_up(index, store)
    assert places(index.search("xyzzylamp")) == {(stays.id, 1)}


@pytest.mark.alone
def test_tidying_up_goes_by_small_steps_as_well(
    tmp_path: Path, store: Lasting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_rows, "MERGED_PAGES", 1)
    path = tmp_path / "index.sqlite"
    births = []
    with Index(path, fts=True) as index:
        for n in range(12):
            births.append(say(store, *(f"xyzzy{n}word{m} and more" for m in range(200))))
            caught_up(index, store)
        for born in births[:-1]:
            store.delete(born.id)
        calls = 1
        while index.catch_up(store, budget_s=0):
            calls += 1
        assert calls > 1
        assert places(index.search('"xyzzy11word7"')) == {(births[-1].id, 8)}
        assert not index.search("xyzzy3word7").hits
    assert b"zzy3word7" not in path.read_bytes()


def test_a_session_that_was_changed_otherwise_is_read_anew(index: Index, store: Lasting) -> None:
    born = say(store, "alpha", "beta")
    caught_up(index, store)
    kept = store._sessions[born.id]
    kept.lines[0] = kept.lines[0].replace(b"alpha", b"gammas")
    caught_up(index, store)
    assert not index.search("alpha").hits
    assert places(index.search("gammas")) == {(born.id, 1)}
    assert places(index.search("beta")) == {(born.id, 2)}


def test_another_session_of_the_same_id_is_read_anew(index: Index, store: Lasting) -> None:
    born = say(store, "alpha")
    caught_up(index, store)
    store.delete(born.id)
    say(store, "one", "two", "three", born=born)
    kept = store._sessions[born.id]
    kept.lines = [line.replace(born.id.encode(), b"other-ids") for line in kept.lines]
    caught_up(index, store)
    assert not index.search("alpha").hits
    assert {n for _, n in places(index.search("o", limit=9))} >= {1}


def test_a_session_that_cannot_be_read_does_not_stop_the_others(
    index: Index, store: Lasting, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = say(store, "lamp one"), say(store, "lamp two")
    real = store.span

    def span(session_id: str, after: int, upto: int | None = None) -> object:
        if session_id == bad.id:
            raise SessionUnreadable("no")
        return real(session_id, after, upto)

    monkeypatch.setattr(store, "span", span)
    caught_up(index, store)
    found = index.search("lamp")
    assert (places(found), found.missing) == ({(good.id, 1)}, 1)


def test_a_store_that_cannot_be_listed_harms_no_index(
    index: Index, store: Lasting, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(store, "lamp")
    caught_up(index, store)

    def headers() -> object:
        raise SessionUnreadable("the database is damaged", hint="x")

    monkeypatch.setattr(store, "headers", headers)
    with pytest.raises(StoreUnavailable, match="the database is damaged"):
        index.catch_up(store)
    assert index.search("lamp").hits


def test_two_stores_share_an_index(index: Index, tmp_path: Path, store: Lasting) -> None:
    one = say(store, "lamp")
    with SqliteStore(tmp_path / "x.db") as other:
        two = birth()
        other.append(two, (UserSaid(parts=(Text("lamp too"),)),), at=0, headline=Headline())
        caught_up(index, store)
        while index.catch_up(other):
            pass
        assert places(index.search("lamp")) == {(one.id, 1), (two.id, 1)}
        assert places(index.search("lamp", url=store.url)) == {(one.id, 1)}
        assert places(index.search("lamp", url=other.url)) == {(two.id, 1)}
        assert places(index.search("lamp", url="file:nowhere")) == set()


def test_what_does_not_last_leaves_no_trace(index: Index) -> None:
    private = MemoryStore()
    say(private, "lamp")
    assert index.catch_up(private) == 0
    assert index.path is not None
    assert not index.path.exists()
    with Index(None) as inside:
        caught_up(inside, private)
        assert len(inside.search("lamp").hits) == 1


# -- the file -------------------------------------------------------------------------------------


def test_looking_makes_nothing(index: Index, store: Lasting) -> None:
    assert index.search("lamp") == Found()
    assert index.catch_up(store) == 0
    assert index.path is not None
    assert not index.path.parent.exists()


def test_files_are_private(index: Index, store: Lasting) -> None:
    before = os.umask(0)
    try:
        say(store, "lamp")
        caught_up(index, store)
        assert index.path is not None
        found = {p.stat().st_mode & 0o777 for p in index.path.parent.iterdir()}
        assert found == {0o600}
        assert index.path.parent.stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(before)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("elsewhere"))


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _statement(statement: str) -> Callable[[Path], None]:
    def run(path: Path) -> None:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute(statement)

    return run


USELESS: dict[str, Callable[[Path], object]] = {
    "deleted": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_bytes(b"no database at all" * 500),
    "cut": _truncate,
    "spoilt": lambda path: path.write_bytes(path.read_bytes()[:4096] + b"\xa5" * 90_000),
    "a link": _link,
    "a FIFO": _fifo,
    "another's": _statement("PRAGMA application_id = 7"),
    "older": _statement(f"PRAGMA application_id = {search_rows.APPLICATION - 2}"),
    "newer": _statement("PRAGMA user_version = 50"),
    "without a table": _statement("DROP TABLE message"),
}


@pytest.mark.parametrize("how", USELESS)
@pytest.mark.parametrize("still_open", [False, True])
def test_an_index_that_is_of_no_use_is_made_anew(
    index: Index, store: Lasting, how: str, still_open: bool
) -> None:
    born = say(store, "lamp", *("filling " * 50 for _ in range(40)))
    caught_up(index, store)
    assert index.path is not None
    if not still_open or how in {"cut", "spoilt", "text", "empty"}:
        index.close()  # under an open one these would not be seen, nor happen
    USELESS[how](index.path)
    index.search("lamp")  # whatever it finds, it does not fail
    caught_up(index, store)
    assert places(index.search("lamp")) == {(born.id, 1)}
    assert index.path.is_file()
    assert not index.path.is_symlink()


def test_a_place_where_nothing_can_be_made_is_said(tmp_path: Path, store: Lasting) -> None:
    say(store, "lamp")
    (tmp_path / "file").write_text("x")
    with Index(tmp_path / "file" / "index.sqlite") as index:
        assert index.search("lamp") == Found()
        with pytest.raises(StoreUnavailable) as caught:
            index.catch_up(store)
        assert caught.value.hint
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    with Index(tmp_path / "folder") as index, pytest.raises(StoreUnavailable):
        index.search("lamp")


def test_a_search_does_not_wait_for_who_catches_up(index: Index, store: Lasting) -> None:
    born = say(store, "lamp")
    caught_up(index, store)
    with Index(index.path, fts=index._fts) as other, other._base.change() as db:
        db.execute("UPDATE session SET title = 'half done'")
        assert places(index.search("lamp")) == {(born.id, 1)}
        say(store, "more")
        assert index.catch_up(store) >= 1  # somebody else is at it: later


def test_two_threads_with_an_index_each(tmp_path: Path, store: Lasting) -> None:
    path = tmp_path / "index.sqlite"
    for n in range(60):
        say(store, *(f"lamp {n} {m}" for m in range(20)))
    failures: list[BaseException] = []

    def catch_up() -> None:
        try:
            with Index(path) as index:
                while index.catch_up(store, budget_s=0.001):
                    pass
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    thread = threading.Thread(target=catch_up)
    thread.start()
    with Index(path) as index:
        counts = []
        while thread.is_alive():
            found = index.search("lamp", limit=5)
            counts.append(found.missing)
        assert index.search("lamp").missing == 0
    thread.join()
    assert failures == []
    assert counts


def test_random_lives_agree_with_a_plain_search(tmp_path: Path) -> None:
    """Sessions come, grow and go; what is found is what Python finds."""
    chance = random.Random(3)
    names = ["lamp", "harbour", "heron", "検索", "機能"]
    store, spoken = Lasting(), dict[str, list[str]]()
    births: list[Birth] = []
    with Index(tmp_path / "index.sqlite") as index:
        for _ in range(120):
            if births and chance.random() < 0.2:
                gone = births.pop(chance.randrange(len(births)))
                store.delete(gone.id)
                del spoken[gone.id]
            else:
                born = chance.choice(births) if births and chance.random() < 0.6 else birth()
                text = " ".join(chance.choices(names, k=2))
                say(store, text, born=born)
                if born.id not in spoken:
                    births.append(born)
                spoken.setdefault(born.id, []).append(text)
            if chance.random() < 0.3:
                index.catch_up(store, budget_s=0)
        caught_up(index, store)
        caught_up(index, store)
        for name in names:
            wanted = {
                (session_id, n)
                for session_id, said in spoken.items()
                for n, text in enumerate(said, 1)
                if name in text
            }
            assert places(index.search(name, limit=500)) == wanted


def test_a_hit_can_be_told_as_json() -> None:
    hit = Hit("id", 3, "user", "a lamp", ((2, 6),), "t", "title", "file:/x")
    assert msgspec.json.decode(msgspec.json.encode(hit), type=Hit) == hit
