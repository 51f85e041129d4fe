"""What a list and a search cost, beside the least they could: part of `make bench`.

The floor of a list is the folder's names with sizes and times; the floor of a search is the bare
query to an FTS5 table that holds the same texts. Both take turns with ours in this process.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import talks
from table import Table, median, ms

from chinwag.stores import document as doc
from chinwag.stores.files import FileStore
from chinwag.stores.search import Index
from chinwag.talk.entry import AnyEntry, AssistantSaid, UserSaid
from chinwag.talk.session import Session

QUERIES = {
    "the commonest word": ("harbour", '"harbour" *'),
    "two words": ("deep lamp", '"deep" "lamp" *'),
    "a phrase": ('"first the outer mole"', '"first the outer mole"'),
    "one place": ("stone777x", '"stone777x" *'),
    "nowhere": ("zyzzogeton", '"zyzzogeton" *'),
}
BARE = """SELECT key, snippet(words, 0, '[', ']', '…', 24) FROM words
    JOIN place ON place.rowid = words.rowid WHERE words MATCH ? ORDER BY rank LIMIT 20"""


def search(table: Table, folder: Path, quick: bool) -> None:
    sessions, messages = (2_000 if quick else 10_000), 10
    data = folder / "search"
    said = written(data, sessions, messages)
    rounds = 5 if quick else 15
    table.title(
        f"a list of {sessions:,} sessions, and a search of {sessions * messages:,} messages"
    )
    _list(table, data, rounds)
    with Index(data / "index.sqlite") as index:
        began = time.perf_counter()
        with FileStore(data) as store:
            while index.catch_up(store, budget_s=1):
                pass
        table.note("indexed from nothing", f"{time.perf_counter() - began:.1f} s", _size(index))
        _again(table, data, index, rounds)
        with bare(folder / "bare.sqlite", said) as ask:
            for name, (ours, floor) in QUERIES.items():
                _compare(
                    table,
                    name,
                    lambda q=ours: index.search(q, url=f"file:{data}"),
                    lambda q=floor: ask(q),
                    rounds,
                )


def written(data: Path, sessions: int, messages: int) -> list[tuple[str, str]]:
    """Sessions that have been at rest for an hour; returns where each text is, and the text."""
    (data / "sessions").mkdir(parents=True, mode=0o700)
    said = []
    at_rest = time.time() - 3600
    for n in range(sessions):
        session, entries = _talk(n, messages)
        path = data / "sessions" / f"{session.id}.json"
        path.write_bytes(doc.whole(session.birth, entries, session.headline()))
        os.utime(path, (at_rest, at_rest))
        for at, entry in enumerate(entries, 1):
            if isinstance(entry, UserSaid | AssistantSaid):
                said.append((f"{session.id}/{at}", entry.text))
    time.sleep(2.1)  # the time of a file's own change cannot be set
    return said


def _talk(n: int, messages: int) -> tuple[Session, list[AnyEntry]]:
    return talks.talk(messages, f"the harbour, day {n}", first=n * messages // 2)


def _list(table: Table, data: Path, rounds: int) -> None:
    folder = str(data / "sessions")

    def floor() -> None:
        with os.scandir(folder) as entries:
            sum(entry.stat(follow_symlinks=False).st_size for entry in entries)

    def program() -> None:
        with FileStore(data) as store:
            store.headers()

    began = time.perf_counter()
    program()
    table.note("the first list of all, every file opened", f"{time.perf_counter() - began:.2f} s")
    times = _turns(rounds, floor=floor, ours=program)
    table.note("names, sizes and times of the folder", ms(times["floor"]))
    table.note("a new program's list", ms(times["ours"]))
    table.ratio("a list, to the folder", median(times["ours"]) / median(times["floor"]), 3.0)


def _again(table: Table, data: Path, index: Index, rounds: int) -> None:
    """Catching up when nothing is new."""
    with FileStore(data) as store:
        times = _turns(rounds, ours=lambda: index.catch_up(store))
    table.note("catching up when nothing is new", ms(times["ours"]))


def _compare(
    table: Table,
    name: str,
    ours: Callable[[], Any],
    floor: Callable[[], Any],
    rounds: int,
) -> None:
    times = _turns(rounds * 3, floor=floor, ours=ours)
    found = len(ours().hits)
    assert found == len(floor()), f"{name}: {found} found, {len(floor())} expected"
    table.note(f"{name}: bare, ours", f"{_us(times['floor'])}, {_us(times['ours'])}", f"{found}")
    table.ratio(f"{name}, to the bare query", median(times["ours"]) / median(times["floor"]), 3.0)


def _turns(rounds: int, **candidates: Callable[[], Any]) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, run in candidates.items():
            began = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - began)
    return times


@contextlib.contextmanager
def bare(path: Path, said: list[tuple[str, str]]) -> Iterator[Callable[[str], list[Any]]]:
    """The same texts in a table of FTS5's own, and how it is asked for snippets."""
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE place (key TEXT)")
    db.execute(
        "CREATE VIRTUAL TABLE words USING fts5 "
        "(text, tokenize='unicode61 remove_diacritics 2', prefix='2 3')"
    )
    db.executemany("INSERT INTO place VALUES (?)", ((where,) for where, _ in said))
    db.executemany("INSERT INTO words VALUES (?)", ((text,) for _, text in said))
    db.commit()
    yield lambda query: db.execute(BARE, (query,)).fetchall()
    db.close()


def _size(index: Index) -> str:
    assert index.path is not None
    size = sum(p.stat().st_size for p in index.path.parent.glob(f"{index.path.name}*"))
    return f"{size / 1e6:.0f} MB"


def _us(values: list[float]) -> str:
    return f"{median(values) * 1e3:.2f} ms"
