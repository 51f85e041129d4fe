"""Sessions as JSON files, each always complete: `ROOT/sessions/ID.json`.

    sessions/ID.json                  the session (document.py says how it looks)
    sessions/ID.part                  while an answer streams, or after it was cut off (parts.py)
    sessions/.locks/ID                who writes it (locks.py)
    sessions/.listing                 what a list needs to know of files at rest (listing.py)
    sessions/ID.damaged-TIME.json     what was there before something was mended
    sessions/ID.cut-TIME.txt          the end of an unfinished write, kept for 30 days
    trash/ID.TIME-MARK.json           deleted sessions, kept 30 days (trash.py)
    blobs/ab/cd…                      attachments over 256 KB, by content (blobs.py)

Invariants. An append writes first what lies beyond the end of the file, then overwrites the old
closing line, then syncs; until the sync has returned nothing is acknowledged, and a write that
fails is undone. After a failed sync the file is never trusted again: the acknowledged bytes, told
by their CRC, are written to a new file. A whole file is written as whole.py says. Before each
append the file must be the one we left, else `SessionConflict`. What cannot be read is copied
before it is mended. `read` writes only while this store holds the session's lock. An append costs
the same however long the session is, since per open session only an offset, a count and a CRC are
kept.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from chinwag.errors import SessionConflict, SessionNotFound, SessionUnreadable, StoreError
from chinwag.stores import blobs as attachments
from chinwag.stores import document as doc
from chinwag.stores import part_form
from chinwag.stores.base import TRASH_DAYS, PartHead, SessionStore, Stored, Trashed, conflict
from chinwag.stores.blobs import Blobs
from chinwag.stores.disk import Disk, NotOurs, in_words, is_there, make_folder, open_to
from chinwag.stores.document import Document, Shape
from chinwag.stores.listing import Listing, scanned
from chinwag.stores.locks import Locks
from chinwag.stores.names import path_of
from chinwag.stores.parts import Parts
from chinwag.stores.reading import Reader, buried, within
from chinwag.stores.trash import Trash
from chinwag.stores.whole import names_in, read_own, sweep
from chinwag.stores.writing import State, Writer, state_of
from chinwag.talk.delta import AnyDelta
from chinwag.talk.entry import AnyEntry, AssistantSaid
from chinwag.talk.session import Birth, Header, Headline


class FileStore(SessionStore):
    """Sessions in a folder. ``whole`` writes whole files: True, False, or None = as it fits."""

    lasting = True

    def __init__(self, root: Path, disk: Disk | None = None, *, whole: bool | None = None) -> None:
        self.root = root
        self.folder = root / "sessions"
        self.trash = root / "trash"
        self.url = f"file:{root}"
        self._disk = disk or Disk()
        self._locks = Locks(self.folder / ".locks", self._disk)
        self._parts = Parts(self.folder, self._disk)
        self._trash = Trash(self.trash, self._disk)
        self._listing = Listing(self.folder / ".listing", self._disk)
        self._blobs = Blobs(root / "blobs", self._disk)
        self._reader = Reader(self.folder, self._disk, self._locks)
        self._writer = Writer(self.folder, self._disk, whole=whole)
        self._open: dict[str, State] = {}
        #: Sessions found changed since we left them, and how many entries they then had.
        self._lost: dict[str, int] = {}
        self._looked = False  # whether the folder's mode has been looked at

    # -- writing ------------------------------------------------------------------------------

    def append(
        self, birth: Birth, entries: Sequence[AnyEntry], *, at: int, headline: Headline
    ) -> int:
        path = self._path(birth.id)
        with in_words(path):
            self._locks.lock(birth.id)
            if birth.id in self._lost:
                raise conflict(birth.id, at, self._lost[birth.id])
            state = self._state(birth.id)
            if state is None and at:
                raise conflict(birth.id, at, 0)
            if state is not None:
                self._agree(state, birth, at)
            lean = attachments.taken_out(entries, self._blobs.put)
            if state is None:
                return self._create(birth, lean, headline)
            if entries:
                self._extend(state, lean, headline)
            return state.count

    def _state(self, session_id: str) -> State | None:
        """What is known of the session's file, read anew if need be; None when there is none."""
        if (state := self._open.get(session_id)) is None:
            try:
                document, seen = self._reader.document(session_id)
            except SessionNotFound:
                return None
            state = self._open[session_id] = state_of(document, seen)
        return state

    def _agree(self, state: State, birth: Birth, at: int) -> None:
        """Refuse a writer who believes something else than what is there."""
        if at != state.count or (at == 0 and birth != state.birth):
            raise conflict(birth.id, at, state.count)
        if state.suspect or self._writer.is_as_left(state):
            return
        found = self._adopted(birth.id, state)
        if found is not None:
            self._lost[birth.id] = found
            raise conflict(birth.id, at, found)

    def _adopted(self, session_id: str, state: State) -> int | None:
        """None if the file holds what we left after all (touched, or put back); else its count."""
        self._forget(session_id)
        try:
            document, seen = self._reader.document(session_id)
        except SessionNotFound:
            return 0
        except SessionUnreadable:
            self._lost[session_id] = 0
            raise
        theirs = (document.header, document.count, document.crc)
        same = theirs == (state.header, state.count, state.crc)
        if not same or document.shape is not Shape.SOUND:
            return document.count
        fresh = state_of(document, seen)
        for name in ("closing_at", "closing", "seen"):
            setattr(state, name, getattr(fresh, name))
        self._open[session_id] = state
        return None if self._writer.is_as_left(state) else document.count

    def _extend(self, state: State, entries: Sequence[AnyEntry], headline: Headline) -> None:
        try:
            self._writer.extend(state, entries, headline)
        except SessionConflict as found:
            self._lost[state.birth.id] = found.found
            raise

    def _create(self, birth: Birth, entries: Sequence[AnyEntry], headline: Headline) -> int:
        make_folder(self._disk, self.folder)
        try:
            state, error = self._writer.create(birth, entries, headline)
        except FileExistsError:
            raise conflict(birth.id, 0, 0) from None
        if error is None or state.suspect:
            self._open[birth.id] = state
        if error is not None:
            raise error
        return state.count

    # -- reading ------------------------------------------------------------------------------

    def read(self, session_id: str) -> Stored:
        with in_words(self._path(session_id)):
            writer = session_id in self._locks
            elsewhere = not writer and self.holder(session_id) != ""
            document = self._fresh(session_id, patient=elsewhere)
            if writer:
                self._mend(self._open[session_id], document)
            rescued = None if elsewhere else self._rescue(session_id, document, writer=writer)
        entries, missing = document.entries, tuple[str, ...]()
        if b'"blob":"' in document.body:
            entries, missing = attachments.put_back(entries, self._blobs.get)
        notices = (*document.notices, *missing, *self._looseness())
        return Stored(document.birth, entries, rescued, notices)

    def _fresh(self, session_id: str, *, patient: bool) -> Document:
        """The document as it is now; what is known of the file begins anew."""
        state = self._open.get(session_id)
        if state is not None and state.suspect:
            with contextlib.suppress(SessionConflict):
                return self._believed(session_id, state)
        document, seen = self._reader.settled(session_id, patient=patient)
        self._forget(session_id)
        self._lost.pop(session_id, None)
        self._open[session_id] = state_of(document, seen)
        return document

    def _believed(self, session_id: str, state: State) -> Document:
        """What was acknowledged of a file whose tail is not what we left."""
        if state.unborn:
            raise self._reader.missing(session_id)
        before = self._writer.acknowledged(state)
        return doc.parse(before + state.closing, session_id)

    def _mend(self, state: State, document: Document) -> None:
        """Bring a torn or damaged file into order, its original kept. The reader has all anyway."""
        if document.shape in {Shape.TORN, Shape.DAMAGED} and not state.suspect:
            with contextlib.suppress(OSError):  # left for the first append, which reports it
                self._writer.mend(state, document)

    def _rescue(self, session_id: str, document: Document, *, writer: bool) -> AssistantSaid | None:
        if session_id in self._parts:
            return None  # it is coming in right now, into our own hands
        found = self._parts.found(session_id)
        if found is None:
            return None
        rescued = part_form.rescued(*found, {entry.id for entry in document.entries})
        if rescued is None and writer:
            with contextlib.suppress(StoreError):
                self._parts.end(session_id)
        return rescued

    def span(
        self, session_id: str, after: int, upto: int | None = None
    ) -> tuple[tuple[AnyEntry, ...], int]:
        with in_words(self._path(session_id)):
            state = self._open.get(session_id)
            if state is not None and state.suspect:
                believed = self._fresh(session_id, patient=False).entries
                entries, count = within(believed, after, upto)
            else:
                entries, count = self._reader.span(session_id, after, upto)
        return attachments.put_back(entries, self._blobs.get)[0], count

    def header(self, session_id: str) -> Header:
        with in_words(self._path(session_id)):
            state = self._open.get(session_id)
            if state is not None and state.suspect:
                return doc.header_of(self._fresh(session_id, patient=False), state.seen.size)
            return self._reader.header(session_id)

    def headers(self) -> list[Header]:
        for name, state in list(self._open.items()):
            if state.unborn and self._writer.unbear(state):
                self._forget(name)  # what could not be taken back then could be now
        with in_words(self.folder):
            files = scanned(self._disk, self.folder)
        self._sweep(list(files))
        doubtful = [name for name, state in self._open.items() if state.suspect]
        return self._listing.headers(files, self._listed, doubtful)

    def _listed(self, session_id: str) -> Header | None:
        state = self._open.get(session_id)
        if state is not None and state.suspect:
            try:
                return self.header(session_id)
            except SessionNotFound:
                return None
            except StoreError:
                pass  # then as the file is
        return self._reader.listed(session_id)

    def _sweep(self, names: Sequence[str]) -> None:
        """Remove what programs that were killed while writing left behind, a day after."""
        temps = (n for n in names if n.startswith(".") and n.endswith(".tmp"))
        sweep(self._disk, self.folder, temps)
        cuts = (n for n in names if ".cut-" in n and n.endswith(".txt"))
        sweep(self._disk, self.folder, cuts, days=TRASH_DAYS)

    def _looseness(self) -> tuple[str, ...]:
        """One notice, once, if other accounts can look into our folders."""
        if self._looked:
            return ()
        self._looked = True
        inner = (self.folder, self.trash, self._blobs.folder)
        loose = [f for f in inner if open_to(self._disk, f, 0o077)]
        if open_to(self._disk, self.root, 0o022):
            loose.insert(0, self.root)
        if not loose:
            return ()
        names = " ".join(map(str, loose))
        return (f"other accounts of this machine can look into {names}: chmod 700 {names}",)

    # -- the trash ----------------------------------------------------------------------------

    def delete(self, session_id: str) -> None:
        path = self._path(session_id)
        with in_words(path):
            if not is_there(self._disk, path):
                raise self._reader.missing(session_id)
            with self._for_us(session_id):
                self._to_trash(session_id)
        self.unlock(session_id)
        self._lost.pop(session_id, None)
        with contextlib.suppress(OSError):
            self._trash.empty(TRASH_DAYS)

    def _to_trash(self, session_id: str) -> None:
        self._settle(session_id)
        self._parts.leave(session_id)
        names = names_in(self._disk, self.folder)
        beside = [n[len(session_id) :] for n in names if n.startswith(f"{session_id}.")]
        self._trash.take(session_id, self.folder, beside)

    def _settle(self, session_id: str) -> None:
        """What nobody was told of does not go along."""
        state = self._open.get(session_id)
        if state is not None and state.suspect:
            with contextlib.suppress(SessionConflict):  # somebody else wrote it: then as it is
                document = self._believed(session_id, state)
                self._writer.replace(state, b"", document.count, document.headline)

    def trashed(self) -> list[Trashed]:
        with in_words(self.trash):
            gone = self._trash.listed()
        return [
            Trashed(
                buried(self._disk, self._trash.path(one), one.session_id),
                f"{one.at:%Y-%m-%dT%H:%M:%S}Z",
            )
            for one in gone
        ]

    def restore(self, session_id: str) -> None:
        path = self._path(session_id)
        with in_words(path):
            gone = next((g for g in self._trash.listed() if g.session_id == session_id), None)
            if gone is None:
                raise SessionNotFound(
                    f"no session {session_id} is in the trash",
                    hint="it was never deleted, or too long ago",
                )
            with self._for_us(session_id):
                if is_there(self._disk, path):
                    raise SessionConflict(
                        f"there is a session {session_id} already", hint="delete that one first"
                    )
                make_folder(self._disk, self.folder)
                self._trash.bring_back(gone, self.folder)
                self._forget(session_id)

    def erase(self, session_id: str) -> None:
        path, bare = self._path(session_id), f"{session_id}."
        with in_words(path):
            files = [self.folder / name for name in names_in(self._disk, self.folder)]
            files += [self.trash / name for name in names_in(self._disk, self.trash)]
            files = [file for file in files if file.name.removeprefix(".").startswith(bare)]
            if not files:
                return
            with self._for_us(session_id):
                self._parts.leave(session_id)
                self._forget(session_id)
                self._remove(files)
        self._lost.pop(session_id, None)

    def _remove(self, files: list[Path]) -> None:
        """Remove files of a session, and the content that nothing else names."""
        named: set[str] = set()
        for file in files:
            with contextlib.suppress(FileNotFoundError, NotOurs):
                named |= attachments.named_in(read_own(self._disk, file, doc.SIZE_LIMIT))
        for file in files:
            with contextlib.suppress(FileNotFoundError):
                self._disk.unlink(file)
        self._disk.sync_folder(self.folder)
        if named:
            self._blobs.remove(named - self._needed())

    def prune(self, days: float = TRASH_DAYS) -> int:
        with in_words(self.trash):
            sessions = self._trash.empty(days)
            if names_in(self._disk, self._blobs.folder):
                self._blobs.let_go(self._needed())
        return sessions

    def _needed(self) -> set[str]:
        """The content that any session names, deleted ones and drafts included."""
        needed: set[str] = set()
        for folder in (self.folder, self.trash, self.root / "drafts"):
            for name in names_in(self._disk, folder):
                with contextlib.suppress(FileNotFoundError, NotOurs):
                    needed |= attachments.named_in(
                        read_own(self._disk, folder / name, doc.SIZE_LIMIT)
                    )
        return needed

    @contextlib.contextmanager
    def _for_us(self, session_id: str) -> Iterator[None]:
        """Holding the session's lock, if only for as long as this takes."""
        was_ours = session_id in self._locks
        self._locks.lock(session_id)
        try:
            yield
        finally:
            if not was_ours:
                self.unlock(session_id)

    # -- blobs, locks and parts ---------------------------------------------------------------

    def put_blob(self, data: bytes) -> str:
        return self._blobs.put(data)

    def blob(self, digest: str) -> bytes:
        return self._blobs.get(digest)

    def holder(self, session_id: str) -> str:
        return self._locks.holder(session_id)

    def writers(self) -> list[tuple[str, str]]:
        return self._locks.taken()

    def meeting(self, session_id: str) -> Path:
        return self._locks.meeting(session_id)

    def lock(self, session_id: str) -> None:
        self._locks.lock(session_id)

    def unlock(self, session_id: str) -> None:
        self._forget(session_id)
        self._locks.unlock(session_id)

    def begin_part(self, session_id: str, head: PartHead) -> None:
        self._parts.begin(session_id, head)

    def add_part(self, session_id: str, deltas: Sequence[AnyDelta], *, sync: bool) -> None:
        self._parts.add(session_id, deltas, sync=sync)

    def end_part(self, session_id: str) -> None:
        self._parts.end(session_id)

    def overheard(
        self, session_id: str, since: int
    ) -> tuple[PartHead, tuple[AnyDelta, ...]] | None:
        with in_words(self._path(session_id)):
            return self._parts.overheard(session_id, since)

    def close(self) -> None:
        self._parts.close()
        for session_id in [*self._open, *self._locks.held()]:
            self.unlock(session_id)
        self._lost.clear()

    def _forget(self, session_id: str) -> None:
        if state := self._open.pop(session_id, None):
            self._writer.left(state)

    def _path(self, session_id: str) -> Path:
        return path_of(self.folder, session_id, ".json")
