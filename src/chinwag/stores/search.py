"""Full-text search over every session of a store.

    index = Index(data_dir / "index.sqlite")      # cheap: nothing is opened or made yet
    left = index.catch_up(store, budget_s=0.05)   # in the background, again while left > 0
    found = index.search("harbour lamp", limit=20)
    for hit in found.hits: hit.session_id, hit.n, hit.snippet, hit.marks, …
    found.missing                                 # sessions known that are not yet fully in it

What is typed: words, all of which must be there, the last of them as the beginning of a word;
"words in quotation marks" one after the other. Capitals and accents do not matter. Scripts without
spaces (Chinese, Japanese, Thai, …) are found by any piece. There are no mistakes of syntax.

Invariants. The index may be deleted at any time: lost, damaged or of another version it is made
anew without a word. It holds only what was said (questions, answers, tools' results) and titles
people gave; a deleted session leaves it at the next catching up, and a store that does not last
never enters one that does. A search never waits for catching up: it answers from what is there.
Catching up reads only sessions whose line in the list has changed, from where it stopped, in
slices that are each safe; it can be broken off after any of them.

Keep one `Index` for all the slices: a new one lists the whole store before it gets on.

An `Index` is used from one thread at a time; two of them on one file do not disturb each other.
`catch_up` uses the store, so it belongs in the thread that owns that store. This module imports
SQLite: import it where somebody searches, not before. What a hit holds is raw text of somebody's
message: see chinwag.text.safe.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec

from chinwag.errors import SessionUnreadable, StoreError, StoreUnavailable
from chinwag.stores import search_rows as rows
from chinwag.stores.base import SessionStore
from chinwag.stores.database import Database, InMemory, Kind, TakenAway, is_busy
from chinwag.stores.search_rows import Known
from chinwag.stores.words import Marker, Term, parse
from chinwag.talk.entry import AnyEntry
from chinwag.talk.session import Header

T = TypeVar("T")

CHUNK = 2_000  # entries read from a store at a time
BATCH_S = 0.2  # about how long one change of the index lasts
LOOK = 100  # entries between two looks at the clock
_ANEW = 5.0  # seconds after which a list of what is to do is made again, done or not


class Hit(msgspec.Struct, frozen=True):
    """A message that was found.

    ``n`` is the entry's number in its session, 0 for the title. ``role`` is user, assistant, tool
    or title. ``snippet`` is one line; ``marks`` are (start, end) of what was found in it. ``at``
    is when it was said (UTC), ``title`` the session's title, ``url`` the store it is in.
    """

    session_id: str
    n: int
    role: str
    snippet: str
    marks: tuple[tuple[int, int], ...]
    at: str
    title: str
    url: str


class Found(msgspec.Struct, frozen=True):
    """Hits, best first, and how many sessions were not yet (fully) searched."""

    hits: tuple[Hit, ...] = ()
    missing: int = 0


MOST_LOST = 5  # times an index may be taken from under its writer before that is an error


class Index:
    """See the module. ``path`` None keeps the index in memory. ``fts`` False does without FTS5,
    slower; None finds out what SQLite can."""

    def __init__(self, path: Path | None, *, fts: bool | None = None) -> None:
        self.path = path
        self._fts = rows.has_fts5() if fts is None else fts
        self._base = self._opened()
        self._lost = 0
        #: What is left to do for a store, as of a time on the monotonic clock.
        self._todo: dict[str, tuple[float, deque[Header]]] = {}

    # -- searching ------------------------------------------------------------------------------

    def search(self, query: str, limit: int = 20, *, url: str = "") -> Found:
        """The ``limit`` best messages, of the store ``url`` or of all; nothing typed finds nothing.

        Raises StoreUnavailable (the index cannot be opened or made).
        """
        terms = parse(query)
        return self._surely(lambda: self._search(terms, limit, url))

    def _search(self, terms: Sequence[Term], limit: int, url: str) -> Found:
        with self._view() as db:
            if db is None:
                return Found()
            missing = rows.missing(db, url)
            if not terms or limit < 1:
                return Found((), missing)
            best = rows.found(db, terms, limit, url, fts=self._fts)
        marker = Marker(terms)
        return Found(tuple(_hit(row, marker) for row in best), missing)

    # -- catching up ----------------------------------------------------------------------------

    def catch_up(
        self,
        store: SessionStore,
        *,
        budget_s: float = 0.05,
        stop: Callable[[], bool] = bool,
    ) -> int:
        """Index some of what is new in ``store``; returns how many sessions are left, 0 when there
        is nothing to do (1 also while something has to be tidied up).

        Takes about ``budget_s`` seconds (and always gets on a little), less when ``stop()`` says
        so. Raises StoreUnavailable; that another program catches up just now is no error.
        """
        if self.path is not None and not store.lasting:
            return 0
        limit = time.monotonic() + budget_s
        try:
            return self._surely(lambda: self._catch_up(store, limit, stop))
        except StoreUnavailable as error:
            if isinstance(error, TakenAway) and self._lost < MOST_LOST:
                self._lost += 1  # another program found it half made, and began it anew
                self._todo.pop(store.url, None)
            elif not is_busy(error):
                raise
            _, todo = self._todo.get(store.url, (0.0, ()))
            return max(1, len(todo))

    def _catch_up(self, store: SessionStore, limit: float, stop: Callable[[], bool]) -> int:
        made, todo = self._todo.get(store.url, (0.0, deque()))
        if not todo or time.monotonic() - made > _ANEW:
            todo = self._listed(store)
            self._todo[store.url] = (time.monotonic(), todo)
        try:
            while todo and self._some(store, todo, limit, stop):
                pass
        except BaseException:
            del self._todo[store.url]  # what was taken off it may not have been kept
            raise
        return len(todo) or (0 if self._tidied(limit) else 1)

    def _tidied(self, limit: float) -> bool:
        """Take words of deleted sessions out of the index's older layers, while there is time."""
        with self._view() as db:
            if db is None or rows.is_tidy(db):
                return True
        while True:
            with self._change() as db:
                if rows.tidy(db):
                    return True
            if time.monotonic() >= limit:
                return False

    def _some(
        self, store: SessionStore, todo: deque[Header], limit: float, stop: Callable[[], bool]
    ) -> bool:
        """One change of the index, about BATCH_S long; whether there is time for another."""
        until = min(limit, time.monotonic() + BATCH_S)
        with self._change() as db:
            while todo:
                if self._slice(db, store, todo[0], limit):
                    todo.popleft()
                if stop():
                    return False
                if time.monotonic() >= until:
                    break
        return time.monotonic() < limit

    def _listed(self, store: SessionStore) -> deque[Header]:
        """Compare the list of sessions with what the index has; what is gone leaves it."""
        headers = {header.id: header for header in _headers(store)}
        with self._view() as db:
            known = rows.known(db, store.url) if db else {}
        gone = [row.key for name, row in known.items() if name not in headers]
        todo = deque(h for h in headers.values() if _is_due(h, known.get(h.id)))
        if gone or todo:
            with self._change() as db:
                rows.announce(db, store.url, todo, known)
                rows.leave(db, gone, fts=self._fts)
        return todo

    def _slice(
        self, db: sqlite3.Connection, store: SessionStore, header: Header, limit: float
    ) -> bool:
        """Index one more piece of a session; True when all of it is there."""
        row = rows.known(db, store.url, header.id).get(header.id)
        if row is None:
            return True  # another program has found it deleted
        if row.through and not _may_go_on(header, row):
            return self._begin_anew(db, row.key)
        first = max(0, row.through - 1)
        upto = min(row.through + CHUNK, header.entries)
        try:
            entries, _ = store.span(header.id, first, upto)
        except StoreError:
            return True  # gone, or not to be read: the next list tells
        if row.through and (not entries or entries[0].id != row.last_id):
            return self._begin_anew(db, row.key)
        return self._add(db, row, header, entries[row.through - first :], limit)

    def _begin_anew(self, db: sqlite3.Connection, key: int) -> bool:
        rows.forget(db, key, fts=self._fts)
        db.execute("UPDATE session SET through = 0, last_id = '' WHERE key = ?", (key,))
        return False

    def _add(
        self,
        db: sqlite3.Connection,
        row: Known,
        header: Header,
        entries: Sequence[AnyEntry],
        limit: float,
    ) -> bool:
        """Put entries through+1… into the index, as many as there is time for."""
        through, last_id = row.through, row.last_id
        for start in range(0, len(entries), LOOK):
            piece = entries[start : start + LOOK]
            rows.insert(db, row.key, through, piece, fts=self._fts)
            through, last_id = through + len(piece), piece[-1].id
            if time.monotonic() >= limit:
                break
        progress = "UPDATE session SET through = ?, last_id = ? WHERE key = ?"
        db.execute(progress, (through, last_id, row.key))
        done = through >= header.entries or not entries
        if done:
            rows.finish(db, row.key, header, through, fts=self._fts)
        return done

    # -- the database behind it -----------------------------------------------------------------

    def _opened(self) -> Database:
        kind = Kind(rows.APPLICATION + self._fts, rows.steps(fts=self._fts), passing=True)
        return InMemory(kind) if self.path is None else Database(self.path, kind)

    @contextlib.contextmanager
    def _view(self) -> Iterator[sqlite3.Connection | None]:
        with _own_faults(), self._base.view() as db:
            yield db

    @contextlib.contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        with _own_faults(), self._base.change() as db:
            yield db

    def _surely(self, run: Callable[[], T]) -> T:
        """Run; with a new index where the old one is of no use."""
        try:
            return run()
        except _Useless:
            self._discard()
        try:
            return run()
        except _Useless as error:
            raise StoreUnavailable(str(error), hint=f"move {self.path} away") from error

    def _discard(self) -> None:
        self.close()
        for ending in ("", "-journal", "-wal", "-shm") if self.path else ():
            with contextlib.suppress(OSError):
                Path(f"{self.path}{ending}").unlink()

    def close(self) -> None:
        self._todo.clear()
        self._base.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Useless(Exception):
    """The index itself cannot be read."""


@contextlib.contextmanager
def _own_faults() -> Iterator[None]:
    try:
        yield
    except SessionUnreadable as error:
        raise _Useless(error.message) from error


def _headers(store: SessionStore) -> list[Header]:
    try:
        return store.headers()
    except SessionUnreadable as error:
        raise StoreUnavailable(error.message, hint=error.hint) from error


# -- what is due --------------------------------------------------------------------------------


def _is_due(header: Header, known: Known | None) -> bool:
    if header.damaged and not header.entries:
        return False
    return known is None or known.through < known.entries or not _is_same(header, known)


def _is_same(header: Header, known: Known) -> bool:
    line = header.headline
    return (header.entries, header.size, line.updated, header.created) == (
        known.entries,
        known.size,
        known.updated,
        known.created,
    )


def _may_go_on(header: Header, known: Known) -> bool:
    """Whether what the index has of the session can still be its beginning."""
    if known.created not in {"", header.created}:
        return False
    return header.entries > known.through or _is_same(header, known)


def _hit(row: Sequence[Any], marker: Marker) -> Hit:
    _, session_id, url, title, n, role, at, text = row
    snippet = marker.snippet(text)
    return Hit(session_id, n, role, snippet.text, snippet.marks, at, title, url)
