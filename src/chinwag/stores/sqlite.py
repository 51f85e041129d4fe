"""Sessions in one SQLite database: `sqlite:PATH`.

    session   one row a session; a deleted one keeps its row and its entries, with the time
    entry     (session, n) -> the JSON line that the session's file would have
    part      the answer that is coming in, piece by piece, under the session's id
    blob      attachments by their hash
    PATH.locks/ID     who writes (locks.py): a row could not end with its program

Invariants. Rows are keyed by session and position, so that of two writers of one place the
second collides and nothing is ever written over. An append looks at the newest position and adds
rows in one transaction. What a session's row says for lists (headline, count, size) changes in the
same one. An entry that cannot be read keeps its place, as a note. When the end of a transaction
was in doubt and it turns out that our own entries are there, they were saved, not taken. Blocking;
from one thread at a time.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from chinwag.errors import (
    SessionConflict,
    SessionNotFound,
    SessionUnreadable,
    StoreUnavailable,
    UsageError,
)
from chinwag.stores import document as doc
from chinwag.stores import part_form
from chinwag.stores.base import (
    TRASH_DAYS,
    PartHead,
    SessionStore,
    Stored,
    Trashed,
    conflict,
    last_used_first,
)
from chinwag.stores.database import Database, Kind
from chinwag.stores.disk import Disk
from chinwag.stores.locks import Locks
from chinwag.stores.names import is_id, not_there
from chinwag.talk import codec
from chinwag.talk.delta import AnyDelta
from chinwag.talk.entry import AnyEntry, AssistantSaid, Noted
from chinwag.talk.session import Birth, Header, Headline

#: Version 1. `deleted` is '' for a session that is there, else when it went to the trash; a part's
#: `gone` is 0, else the key of the deleted session it went with. A part's row 0 is its head.
KIND = Kind(
    application=0x43485741,  # "CHWA"
    steps=(
        (
            """CREATE TABLE session (
                key INTEGER PRIMARY KEY,
                id TEXT NOT NULL,
                birth BLOB NOT NULL,
                headline BLOB NOT NULL,
                updated TEXT NOT NULL,
                count INTEGER NOT NULL,
                size INTEGER NOT NULL,
                deleted TEXT NOT NULL DEFAULT ''
            )""",
            "CREATE UNIQUE INDEX session_id ON session (id, deleted)",
            """CREATE TABLE entry (
                session INTEGER NOT NULL,
                n INTEGER NOT NULL CHECK (n > 0),
                json BLOB NOT NULL,
                PRIMARY KEY (session, n)
            ) WITHOUT ROWID""",
            """CREATE TABLE part (
                id TEXT NOT NULL,
                gone INTEGER NOT NULL DEFAULT 0,
                n INTEGER NOT NULL,
                lines BLOB NOT NULL,
                PRIMARY KEY (id, gone, n)
            ) WITHOUT ROWID""",
            "CREATE TABLE blob (digest TEXT PRIMARY KEY, data BLOB NOT NULL)",
        ),
    ),
)

_LIVE = "SELECT id, birth, headline, count, size FROM session WHERE deleted = '' "
_GONE = "SELECT id, birth, headline, count, size, deleted FROM session WHERE deleted <> '' "
_LAST_USED = "ORDER BY updated DESC, id DESC"
_LAST_DELETED = "ORDER BY deleted DESC, key DESC"
_ROW = (
    "SELECT key, birth, (SELECT max(n) FROM entry WHERE session = key) "
    "FROM session WHERE id = ? AND deleted = ''"
)
_ENTRIES = "SELECT n, json FROM entry WHERE session = ? AND n > ? AND n <= ? ORDER BY n"
_PURGE = (
    "DELETE FROM entry WHERE session = ?",
    "DELETE FROM part WHERE gone = ?",
    "DELETE FROM session WHERE key = ?",
)


class _Row(msgspec.Struct, frozen=True):
    """What is known of a session that is there: its key, and its newest position."""

    key: int
    birth: Birth
    count: int


class SqliteStore(SessionStore):
    """See the module. ``path`` is the database; its folder is made when it is needed."""

    lasting = True

    def __init__(self, path: Path, disk: Disk | None = None) -> None:
        self.path = path
        self.url = f"sqlite:{path}"
        beside = path.with_name(f"{path.name}.locks")
        self._base = Database(path, KIND, beside / ".open", disk)
        self._locks = Locks(beside, disk)
        self._parts: dict[str, int] = {}
        #: Appends whose transaction failed at its very end: where, and the lines.
        self._doubt: dict[str, tuple[int, list[bytes]]] = {}

    # -- writing ------------------------------------------------------------------------------

    def append(
        self, birth: Birth, entries: Sequence[AnyEntry], *, at: int, headline: Headline
    ) -> int:
        lines = [codec.encode(entry, n) for n, entry in enumerate(entries, at + 1)]
        self.lock(birth.id)
        try:
            with self._base.change() as db:
                row = _row(db, birth.id)
                found = row.count if row else 0
                if row and self._was_saved(db, row, at, lines):
                    return found
                if at != found or (row and at == 0 and row.birth != birth):
                    raise conflict(birth.id, at, found)
                if row is None or lines:
                    key = row.key if row else _created(db, birth)
                    _add(db, key, at, lines, headline)
        except StoreUnavailable:
            self._doubt[birth.id] = (at, lines)
            raise
        self._doubt.pop(birth.id, None)
        return at + len(lines)

    def _was_saved(
        self, db: sqlite3.Connection, row: _Row, at: int, lines: Sequence[bytes]
    ) -> bool:
        """Whether these very lines are there after all, since a transaction that we took for lost
        had ended well."""
        doubtful = self._doubt.pop(row.birth.id, None)
        if not lines or doubtful != (at, lines) or row.count != at + len(lines):
            return False
        there = db.execute("SELECT json FROM entry WHERE session=? AND n>?", (row.key, at))
        return [_bytes(line) for (line,) in there] == lines

    # -- reading ------------------------------------------------------------------------------

    def read(self, session_id: str) -> Stored:
        elsewhere = session_id not in self._locks and bool(self.holder(session_id))
        with self._view(session_id) as (db, row):
            rows = db.execute(_ENTRIES, (row.key, 0, row.count)).fetchall()
            part = b"" if elsewhere or session_id in self._parts else _part(db, session_id)
        entries, bad = _decoded(rows, 0, row.count)
        notices = [_damage(bad, row.count)] if bad else []
        if self._base.damage:
            notices.append(self._base.damage)
        return Stored(row.birth, entries, _rescued(part, entries), tuple(notices))

    def span(
        self, session_id: str, after: int, upto: int | None = None
    ) -> tuple[tuple[AnyEntry, ...], int]:
        with self._view(session_id) as (db, row):
            first = max(0, after)
            last = row.count if upto is None else min(upto, row.count)
            rows = db.execute(_ENTRIES, (row.key, first, last)).fetchall()
        return _decoded(rows, first, last)[0], row.count

    @contextmanager
    def _view(self, session_id: str) -> Iterator[tuple[sqlite3.Connection, _Row]]:
        with self._base.view() as db:
            row = _row(db, session_id) if db else None
            if db is None or row is None:
                raise not_there(session_id, _ids(db))
            yield db, row

    def header(self, session_id: str) -> Header:
        with self._base.view() as db:
            rows = _all(db, _LIVE + "AND id = ?", session_id)
            if not rows:
                raise not_there(session_id, _ids(db))
        return _header(rows[0])

    def headers(self) -> list[Header]:
        with self._base.view() as db:
            rows = _all(db, _LIVE + _LAST_USED)
        return last_used_first([_header(row) for row in rows])

    # -- the trash ----------------------------------------------------------------------------

    def delete(self, session_id: str) -> None:
        with self._view(session_id):
            was_ours = session_id in self._locks
        self.lock(session_id)
        try:
            with self._base.change() as db:
                row = _row(db, session_id)
                if row is None:
                    raise not_there(session_id, _ids(db))
                db.execute("UPDATE session SET deleted=? WHERE key=?", (_stamp(), row.key))
                db.execute("UPDATE part SET gone=? WHERE id=? AND gone=0", (row.key, session_id))
        except BaseException:
            if not was_ours:
                self.unlock(session_id)
            raise
        self._parts.pop(session_id, None)
        self.unlock(session_id)
        self.prune()

    def trashed(self) -> list[Trashed]:
        with self._base.view() as db:
            rows = _all(db, _GONE + _LAST_DELETED)
        return [Trashed(_header(line), str(at)) for *line, at in rows]

    def restore(self, session_id: str) -> None:
        if not any(t.header.id == session_id for t in self.trashed()):
            raise _not_in_trash(session_id)
        with self._base.change() as db:
            if there := _row(db, session_id):
                raise SessionConflict(
                    f"there is a session {session_id} already",
                    hint="delete that one first",
                    found=there.count,
                )
            newest = "SELECT key FROM session WHERE id=? AND deleted<>'' ORDER BY deleted DESC"
            gone = db.execute(newest, (session_id,)).fetchone()
            if gone is None:
                raise _not_in_trash(session_id)
            db.execute("UPDATE session SET deleted='' WHERE key=?", gone)
            db.execute("DELETE FROM part WHERE id=? AND gone=0", (session_id,))
            db.execute("UPDATE part SET gone=0 WHERE id=? AND gone=?", (session_id, *gone))

    def erase(self, session_id: str) -> None:
        with self._base.view() as db:
            if not _all(db, "SELECT 1 FROM session WHERE id=?", session_id):
                return
        was_ours = session_id in self._locks
        self.lock(session_id)
        try:
            with self._base.change() as db:
                keys = _all(db, "SELECT key FROM session WHERE id=?", session_id)
                db.execute("DELETE FROM part WHERE id=? AND gone=0", (session_id,))
                for statement in _PURGE:
                    db.executemany(statement, keys)
        finally:
            if not was_ours:
                self.unlock(session_id)
        self._parts.pop(session_id, None)

    def prune(self, days: float = TRASH_DAYS) -> int:
        oldest = _stamp(datetime.now(UTC) - timedelta(days=days))
        old = "SELECT key FROM session WHERE deleted<>'' AND deleted<=?"
        with self._base.view() as db:
            if not _all(db, old, oldest):
                return 0
        with self._base.change() as db:
            keys = _all(db, old, oldest)
            for statement in _PURGE:
                db.executemany(statement, keys)
        with self._base.in_words():  # a page a step, and only a script is stepped to its end
            db.executescript("PRAGMA incremental_vacuum")
        return len(keys)

    # -- blobs --------------------------------------------------------------------------------

    def put_blob(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        with self._base.view() as db:
            if _all(db, "SELECT 1 FROM blob WHERE digest=?", digest):
                return digest
        with self._base.change() as writing:
            writing.execute("INSERT OR IGNORE INTO blob VALUES (?, ?)", (digest, data))
        return digest

    def blob(self, digest: str) -> bytes:
        with self._base.view() as db:
            found = _all(db, "SELECT data FROM blob WHERE digest=?", digest)
        if not found:
            raise SessionNotFound(f"no attachment {digest!r} is kept")
        data = _bytes(found[0][0])
        if hashlib.sha256(data).hexdigest() != digest:
            raise SessionUnreadable(
                f"the attachment {digest} is not what was kept", hint="it is left as it is"
            )
        return data

    # -- locks --------------------------------------------------------------------------------

    def holder(self, session_id: str) -> str:
        return self._locks.holder(session_id) if is_id(session_id) else ""

    def writers(self) -> list[tuple[str, str]]:
        return self._locks.taken()

    def meeting(self, session_id: str) -> Path:
        return self._locks.meeting(session_id)

    def lock(self, session_id: str) -> None:
        self._locks.lock(session_id)

    def unlock(self, session_id: str) -> None:
        self._locks.unlock(session_id)

    # -- parts --------------------------------------------------------------------------------

    def begin_part(self, session_id: str, head: PartHead) -> None:
        self._parts.pop(session_id, None)
        self.lock(session_id)
        with self._base.change() as db:
            db.execute("DELETE FROM part WHERE id=? AND gone=0", (session_id,))
            _add_part(db, session_id, 0, part_form.part_head(head))
        self._parts[session_id] = 1

    def add_part(
        self,
        session_id: str,
        deltas: Sequence[AnyDelta],
        *,
        sync: bool,  # noqa: ARG002 - a change that is not synced could spoil the database
    ) -> None:
        n = self._parts.get(session_id)
        if n is None:
            raise UsageError(f"no answer is coming in for session {session_id}")
        with self._base.change() as db:
            _add_part(db, session_id, n, part_form.part_lines(deltas))
        self._parts[session_id] = n + 1

    def end_part(self, session_id: str) -> None:
        self._parts.pop(session_id, None)
        with self._base.view() as db:
            if not _all(db, "SELECT 1 FROM part WHERE id=? AND gone=0", session_id):
                return
        with self._base.change() as writing:
            writing.execute("DELETE FROM part WHERE id=? AND gone=0", (session_id,))

    def overheard(
        self, session_id: str, since: int
    ) -> tuple[PartHead, tuple[AnyDelta, ...]] | None:
        with self._base.view() as db:
            part = _part(db, session_id) if db else b""
        return part_form.read_deltas(part, since)

    def close(self) -> None:
        self._parts.clear()
        self._locks.close()
        self._base.close()


def _all(db: sqlite3.Connection | None, question: str, *values: object) -> list[Any]:
    return db.execute(question, values).fetchall() if db else []


def _row(db: sqlite3.Connection, session_id: str) -> _Row | None:
    """The session that is there, and its newest position: from the entries, whoever added them."""
    found = db.execute(_ROW, (session_id,)).fetchone()
    if found is None:
        return None
    key, birth, count = found
    return _Row(key, _birth(birth, session_id), count or 0)


def _created(db: sqlite3.Connection, birth: Birth) -> int:
    born = codec.dumps(msgspec.to_builtins(birth))
    done = db.execute(
        "INSERT INTO session (id, birth, headline, updated, count, size) VALUES (?,?,'','',0,?)",
        (birth.id, born, len(born)),
    )
    return done.lastrowid or 0


def _add(
    db: sqlite3.Connection, key: int, at: int, lines: Sequence[bytes], headline: Headline
) -> None:
    rows = ((key, n, line) for n, line in enumerate(lines, at + 1))
    db.executemany("INSERT INTO entry VALUES (?, ?, ?)", rows)
    head = codec.dumps(msgspec.to_builtins(headline))
    updated = head and codec.loads(head).get("updated", "")
    db.execute(
        "UPDATE session SET headline=?, updated=?, count=?, size=size+? WHERE key=?",
        (head, updated, at + len(lines), sum(map(len, lines)), key),
    )


def _add_part(db: sqlite3.Connection, session_id: str, n: int, lines: bytes) -> None:
    db.execute("INSERT INTO part (id, n, lines) VALUES (?, ?, ?)", (session_id, n, lines))


def _part(db: sqlite3.Connection, session_id: str) -> bytes:
    rows = _all(db, "SELECT lines FROM part WHERE id=? AND gone=0 ORDER BY n", session_id)
    return b"".join(_bytes(lines) for (lines,) in rows)


def _rescued(part: bytes, entries: Iterable[AnyEntry]) -> AssistantSaid | None:
    read = part_form.read_part(part) if part else None
    return part_form.rescued(*read, {entry.id for entry in entries}) if read else None


# -- what comes out is believed only as far as it can be read -----------------------------------


def _decoded(
    rows: Iterable[tuple[Any, Any]], after: int, upto: int
) -> tuple[tuple[AnyEntry, ...], list[int]]:
    """Entries after+1 … upto, a note in each place that cannot be read; and those places."""
    entries: list[AnyEntry] = []
    bad: list[int] = []
    for n, json in rows:
        _fill(entries, bad, after, n - 1)
        try:
            entries.append(codec.decode(_bytes(json))[1])
        except ValueError:
            _fill(entries, bad, after, n)
    _fill(entries, bad, after, upto)
    return tuple(entries), bad


def _fill(entries: list[AnyEntry], bad: list[int], after: int, through: int) -> None:
    first = after + len(entries) + 1
    if through - first >= doc.GAP_LIMIT:
        raise SessionUnreadable(
            f"entries {first} to {through} of the session are gone",
            hint="the database is left as it is",
        )
    for n in range(first, through + 1):
        entries.append(Noted(id=f"gap-{n}", text=f"entry {n} could not be read"))
        bad.append(n)


def _damage(bad: Sequence[int], count: int) -> str:
    where = ", ".join(map(str, bad[:5])) + ("…" if len(bad) > 5 else "")
    return (
        f"the session is damaged in the database (entry {where}): {len(bad)} of its {count} "
        "entries could not be read; they are left as they are"
    )


def _birth(raw: object, session_id: str) -> Birth:
    try:
        plain = codec.loads(_bytes(raw))
        return msgspec.convert({"created": "", **plain, "id": session_id}, Birth)
    except (ValueError, TypeError):
        return Birth(id=session_id, created="")


def _header(row: Sequence[Any]) -> Header:
    """A line of the list from its row; one that cannot be read says so."""
    name, birth, headline, count, size = row
    try:
        born = _birth_loads(_bytes(birth)).created
        return Header(str(name), born, _headline_loads(_bytes(headline)), int(count), int(size))
    except ValueError:
        damaged = f"what the database says of session {name} cannot be read"
        return Header(str(name), damaged=damaged)


_birth_loads = msgspec.json.Decoder(Birth).decode
_headline_loads = msgspec.json.Decoder(Headline).decode


def _bytes(value: object) -> bytes:
    """A column as bytes. Another program may have put anything there: raises ValueError."""
    match value:
        case bytes():
            return value
        case str():
            return value.encode()
    raise ValueError(f"expected bytes, got {type(value).__name__}")


# -- words --------------------------------------------------------------------------------------


def _ids(db: sqlite3.Connection | None) -> list[str]:
    return [str(row[0]) for row in _all(db, "SELECT id FROM session WHERE deleted=''")]


def _not_in_trash(session_id: str) -> SessionNotFound:
    return SessionNotFound(f"no session {session_id!r} is in the trash")


def _stamp(at: datetime | None = None) -> str:
    """UTC to the microsecond, so that what was deleted later sorts later."""
    return (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
