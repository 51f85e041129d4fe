"""The tables of the search index, and what is asked of them.

    session   which session of which store, how its line read, and through which entry it is here
    message   what was said: the session's key times 2**32 plus the entry's number (0: the title)
    chore     what is to be tidied up when there is time
    words     FTS5 over those texts, by the same key; it keeps no text of its own

Invariants: a message is in `message` and in `words`, or in neither. With `fts` False there is no
`words`, and everything else is the same.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from chinwag.stores.words import Term, match_of, spaced
from chinwag.talk.entry import AnyEntry, AssistantSaid, ToolReturned, UserSaid
from chinwag.talk.session import Header

MOST_SAID = 200_000  # characters of one message that are indexed
MERGED_PAGES = 64  # at a time: some hundredths of a second
MOST_RETURNED = 20_000  # of what a tool gave back


class Known(msgspec.Struct, frozen=True):
    """What the index has of a session: through which entry, and how its line read then."""

    key: int
    created: str
    updated: str
    size: int
    entries: int
    through: int
    last_id: str


#: Another version of the tables, or of how text is cut, gets another number (an even one): then
#: an index of the old one is not ours, and is made anew. FTS5 or not is the last bit.
APPLICATION = 0x43485806

_TABLES = (
    """CREATE TABLE session (
        key INTEGER PRIMARY KEY,
        url TEXT NOT NULL,
        id TEXT NOT NULL,
        created TEXT NOT NULL DEFAULT '',
        updated TEXT NOT NULL DEFAULT '',
        size INTEGER NOT NULL DEFAULT 0,
        entries INTEGER NOT NULL,
        through INTEGER NOT NULL DEFAULT 0,
        last_id TEXT NOT NULL DEFAULT '',
        title TEXT NOT NULL,
        UNIQUE (url, id)
    )""",
    "CREATE INDEX unfinished ON session (url) WHERE through < entries",
    # The session's key times 2**32, and the entry's number.
    """CREATE TABLE message (
        key INTEGER PRIMARY KEY,
        role TEXT NOT NULL,
        at TEXT NOT NULL,
        text TEXT NOT NULL
    )""",
    "CREATE TABLE chore (name TEXT PRIMARY KEY)",
    """CREATE VIEW hit AS
        SELECT m.key, s.id, s.url, s.title, m.key & 4294967295 AS n, m.role, m.at, m.text
        FROM message AS m JOIN session AS s ON s.key = m.key >> 32""",
)
_WORDS = """CREATE VIRTUAL TABLE words USING fts5 (
    text, content='', tokenize="unicode61 remove_diacritics 2", prefix='2 3'
)"""

_MATCH = """SELECT hit.* FROM
    (SELECT rowid AS key, rank FROM words WHERE words MATCH ? ORDER BY rank LIMIT ?) AS best
    JOIN hit ON hit.key = best.key ORDER BY best.rank"""
_MATCH_IN = """SELECT hit.* FROM
    (SELECT rowid AS key, rank FROM words WHERE words MATCH ?
        AND rowid >> 32 IN (SELECT key FROM session WHERE url = ?) ORDER BY rank LIMIT ?) AS best
    JOIN hit ON hit.key = best.key ORDER BY best.rank"""
#: The same twice where there is but one store, so that nothing need be filtered.
_ENDS = "SELECT (SELECT min(url) FROM session), (SELECT max(url) FROM session)"
_SCAN = "SELECT * FROM hit WHERE ? IN ('', url) AND "
_NEWEST = " ORDER BY at DESC, key DESC LIMIT ?"
_KNOWN = """SELECT id, key, created, updated, size, entries, through, last_id FROM session
    WHERE url = ?"""


def steps(*, fts: bool) -> tuple[tuple[str, ...]]:
    return ((*_TABLES, _WORDS) if fts else _TABLES,)


def has_fts5() -> bool:
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        try:
            db.execute("CREATE VIRTUAL TABLE probe USING fts5 (text)")
        except sqlite3.OperationalError:
            return False
    return True


def known(db: sqlite3.Connection, url: str, session_id: str = "") -> dict[str, Known]:
    """What the index has of the sessions of a store, or of one of them."""
    one = " AND id = ?" if session_id else ""
    rows = db.execute(_KNOWN + one, (url, session_id) if session_id else (url,))
    return {name: Known(*row) for name, *row in rows}


def missing(db: sqlite3.Connection, url: str) -> int:
    asked = "SELECT count(*) FROM session WHERE through < entries AND ? IN ('', url)"
    (missing,) = db.execute(asked, (url,)).fetchone()
    return int(missing)


def announce(
    db: sqlite3.Connection, url: str, todo: Iterable[Header], known: Mapping[str, Known]
) -> None:
    """Write down what is to be indexed, so that every search knows what is missing."""
    rows = [(h.entries, h.headline.title, url, h.id) for h in todo]
    new = [row for row in rows if row[-1] not in known]
    old = [row for row in rows if row[-1] in known]
    db.executemany("INSERT INTO session (entries, title, url, id) VALUES (?, ?, ?, ?)", new)
    db.executemany("UPDATE session SET entries = ?, title = ? WHERE url = ? AND id = ?", old)


def insert(
    db: sqlite3.Connection, session: int, at: int, entries: Iterable[AnyEntry], *, fts: bool
) -> None:
    """Entries at+1… of a session."""
    base = session << 32
    for n, entry in enumerate(entries, at + 1):
        role, text = _said(entry)
        if text:
            _put(db, base + n, role, entry.at, text, fts=fts)


def _put(db: sqlite3.Connection, key: int, role: str, at: str, text: str, *, fts: bool) -> None:
    db.execute("INSERT INTO message VALUES (?, ?, ?, ?)", (key, role, at, text))
    if fts:
        db.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (key, spaced(text)))


def finish(
    db: sqlite3.Connection, session: int, header: Header, through: int, *, fts: bool
) -> None:
    """The session is indexed as its line says; its title, if somebody gave it one, as well."""
    line = header.headline
    db.execute(
        "UPDATE session SET created = ?, updated = ?, size = ?, entries = ?, title = ? "
        "WHERE key = ?",
        (header.created, line.updated, header.size, max(through, header.entries), line.title,
         session),
    )  # fmt: skip
    key = session << 32
    _remove(db, key, key, fts=fts)
    if line.named and line.title:
        _put(db, key, "title", line.updated, line.title, fts=fts)


def forget(db: sqlite3.Connection, session: int, *, fts: bool) -> None:
    _remove(db, session << 32, (session + 1 << 32) - 1, fts=fts)


def _remove(db: sqlite3.Connection, first: int, last: int, *, fts: bool) -> None:
    if fts:  # it keeps no text of its own, and has to be told what it was
        texts = "SELECT key, text FROM message WHERE key BETWEEN ? AND ?"
        for key, text in db.execute(texts, (first, last)):
            words = "INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)"
            db.execute(words, (key, spaced(text)))
    db.execute("DELETE FROM message WHERE key BETWEEN ? AND ?", (first, last))


def leave(db: sqlite3.Connection, gone: Sequence[int], *, fts: bool) -> None:
    for session in gone:
        forget(db, session, fts=fts)
        db.execute("DELETE FROM session WHERE key = ?", (session,))
    if gone and fts:  # what was said there must not linger in the older layers of the index
        db.execute("INSERT OR IGNORE INTO chore VALUES ('merge')")


def is_tidy(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM chore").fetchone() is None


def tidy(db: sqlite3.Connection) -> bool:
    """Rewrite a few pages of layers that hold words of what has left; True when none do."""
    before = db.total_changes
    db.execute("INSERT INTO words (words, rank) VALUES ('merge', ?)", (-MERGED_PAGES,))
    done = db.total_changes - before < 2  # as FTS5 says that there was nothing to do
    if done:
        db.execute("DELETE FROM chore")
    return done


def found(
    db: sqlite3.Connection, terms: Sequence[Term], limit: int, url: str, *, fts: bool
) -> list[Any]:
    """Rows of key, id, url, title, n, role, at, text: the best first."""
    asked = match_of(terms) if fts else ""
    if not asked:
        return _scanned(db, terms, limit, url)
    if url and db.execute(_ENDS).fetchone() != (url, url):
        return db.execute(_MATCH_IN, (asked, url, limit)).fetchall()
    return db.execute(_MATCH, (asked, limit)).fetchall()


def _scanned(db: sqlite3.Connection, terms: Sequence[Term], limit: int, url: str) -> list[Any]:
    """What is found by looking at everything: for signs no index holds, and without FTS5."""
    where = " AND ".join([r"text LIKE ? ESCAPE '\'"] * len(terms))
    return db.execute(
        _SCAN + where + _NEWEST, (url, *(_like(term.text) for term in terms), limit)
    ).fetchall()


def _like(text: str) -> str:
    for sign in ("\\", "%", "_"):
        text = text.replace(sign, "\\" + sign)
    return f"%{text}%"


def _said(entry: AnyEntry) -> tuple[str, str]:
    """Role and text of what is worth finding; empty text for what is not."""
    match entry:
        case UserSaid():
            return "user", entry.text[:MOST_SAID]
        case AssistantSaid():
            return "assistant", entry.text[:MOST_SAID]
        case ToolReturned():
            return "tool", entry.text[:MOST_RETURNED]
    return "", ""
