"""An SQLite file that we may trust with something: opened safely, versioned, its errors in words.

Invariants. Looking makes nothing: a file that is not there stays so until something is written.
The file is born 0600, its folder 0700, whatever the umask (SQLite gives its journal the same mode);
a link, a FIFO, a folder, somebody else's file is refused. A database of another program or of a
newer version is refused and not touched; an older one is brought up in one transaction. A change
is `BEGIN IMMEDIATE` … `COMMIT` at `synchronous=FULL`, and is only said to be made if the file that
was changed is still the one the path names. While a program may write it keeps a mark of its own
beside the database, locked; a mark without a living holder means an unclean end, and then the
file is checked before anything is written. Never is the database's file opened by us while SQLite
has it open in this process: closing it would drop SQLite's own locks on it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import msgspec

from chinwag.errors import SessionUnreadable, StoreError, StoreUnavailable
from chinwag.stores.disk import LOCAL, Disk, NotOurs, in_words, make_folder, oddity, open_own
from chinwag.stores.disk import explained as system_explained
from chinwag.stores.whole import names_in, shut
from chinwag.talk.entry import new_id

#: Before this version two connections may spoil a write-ahead log (the "WAL-reset" fault).
WAL_SINCE = (3, 51, 3)
BUSY_S = 2.0  # how long one program waits for another one's change to end
PASSING_BUSY_S = 0.2  # the same, where nothing is lost by coming back later

_Inode = tuple[int, int]
#: Between making a file and handing it to SQLite no other thread may come.
_opening = threading.Lock()


class Kind(msgspec.Struct, frozen=True):
    """A kind of database: SQLite's `application_id`, and per version the statements that lead to
    it from the one before; the first ones make a new database.

    A ``passing`` one holds nothing that could not be made again: it may lose its newest changes at
    a power cut, is written without holding up who reads, and is not checked.
    """

    application: int
    steps: Sequence[Sequence[str]]
    passing: bool = False

    @property
    def version(self) -> int:
        return len(self.steps)


class Database:
    """One connection, opened when it is first needed; used from one thread at a time."""

    def __init__(
        self, path: Path, kind: Kind, marks: Path | None = None, disk: Disk | None = None
    ) -> None:
        self.path = path
        #: What a check found wrong, in words; empty for a sound database.
        self.damage = ""
        self._kind = kind
        self._disk = disk or Disk()
        self._marks = marks
        self._mark: tuple[str, int] | None = None
        #: Marks of programs that ended without taking theirs away; gone once the file is checked.
        self._orphans: list[Path] = []
        self._db: sqlite3.Connection | None = None
        self._inode: _Inode = (0, 0)
        self._writable = False

    # -- for those who use it -----------------------------------------------------------------

    def reading(self) -> sqlite3.Connection | None:
        """The connection, None where there is no database yet. Raises StoreError."""
        with self.in_words():
            inode = self._there()
            if inode is None:
                self._let_go()
                return None
            return self._connection(inode)

    @contextlib.contextmanager
    def view(self) -> Iterator[sqlite3.Connection | None]:
        """Several questions about one and the same state; None where there is no database yet."""
        db = self.reading()
        if db is None or db.in_transaction:
            yield db
            return
        with self.in_words():
            db.execute("BEGIN")
            try:
                yield db
            finally:
                _end(db, "COMMIT")

    @contextlib.contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """A change, whole or not at all; made and safe when this is left without an error.

        Raises StoreUnavailable, SessionUnreadable. What is raised inside takes the change back.
        """
        with self.in_words():
            db = self._writing()
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                _end(db, "ROLLBACK")
                raise
            if self._there() != self._inode:
                self._let_go()
                raise TakenAway(
                    f"the database {self.path} was taken away while it was written",
                    hint="put it back; what was not saved is kept",
                )

    def close(self) -> None:
        self._let_go()
        if self._mark and self._marks:
            with contextlib.suppress(OSError):
                self._disk.unlink(self._marks / self._mark[0])
            shut(self._disk, self._mark[1])
        self._mark = None

    @contextlib.contextmanager
    def in_words(self) -> Iterator[None]:
        """SQLite's errors and the system's as errors of a store."""
        with in_words(self.path):
            try:
                yield
            except NotOurs as odd:
                what = f"{self.path.name} is not used: {odd}"
                raise Unusable(what, hint="move it away if it is not yours") from None
            except sqlite3.Error as error:
                if _primary(error) == sqlite3.SQLITE_IOERR:
                    self._let_go()  # what it holds in memory may not be what is on the disk
                raise explained(error, self.path) from error

    # -- opening ------------------------------------------------------------------------------

    def _there(self) -> _Inode | None:
        """Which file the path names now. Raises NotOurs, OSError."""
        try:
            of = self._disk.lstat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if odd := oddity(of):
            raise NotOurs(odd)
        return (of.st_dev, of.st_ino)

    def _connection(self, inode: _Inode) -> sqlite3.Connection:
        if self._db is None or inode != self._inode:
            self._let_go()
            db = _connected(self.path, PASSING_BUSY_S if self._kind.passing else BUSY_S)
            try:
                self._settle(db)
            except BaseException:
                db.close()
                raise
            self._db, self._inode = db, inode
        return self._db

    def _writing(self) -> sqlite3.Connection:
        if self._writable and self._db is not None and self._there() == self._inode:
            return self._db
        make_folder(self._disk, self.path.parent)
        self._enter()
        with _opening:
            inode = self._there() or self._made()
            db = self._connection(inode)
        self._journal(db)
        if self._orphans:
            self._check(db)
        if self.damage:
            _refuse(self.damage, "it is left as it is; what can be read can be moved elsewhere")
        for orphan in self._orphans:
            with contextlib.suppress(FileNotFoundError):
                self._disk.unlink(orphan)
        self._orphans = []
        self._writable = True
        return db

    def _made(self) -> _Inode:
        """A new, empty file of ours, for SQLite to fill."""
        fd = self._disk.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            of = self._disk.fstat(fd)
        finally:
            shut(self._disk, fd)
        self._disk.sync_folder(self.path.parent)
        return (of.st_dev, of.st_ino)

    def _settle(self, db: sqlite3.Connection) -> None:
        """Whether it is ours and of this version; brought up if it is older."""
        safely = "NORMAL" if self._kind.passing else "FULL"
        for pragma in ("trusted_schema=OFF", f"synchronous={safely}", "secure_delete=ON"):
            db.execute(f"PRAGMA {pragma}")
        application, version, tables = _facts(db)
        if application != self._kind.application and (application or version or tables):
            _refuse(
                f"{self.path} is a database of another program",
                "name another file; this one is left as it is",
            )
        if version > self._kind.version:
            _refuse(
                f"{self.path} was written by a newer version (schema {version})",
                "upgrade this program to open it",
            )
        if version < self._kind.version:
            if not tables:
                db.execute("PRAGMA auto_vacuum=INCREMENTAL")
            self._bring_up(db)

    def _bring_up(self, db: sqlite3.Connection) -> None:
        db.execute("BEGIN IMMEDIATE")
        try:
            _, version, _ = _facts(db)  # another program may have done it meanwhile
            for step in self._kind.steps[version:]:
                for statement in step:
                    db.execute(statement)
            db.execute(f"PRAGMA application_id={self._kind.application}")
            db.execute(f"PRAGMA user_version={max(version, self._kind.version)}")
            db.execute("COMMIT")
        except BaseException:
            _end(db, "ROLLBACK")
            raise

    def _journal(self, db: sqlite3.Connection) -> None:
        """A write-ahead log where library and file system can be trusted with one."""
        fits = self._kind.passing or sqlite3.sqlite_version_info >= WAL_SINCE
        wanted = "wal" if fits and self._disk.file_system(self.path.parent) in LOCAL else "delete"
        (found,) = db.execute("PRAGMA journal_mode").fetchone()
        if found != wanted:
            with contextlib.suppress(sqlite3.OperationalError):  # others have it open: next time
                db.execute(f"PRAGMA journal_mode={wanted}")

    def _check(self, db: sqlite3.Connection) -> None:
        try:
            found = [str(row[0]) for row in db.execute("PRAGMA quick_check(3)")]
        except sqlite3.DatabaseError as error:
            if _primary(error) != sqlite3.SQLITE_CORRUPT:
                raise
            found = [str(error)]
        if found != ["ok"]:
            what = " ".join(" ".join(found).split())[:200]
            self.damage = f"the database {self.path} is damaged: {what}"

    # -- marks --------------------------------------------------------------------------------

    def _enter(self) -> None:
        """Leave a mark, and see which ones have nobody any more."""
        if self._mark or not self._marks:
            return
        make_folder(self._disk, self._marks)
        there = (self._marks / name for name in names_in(self._disk, self._marks))
        self._orphans = [path for path in there if self._is_orphan(path)]
        name = new_id(16)
        fd = self._disk.open(self._marks / name, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        with contextlib.suppress(OSError):  # without locks every mark counts as a living one
            self._disk.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._disk.sync_folder(self._marks)
        self._mark = (name, fd)

    def _is_orphan(self, path: Path) -> bool:
        try:
            fd = open_own(self._disk, path, os.O_RDONLY)
        except (OSError, NotOurs):
            return False
        try:
            self._disk.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        finally:
            shut(self._disk, fd)
        return True

    def _let_go(self) -> None:
        self._writable = False
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.close()
            self._db = None


class InMemory(Database):
    """The same without a file: it ends with the program and leaves no trace."""

    def __init__(self, kind: Kind) -> None:
        super().__init__(Path(":memory:"), kind)

    def _there(self) -> _Inode | None:
        return (0, 0)

    def _writing(self) -> sqlite3.Connection:
        return self._connection((0, 0))


def _connected(path: Path, timeout: float) -> sqlite3.Connection:
    # Without isolation_level nothing begins or commits but what we say.
    return sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)


def _facts(db: sqlite3.Connection) -> tuple[int, int, int]:
    """Whose it is, its version, and how many tables and the like it has."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return application, version, tables


def _end(db: sqlite3.Connection, how: str) -> None:
    with contextlib.suppress(sqlite3.Error):
        if db.in_transaction:
            db.execute(how)


def _refuse(message: str, hint: str) -> NoReturn:
    raise Unusable(message, hint=hint)


def _primary(error: sqlite3.Error) -> int:
    """SQLite's primary code; 0 for an error that Python made itself."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


class Unusable(SessionUnreadable, StoreUnavailable):
    """The whole database, not one session of it: a copy of a session would find no place either."""


class TakenAway(StoreUnavailable):
    """Another file is in its place: what was just written is in none that can be found."""


def is_busy(error: StoreError) -> bool:
    """Whether it only said that another program is writing just now."""
    cause = error.__cause__
    return isinstance(cause, sqlite3.Error) and _primary(cause) == sqlite3.SQLITE_BUSY


_ERRNO = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_PERM: errno.EACCES,
    sqlite3.SQLITE_NOMEM: errno.ENOMEM,
}
_UNAVAILABLE = {
    sqlite3.SQLITE_READONLY: ("the database {} is read-only", "make it and its folder writable"),
    sqlite3.SQLITE_BUSY: (
        "another program is writing to the database {}",
        "it is tried again; end that program if it never stops",
    ),
    sqlite3.SQLITE_CONSTRAINT: ("another program wrote in the same place of {}", "try again"),
    sqlite3.SQLITE_LOCKED: ("the database {} is locked", "it is tried again"),
    sqlite3.SQLITE_CANTOPEN: (
        "the database {} cannot be opened",
        "allow yourself to read and write it and its folder",
    ),
    sqlite3.SQLITE_TOOBIG: ("it is too large for the database {}", "split it"),
    sqlite3.SQLITE_PROTOCOL: ("the database {} cannot be locked", "try again"),
}


def explained(error: sqlite3.Error, path: Path) -> StoreError:
    """SQLite's error as one sentence that says what, and one that says what to do."""
    code = _primary(error)
    if code in _ERRNO:
        return system_explained(OSError(_ERRNO[code], os.strerror(_ERRNO[code])), path.parent)
    if code in _UNAVAILABLE:
        what, todo = _UNAVAILABLE[code]
        return StoreUnavailable(what.format(path), hint=todo)
    if code == sqlite3.SQLITE_NOTADB:
        what = f"{path} is no database"
    else:
        what = f"the database {path} is damaged: {' '.join(str(error).split())[:200]}"
    return Unusable(what, hint="it is left as it is; mend it, or move it away")
