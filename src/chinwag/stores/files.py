"""Sessions as JSON files, each always complete: `ROOT/sessions/ID.json`.

    sessions/ID.json                  the session (document.py says how it looks)
    sessions/ID.part                  only while an answer streams, or after it was cut off
    sessions/.locks/ID                flock target, never unlinked; what it says is for people only
    sessions/ID.damaged-TIME.json     what was there before something was mended
    trash/ID.TIME.json                deleted sessions, kept 30 days

Invariants. An append writes first what lies beyond the end of the file, then overwrites the old
closing line, then syncs; until the sync has returned nothing is acknowledged, and a write that
fails is undone. After a failed sync the file is never trusted again: the acknowledged bytes, told
by their CRC, are written to a new file. A whole file is written under another name, synced, and
then linked (never over an existing one) or renamed; then the folder is synced. Before each append
the file must be the one we left, else `SessionConflict`. What cannot be read is copied before it
is mended. `read` writes only while this store holds the session's lock. An append costs the same
however long the session is, since per open session only an offset, a count and a CRC are kept.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import gc
import os
import re
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from chinwag.errors import (
    SessionConflict,
    SessionLocked,
    SessionNotFound,
    SessionUnreadable,
    StoreUnavailable,
    UsageError,
    nearest,
)
from chinwag.stores import document as doc
from chinwag.stores.base import PartHead, SessionStore, Stored
from chinwag.stores.disk import (
    LOCAL,
    Disk,
    Identity,
    NotOurs,
    explained,
    identity,
    make_folder,
    open_own,
    read_all,
    whoami,
    write_all,
)
from chinwag.stores.document import Document, Shape
from chinwag.talk import codec
from chinwag.talk.delta import AnyDelta
from chinwag.talk.entry import AnyEntry, AssistantSaid, new_id
from chinwag.talk.session import Birth, Header, Headline

TRASH_DAYS = 30
_ID = re.compile(r"[0-9a-z][0-9a-z-]{0,63}")
_TRASHED = re.compile(r"\.(\d{8}T\d{6})Z-\w+\.(?:json|part)")
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_NO_LOCKS = {errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS, errno.EINVAL}
_HEAD_SIZE = 4096
_TAIL_SIZE = doc.CLOSING_LIMIT + 1
_LOCK_TRIES = 5  # 10 ms apart: a reader may hold the lock for an instant while it looks at it
_KEPT_AS = {Shape.DAMAGED: "damaged", Shape.CHANGED: "outside", Shape.FOREIGN: "original"}


class _Open(msgspec.Struct, eq=False):
    """What we know of one session's file, so that an append need not read it.

    Everything before ``closing_at`` is acknowledged. ``seen`` is the file as we left it.
    ``suspect``: what lies from ``closing_at`` on is not what we left; ``unborn``: and the session
    was never acknowledged at all. ``body`` is set when the
    document has to be written anew with those lines; ``keep`` names the copy made before that.
    """

    birth: Birth
    header: bytes
    count: int
    crc: int
    closing_at: int
    closing: bytes
    seen: Identity
    fd: int = -1
    suspect: bool = False
    unborn: bool = False
    body: bytes | None = None
    keep: str = ""


class _Part(msgspec.Struct, eq=False):
    fd: int
    size: int
    named: bool = False  # whether its name in the folder is on stable storage


class FileStore(SessionStore):
    """Sessions in a folder. ``whole`` writes whole files: True, False, or None = as it fits."""

    lasting = True

    def __init__(self, root: Path, disk: Disk | None = None, *, whole: bool | None = None) -> None:
        self.root = root
        self.folder = root / "sessions"
        self.trash = root / "trash"
        self.url = f"file:{root}"
        self._disk = disk or Disk()
        self._whole = whole
        self._open: dict[str, _Open] = {}
        self._locks: dict[str, int] = {}
        self._parts: dict[str, _Part] = {}
        #: Sessions found changed since we left them, and how many entries they then had.
        self._lost: dict[str, int] = {}

    # -- writing ------------------------------------------------------------------------------

    def append(
        self, birth: Birth, entries: Sequence[AnyEntry], *, at: int, headline: Headline
    ) -> int:
        path = self._path(birth.id)
        with self._our_words(path):
            self.lock(birth.id)
            if birth.id in self._lost:
                raise _conflict(birth.id, at, self._lost[birth.id])
            state = self._state(birth.id)
            if state is None:
                if at:
                    raise _conflict(birth.id, at, 0)
                return self._create(path, birth, entries, headline)
            self._agree(path, state, birth, at)
            if entries:
                self._extend(path, state, entries, headline)
            return state.count

    def _state(self, session_id: str) -> _Open | None:
        """What is known of the session's file, read anew if need be; None when there is none."""
        if (state := self._open.get(session_id)) is None:
            try:
                document, seen = self._document(session_id)
            except SessionNotFound:
                return None
            state = self._open[session_id] = _opened(document, seen)
        return state

    def _agree(self, path: Path, state: _Open, birth: Birth, at: int) -> None:
        """Refuse a writer who believes something else than what is there."""
        if at != state.count or (at == 0 and birth != state.birth):
            raise _conflict(birth.id, at, state.count)
        if state.suspect or self._is_as_left(path, state):
            return
        found = self._adopted(birth.id, state)
        if found is not None:
            self._lost[birth.id] = found
            raise _conflict(birth.id, at, found)

    def _is_as_left(self, path: Path, state: _Open) -> bool:
        try:
            there = identity(self._disk.lstat(path))
        except FileNotFoundError:
            return False
        if there[:2] != state.seen[:2]:
            return False
        if state.fd < 0:
            state.fd = open_own(self._disk, path, os.O_RDWR)
        return identity(self._disk.fstat(state.fd)) == state.seen

    def _adopted(self, session_id: str, state: _Open) -> int | None:
        """None if the file holds what we left after all (touched, or put back); else its count."""
        self._forget(session_id)
        try:
            document, seen = self._document(session_id)
        except SessionNotFound:
            return 0
        same = document.crc == state.crc and document.count == state.count
        if not same or document.shape is not Shape.SOUND:
            return document.count
        fresh = _opened(document, seen)
        for name in ("header", "closing_at", "closing", "seen"):
            setattr(state, name, getattr(fresh, name))
        state.fd = open_own(self._disk, self._path(session_id), os.O_RDWR)
        self._open[session_id] = state
        return None

    def _extend(
        self, path: Path, state: _Open, entries: Sequence[AnyEntry], headline: Headline
    ) -> None:
        added = doc.entry_lines(entries, state.count)
        count = state.count + len(entries)
        if state.keep:
            self._keep(path, state.keep)
            state.keep = ""
        if state.suspect or state.body is not None or self._writes_whole():
            self._replace(path, state, added, count, headline)
        else:
            self._patch(path, state, added, count, headline)

    def _writes_whole(self) -> bool:
        if self._whole is None:
            self._whole = self._disk.file_system(self.folder) not in LOCAL
        return self._whole

    def _patch(
        self, path: Path, state: _Open, added: bytes, count: int, headline: Headline
    ) -> None:
        """Add lines in place: beyond the end first, then over the closing line, then sync."""
        disk, fd, old = self._disk, state.fd, len(state.closing)
        crc = doc.crc_of(added, state.crc)
        closing = doc.closing_line(headline, count, crc, least=old - len(added))
        new = added + closing
        try:
            write_all(disk, fd, new[old:], state.closing_at + old)
        except OSError as error:
            self._undo(state, closing=False, broken=error.errno == errno.EIO)
            raise
        try:
            write_all(disk, fd, new[:old], state.closing_at)
        except OSError as error:
            self._undo(state, closing=True, broken=error.errno == errno.EIO)
            raise
        try:
            disk.fdatasync(fd)
            state.seen = identity(disk.fstat(fd))
        except OSError:
            # The kernel may now call the lost pages clean: this file is not asked again.
            self._undo(state, closing=True, broken=True)
            self._replace(path, state, added, count, headline)
            return
        state.count, state.crc, state.closing = count, crc, closing
        state.closing_at += len(added)

    def _undo(self, state: _Open, *, closing: bool, broken: bool) -> None:
        """Make the file what it was. If even that fails, its tail is no longer believed."""
        try:
            if closing:
                write_all(self._disk, state.fd, state.closing, state.closing_at)
            self._disk.truncate(state.fd, state.closing_at + len(state.closing))
            state.seen = identity(self._disk.fstat(state.fd))
            state.suspect = broken
        except OSError:
            state.suspect = True

    def _replace(
        self, path: Path, state: _Open, added: bytes, count: int, headline: Headline
    ) -> None:
        """Write the session anew, with `added` at its end, and put it in the old one's place."""
        disk = self._disk
        before = self._acknowledged(path, state)
        crc = doc.crc_of(added, state.crc)
        closing = doc.closing_line(headline, count, crc)
        temp, fd = self._written(path, before + added + closing)
        try:
            seen = identity(disk.fstat(fd))
            disk.rename(temp, path)
        except OSError:
            self._drop(temp, fd)
            raise
        self._take(state, fd, seen, len(before))
        try:
            disk.sync_folder(self.folder)
        except OSError:
            state.closing = doc.closing_line(headline, state.count, state.crc)
            state.suspect = True
            raise
        state.count, state.crc, state.closing = count, crc, closing
        state.closing_at += len(added)
        state.suspect = state.unborn = False

    def _take(self, state: _Open, fd: int, seen: Identity, closing_at: int) -> None:
        """The file is another one now."""
        self._close(state.fd)
        state.fd, state.seen, state.closing_at, state.body = fd, seen, closing_at, None

    def _acknowledged(self, path: Path, state: _Open) -> bytes:
        """Header and lines as they were acknowledged. Raises SessionConflict if they are not."""
        if state.body is not None:
            return state.header + state.body
        if state.fd < 0:
            state.fd = open_own(self._disk, path, os.O_RDWR)
        before = read_all(self._disk, state.fd, 0, state.closing_at)
        body = memoryview(before)[len(state.header) :]
        if before.startswith(state.header) and doc.crc_of(body) == state.crc:
            return before
        self._lost[state.birth.id] = 0
        raise _conflict(state.birth.id, state.count, 0)

    def _create(
        self, path: Path, birth: Birth, entries: Sequence[AnyEntry], headline: Headline
    ) -> int:
        header, body = doc.header_line(birth), doc.entry_lines(entries, 0)
        crc = doc.crc_of(body)
        closing = doc.closing_line(headline, len(entries), crc)
        temp, fd = self._written(path, header + body + closing)
        try:
            seen = identity(self._disk.fstat(fd))
            self._name(temp, path)
        except OSError as error:
            self._drop(temp, fd)
            if error.errno == errno.EEXIST:
                raise _conflict(birth.id, 0, 0) from None
            raise
        state = _Open(birth, header, len(entries), crc, len(header + body), closing, seen, fd)
        try:
            self._disk.sync_folder(self.folder)
        except OSError:
            self._unborn(path, state)
            raise
        self._open[birth.id] = state
        return state.count

    def _name(self, temp: Path, path: Path) -> None:
        """Give a new file its name, never over an existing one."""
        try:
            self._disk.link(temp, path)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            with contextlib.suppress(FileNotFoundError):
                self._disk.lstat(path)
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
            self._disk.rename(temp, path)
            return
        with contextlib.suppress(OSError):  # _shed will find it if this fails
            self._disk.unlink(temp)

    def _unborn(self, path: Path, state: _Open) -> None:
        """Its name may not be safe: take it back, or remember that it is ours to write over."""
        try:
            self._disk.unlink(path)
            self._close(state.fd)
        except OSError:
            state.count, state.crc, state.closing_at = 0, 0, len(state.header)
            state.closing = doc.closing_line(Headline(), 0, 0)
            state.suspect = state.unborn = True
            self._open[state.birth.id] = state

    def _written(self, path: Path, data: bytes) -> tuple[Path, int]:
        """A new file beside `path` with `data` safely in it."""
        temp = path.with_name(f".{path.stem}.{new_id(12)}.tmp")
        fd = self._disk.open(temp, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            write_all(self._disk, fd, data, 0)
            self._disk.fsync(fd)
        except BaseException:
            self._drop(temp, fd)
            raise
        return temp, fd

    def _drop(self, temp: Path, fd: int) -> None:
        self._close(fd)
        with contextlib.suppress(OSError):
            self._disk.unlink(temp)

    def _keep(self, path: Path, kind: str) -> None:
        """Copy a file as it is before it is written over: `ID.damaged-20261120T093015Z.json`."""
        copy = path.with_name(f"{path.stem}.{kind}-{_stamp()}.json")
        source = open_own(self._disk, path, os.O_RDONLY)
        try:
            data = read_all(self._disk, source, 0, doc.SIZE_LIMIT)
        finally:
            self._close(source)
        temp, fd = self._written(path, data)
        try:
            self._disk.rename(temp, copy)
        except OSError:
            self._drop(temp, fd)
            raise
        self._close(fd)

    # -- reading ------------------------------------------------------------------------------

    def read(self, session_id: str) -> Stored:
        path = self._path(session_id)
        with self._our_words(path):
            writer = session_id in self._locks
            elsewhere = not writer and self._is_held(session_id)
            document = self._fresh(session_id, patient=elsewhere)
            if writer:
                self._mend(path, self._open[session_id], document)
            rescued = None if elsewhere else self._rescue(session_id, document, writer=writer)
            return Stored(document.birth, document.entries, rescued, document.notices)

    def _fresh(self, session_id: str, *, patient: bool) -> Document:
        """The document as it is now; what is known of the file begins anew."""
        state = self._open.get(session_id)
        if state is not None and state.suspect:
            with contextlib.suppress(SessionConflict):
                return self._believed(session_id, state)
        document, seen = self._document(session_id)
        for _ in range(3 if patient else 0):
            if document.shape is Shape.SOUND:
                break
            time.sleep(0.01)  # somebody is writing: a tail may look torn for an instant
            document, seen = self._document(session_id)
        self._forget(session_id)
        self._lost.pop(session_id, None)
        self._open[session_id] = _opened(document, seen)
        return document

    def _believed(self, session_id: str, state: _Open) -> Document:
        """What was acknowledged of a file whose tail is not what we left."""
        if state.unborn:
            raise self._not_found(session_id)
        before = self._acknowledged(self._path(session_id), state)
        return doc.parse(before + state.closing, session_id)

    def _document(self, session_id: str) -> tuple[Document, Identity]:
        fd = self._open_session(session_id)
        try:
            of = self._disk.fstat(fd)
            if of.st_size > doc.SIZE_LIMIT:
                raise SessionUnreadable(f"the file of session {session_id} is too large")
            raw = read_all(self._disk, fd, 0, doc.SIZE_LIMIT + 1)
        finally:
            self._close(fd)
        with _no_collecting():
            return doc.parse(raw, session_id), identity(of)

    def _open_session(self, session_id: str) -> int:
        path = self._path(session_id)
        try:
            try:
                return open_own(self._disk, path, os.O_RDONLY)
            except NotOurs:
                if not self._shed(session_id):
                    raise
                return open_own(self._disk, path, os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError):
            raise self._not_found(session_id) from None

    def _shed(self, session_id: str) -> bool:
        """Remove second names that a program killed while it created the session left behind."""
        if session_id not in self._locks and self._is_held(session_id):
            time.sleep(0.01)  # it is being created just now
            return True
        found = [n for n in self._names(self.folder) if _is_temp(n, session_id)]
        for name in found:
            self._disk.unlink(self.folder / name)
        return bool(found)

    def _mend(self, path: Path, state: _Open, document: Document) -> None:
        """Bring a torn or damaged file into order, its original kept. The reader has all anyway."""
        if document.shape not in {Shape.TORN, Shape.DAMAGED} or state.suspect:
            return
        with contextlib.suppress(OSError):  # left for the first append, which reports it
            if state.keep:
                self._keep(path, state.keep)
                state.keep = ""
            self._replace(path, state, b"", document.count, document.headline)

    def _rescue(self, session_id: str, document: Document, *, writer: bool) -> AssistantSaid | None:
        if session_id in self._parts:
            return None  # it is coming in right now, into our own hands
        part = self._path(session_id, ".part")
        try:
            fd = open_own(self._disk, part, os.O_RDONLY)
        except (FileNotFoundError, NotOurs):
            return None
        try:
            read = doc.read_part(read_all(self._disk, fd, 0, doc.SIZE_LIMIT))
        finally:
            self._close(fd)
        if read is None:
            return None
        rescued = doc.rescued(*read, {entry.id for entry in document.entries})
        if rescued is None and writer:
            with contextlib.suppress(OSError):
                self._disk.unlink(part)
        return rescued

    def header(self, session_id: str) -> Header:
        path = self._path(session_id)
        with self._our_words(path):
            state = self._open.get(session_id)
            if state is not None and state.suspect:
                return doc.header_of(self._fresh(session_id, patient=False), state.seen.size)
            fd = self._open_session(session_id)
            try:
                of = self._disk.fstat(fd)
                header = self._ends(fd, of.st_size, session_id)
            finally:
                self._close(fd)
            if header is not None:
                return header
            document, seen = self._document(session_id)
            return doc.header_of(document, seen.size)

    def _ends(self, fd: int, size: int, session_id: str) -> Header | None:
        """A session's line in the list from the two ends of its file; None if they do not fit."""
        head = read_all(self._disk, fd, 0, _HEAD_SIZE).partition(b"\n")[0]
        birth = doc.read_header(head, session_id)
        at = max(0, size - _TAIL_SIZE)
        closing = doc.read_closing(doc.last_line(read_all(self._disk, fd, at, _TAIL_SIZE)))
        if birth is None or closing is None:
            return None
        return Header(session_id, birth.created, closing.headline, closing.count, size)

    def headers(self) -> list[Header]:
        with self._our_words(self.folder):
            names = self._names(self.folder)
        self._sweep(names)
        ids = (name[:-5] for name in names if name.endswith(".json"))
        found = [self._listed(name) for name in ids if _ID.fullmatch(name)]
        return sorted(
            (h for h in found if h is not None),
            key=lambda h: (h.headline.updated, h.id),
            reverse=True,
        )

    def _listed(self, session_id: str) -> Header | None:
        try:
            return self.header(session_id)
        except SessionNotFound:
            return None  # deleted since the folder was listed
        except (SessionUnreadable, StoreUnavailable) as error:
            with contextlib.suppress(OSError):
                of = self._disk.lstat(self._path(session_id))
                changed = datetime.fromtimestamp(of.st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                line = Headline(updated=changed)
                return Header(session_id, "", line, 0, of.st_size, error.message)
            return Header(session_id, damaged=error.message)

    def _sweep(self, names: Sequence[str]) -> None:
        """Remove what programs that were killed while writing left behind, a day after."""
        yesterday = time.time() - 86400
        for name in names:
            if name.startswith(".") and name.endswith(".tmp"):
                with contextlib.suppress(OSError):
                    if self._disk.lstat(self.folder / name).st_mtime < yesterday:
                        self._disk.unlink(self.folder / name)

    # -- deleting -----------------------------------------------------------------------------

    def delete(self, session_id: str) -> None:
        path = self._path(session_id)
        with self._our_words(path):
            try:
                self._disk.lstat(path)
            except (FileNotFoundError, NotADirectoryError):
                raise self._not_found(session_id) from None
            was_ours = session_id in self._locks
            self.lock(session_id)
            try:
                self._to_trash(session_id)
            except OSError:
                if not was_ours:
                    self.unlock(session_id)
                raise
            self.unlock(session_id)
            self._lost.pop(session_id, None)
            self._purge()

    def _to_trash(self, session_id: str) -> None:
        make_folder(self._disk, self.trash)
        self._close_part(session_id)
        name = f"{session_id}.{_stamp()}-{new_id(4)}"
        self._disk.rename(self._path(session_id), self.trash / f"{name}.json")
        with contextlib.suppress(FileNotFoundError):
            self._disk.rename(self._path(session_id, ".part"), self.trash / f"{name}.part")
        self._forget(session_id)
        self._disk.sync_folder(self.trash)
        self._disk.sync_folder(self.folder)

    def _purge(self) -> None:
        """Let go of what has lain in the trash for 30 days."""
        oldest = f"{datetime.now(UTC) - timedelta(days=TRASH_DAYS):%Y%m%dT%H%M%S}"
        with contextlib.suppress(OSError):
            for name in self._names(self.trash):
                if (found := _TRASHED.search(name)) and found[1] < oldest:
                    self._disk.unlink(self.trash / name)

    # -- locks --------------------------------------------------------------------------------

    def lock(self, session_id: str) -> None:
        path = self._lock_path(session_id)
        if session_id in self._locks:
            return
        with self._our_words(path.parent):
            make_folder(self._disk, path.parent)
            fd = open_own(self._disk, path, os.O_RDWR | os.O_CREAT)
            try:
                self._grasp(fd, session_id)
            except BaseException:
                self._close(fd)
                raise
            self._locks[session_id] = fd

    def _grasp(self, fd: int, session_id: str) -> None:
        for last in range(_LOCK_TRIES, -1, -1):
            try:
                self._disk.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not last:
                    raise self._locked(fd, session_id) from None
                time.sleep(0.01)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
                return  # no locks on this file system: the identity check remains
            else:
                with contextlib.suppress(OSError):  # only a message; a full disk must not matter
                    self._disk.truncate(fd, 0)
                    write_all(self._disk, fd, codec.dumps(whoami()), 0)
                return

    def _locked(self, fd: int, session_id: str) -> SessionLocked:
        owner = _owner(read_all(self._disk, fd, 0, 4096))
        return SessionLocked(
            f"the session {session_id} is open elsewhere: {owner}",
            hint="leave it there first, or go on in a copy of it",
            owner=owner,
        )

    def _is_held(self, session_id: str) -> bool:
        """Whether another program has the session open for writing."""
        try:
            fd = open_own(self._disk, self._lock_path(session_id), os.O_RDONLY)
        except (OSError, NotOurs):
            return False
        try:
            self._disk.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            self._close(fd)
        return False

    def unlock(self, session_id: str) -> None:
        self._forget(session_id)
        self._close(self._locks.pop(session_id, -1))

    # -- parts --------------------------------------------------------------------------------

    def begin_part(self, session_id: str, head: PartHead) -> None:
        path = self._path(session_id, ".part")
        with self._our_words(path):
            make_folder(self._disk, self.folder)
            self.end_part(session_id)
            fd = self._disk.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
            first = doc.part_head(head)
            try:
                write_all(self._disk, fd, first, 0)
            except OSError:
                self._drop(path, fd)
                raise
            self._parts[session_id] = _Part(fd, len(first))

    def add_part(self, session_id: str, deltas: Sequence[AnyDelta], *, sync: bool) -> None:
        part = self._parts.get(session_id)
        if part is None:
            raise UsageError(f"no answer is coming in for session {session_id}")
        with self._our_words(self._path(session_id, ".part")):
            data = doc.part_lines(deltas)
            try:
                write_all(self._disk, part.fd, data, part.size)
            except OSError:
                with contextlib.suppress(OSError):
                    self._disk.truncate(part.fd, part.size)
                raise
            part.size += len(data)
            if sync:
                self._sync_part(part)

    def _sync_part(self, part: _Part) -> None:
        self._disk.fdatasync(part.fd)
        if not part.named:
            self._disk.sync_folder(self.folder)
            part.named = True

    def end_part(self, session_id: str) -> None:
        path = self._path(session_id, ".part")
        self._close_part(session_id)
        with self._our_words(path), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            self._disk.unlink(path)

    def _close_part(self, session_id: str) -> None:
        if part := self._parts.pop(session_id, None):
            self._close(part.fd)

    # -- small things -------------------------------------------------------------------------

    def close(self) -> None:
        for session_id in list(self._parts):
            self._close_part(session_id)
        for session_id in [*self._open, *self._locks]:
            self.unlock(session_id)
        self._lost.clear()

    def _forget(self, session_id: str) -> None:
        if state := self._open.pop(session_id, None):
            self._close(state.fd)

    def _close(self, fd: int) -> None:
        if fd >= 0:
            # Nothing is lost by a failing close: what matters was synced, and was told then.
            with contextlib.suppress(OSError):
                self._disk.close(fd)

    def _names(self, folder: Path) -> list[str]:
        try:
            return self._disk.listdir(folder)
        except FileNotFoundError:
            return []

    def _path(self, session_id: str, ending: str = ".json") -> Path:
        if not _ID.fullmatch(session_id):
            raise SessionNotFound(f"{session_id!r} is no session id")
        return self.folder / (session_id + ending)

    def _lock_path(self, session_id: str) -> Path:
        return self._path(session_id).parent / ".locks" / session_id

    def _not_found(self, session_id: str) -> SessionNotFound:
        names: list[str] = []
        with contextlib.suppress(OSError):
            names = [n[:-5] for n in self._names(self.folder) if n.endswith(".json")]
        near = nearest(session_id, (n for n in names if _ID.fullmatch(n)))
        return SessionNotFound(
            f"the session {session_id} is not there",
            hint=f"did you mean {', '.join(near)}?" if near else "",
            near=near,
        )

    @contextlib.contextmanager
    def _our_words(self, path: Path) -> Iterator[None]:
        try:
            yield
        except NotOurs as odd:
            raise SessionUnreadable(
                f"{path.name} is not used: {odd}", hint="move it away if it is not yours"
            ) from None
        except OSError as error:
            raise explained(error, path.parent) from error


@contextlib.contextmanager
def _no_collecting() -> Iterator[None]:
    """Spare the collector thousands of new objects, none of them garbage: a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _opened(document: Document, seen: Identity) -> _Open:
    anew = document.closing_at < 0
    return _Open(
        birth=document.birth,
        header=document.header,
        count=document.count,
        crc=document.crc,
        closing_at=document.closing_at,
        closing=document.closing,
        seen=seen,
        body=document.body if anew else None,
        keep=_KEPT_AS.get(document.shape, ""),
    )


def _conflict(session_id: str, expected: int, found: int) -> SessionConflict:
    return SessionConflict(
        f"the session {session_id} was changed by something else: "
        f"{expected} entries were expected, {found} are there",
        hint="nothing is lost: go on in a copy, or open the session anew",
        expected=expected,
        found=found,
    )


def _owner(raw: bytes) -> str:
    """Who holds a lock, as a part of a sentence; whatever the lock file may say."""
    try:
        who = codec.loads(raw)
    except ValueError:
        who = {}
    if not isinstance(who, dict) or not who.get("pid"):
        return "in another program"
    tty = f", terminal {who['tty']}" if who.get("tty") else ""
    return f"process {who['pid']} on {who.get('host')}{tty}, since {who.get('since')}"


def _is_temp(name: str, session_id: str) -> bool:
    return name.startswith(f".{session_id}.") and name.endswith(".tmp")


def _stamp() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
