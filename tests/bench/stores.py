"""What each kind of store costs beside the bare thing it stands on, and how soon a long session
is back on the screen.

Floors, in the same run and in turns: `write` + `fdatasync` of the same bytes for files, one
`INSERT` and commit for SQLite, one `XADD` (no pipeline) for Redis, `list.append` of the encoded
bytes for memory. Everything is as durable as its store: SQLite with synchronous=FULL, Redis with
appendfsync always. Redis is left out, saying so, where there is no redis-server.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import talks
from table import Table, least, median, ms, us

from chinwag.stores.base import SessionStore
from chinwag.stores.opening import open_store
from chinwag.talk import codec
from chinwag.talk.entry import UserSaid, new_id, now
from chinwag.talk.message import Text
from support import redis as real

FIRST_SCREEN = 200  # entries that are more than any screen shows
BATCH = 2_000


def entry() -> UserSaid:
    return UserSaid(id=new_id(), at=now(), parts=(Text("x" * 1000),))


def stores(table: Table, folder: Path, quick: bool) -> None:
    with contextlib.ExitStack() as opened:
        server = None if real.missing() else opened.enter_context(_server(folder))
        _append(table, folder, server, quick)
        _resume(table, folder, server, quick)


def _server(folder: Path) -> real.Server:
    (folder / "server").mkdir()
    return real.Server(folder / "server")


def _urls(folder: Path, server: real.Server | None) -> dict[str, str]:
    urls = {"memory": "memory:", "file": f"file:{folder}/files", "sqlite": f"sqlite:{folder}/s.db"}
    return urls | ({"redis": server.url} if server else {})


# -- one entry more -------------------------------------------------------------------------------


def _append(table: Table, folder: Path, server: real.Server | None, quick: bool) -> None:
    sizes = (10, 1_000, 10_000 if quick else 50_000)
    rounds = 60 if quick else 200
    with contextlib.ExitStack() as opened:
        floors = {name: opened.enter_context(made) for name, made in _floors(folder, server)}
        writers: dict[tuple[str, int], Callable[[], None]] = {}
        for name, url in _urls(folder, server).items():
            store = opened.enter_context(open_store(url, folder))
            for size in sizes:
                writers[name, size] = _writer(store, size)
        times: dict[tuple[str, int], list[float]] = {}
        for _ in range(rounds):
            for name, floor in floors.items():
                _timed(times.setdefault((name, 0), []), floor)
            for which, write in writers.items():
                _timed(times.setdefault(which, []), write)
    table.title("one entry of 1 kB more, at so many entries (floors: the bare thing, same bytes)")
    if server is None:
        table.note("redis", "left out", real.missing())
    for name, what in _WHAT.items():
        if (name, 0) not in times:
            continue
        floor = times[name, 0]
        table.note(f"{name}: {what}", us(floor))
        for size in sizes:
            mine = times[name, size]
            table.note(f"{name}: at {size:,}", us(mine))
            # Bytes put in a list are as good as free: the figure for memory is only told.
            due = name != "memory"
            table.ratio(f"{name}: at {size:,}, to {what}", least(mine) / least(floor), 3.0, due=due)


_WHAT = {
    "memory": "encode + list.append",
    "file": "write + fdatasync",
    "sqlite": "INSERT + commit",
    "redis": "XADD",
}


def _timed(into: list[float], call: Callable[[], None]) -> None:
    began = time.perf_counter()
    call()
    into.append(time.perf_counter() - began)


def _writer(store: SessionStore, size: int) -> Callable[[], None]:
    """What adds one entry to a session of so many."""
    session, _ = talks.talk(0, "long")
    count = 0

    def add(entries: list[UserSaid]) -> None:
        nonlocal count
        headline = session.headline()
        count = store.append(session.birth, entries, at=count, headline=headline)

    while count < size:
        add([entry() for _ in range(min(BATCH, size - count))])
    return lambda: add([entry()])


def _floors(
    folder: Path, server: real.Server | None
) -> Iterator[tuple[str, contextlib.AbstractContextManager[Callable[[], None]]]]:
    yield "memory", _list_floor()
    yield "file", _write_floor(folder / "raw")
    yield "sqlite", _insert_floor(folder / "raw.db")
    if server is not None:
        yield "redis", _xadd_floor(server)


@contextlib.contextmanager
def _list_floor() -> Iterator[Callable[[], None]]:
    lines: list[bytes] = []
    yield lambda: lines.append(codec.encode(entry(), len(lines) + 1))


@contextlib.contextmanager
def _write_floor(path: Path) -> Iterator[Callable[[], None]]:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    data = codec.encode(entry(), 50_000) + b"\n"

    def write() -> None:
        os.write(fd, data)
        os.fdatasync(fd)

    try:
        yield write
    finally:
        os.close(fd)


@contextlib.contextmanager
def _insert_floor(path: Path) -> Iterator[Callable[[], None]]:
    data = codec.encode(entry(), 50_000)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous=FULL")
        db.execute("CREATE TABLE entry (session, n, line, PRIMARY KEY (session, n)) WITHOUT ROWID")
        count = 0

        def insert() -> None:
            nonlocal count
            count += 1
            db.execute("BEGIN IMMEDIATE")
            db.execute("INSERT INTO entry VALUES ('s', ?, ?)", (count, data))
            db.execute("COMMIT")

        yield insert


@contextlib.contextmanager
def _xadd_floor(server: real.Server) -> Iterator[Callable[[], None]]:
    data = codec.encode(entry(), 50_000)
    count = 0
    with contextlib.closing(server.client(protocol=2)) as client:

        def xadd() -> None:
            nonlocal count
            count += 1
            client.xadd("floor", {"v": data, "w": "0123456789abcdef"}, id=f"{count}-0")

        yield xadd


# -- a long session again -------------------------------------------------------------------------


def _resume(table: Table, folder: Path, server: real.Server | None, quick: bool) -> None:
    messages = 10_000 if quick else 100_000
    rounds = 5
    session, entries = talks.talk(messages, "long")
    urls = {k: v for k, v in _urls(folder / "resume", server).items() if k != "memory"}
    (folder / "resume").mkdir()
    for url in urls.values():
        with open_store(url, folder) as store:
            for at in range(0, len(entries), BATCH):
                some = entries[at : at + BATCH]
                store.append(session.birth, some, at=at, headline=session.headline())
    document = folder / "resume" / "files" / "sessions" / f"{session.id}.json"
    first: dict[str, list[float]] = {name: [] for name in urls}
    whole: dict[str, list[float]] = {name: [] for name in urls}
    plain: list[float] = []
    wanted = entries[-FIRST_SCREEN:]
    del entries
    for _ in range(rounds):
        _timed(plain, lambda: _loaded(document))
        for name, url in urls.items():
            with open_store(url, folder) as store:
                _timed(first[name], lambda s=store: _shown(s, session.id, wanted))  # type: ignore[misc]
            with open_store(url, folder) as store:
                _timed(whole[name], lambda s=store: s.read(session.id) and None)  # type: ignore[misc]
            gc.collect()
    size = document.stat().st_size / 1e6
    table.title(f"a session of {messages:,} messages again ({size:.0f} MB; opening included)")
    table.note("json.load of its file", ms(plain))
    for name in urls:
        table.note(f"{name}: header and the last {FIRST_SCREEN} entries", ms(first[name]))
        goal = f"{name}: first screen, to json.load"
        table.ratio(goal, median(first[name]) / median(plain), 0.1, due=not quick)
        table.note(f"{name}: everything", ms(whole[name]))
        share = median(whole[name]) / median(plain)
        table.ratio(f"{name}: everything, to json.load", share, 2.0, due=False)


def _loaded(document: Path) -> None:
    with document.open("rb") as file:
        json.load(file)


def _shown(store: SessionStore, session_id: str, wanted: list[Any]) -> None:
    """What the first screen needs: the line of the list, and the newest entries."""
    count = store.header(session_id).entries
    entries, _ = store.span(session_id, count - FIRST_SCREEN)
    assert list(entries) == wanted
