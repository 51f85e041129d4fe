"""What was typed and not sent: `FOLDER/ID.json` for a session, `FOLDER/_new.MARK.json` before one.

    drafts/ID.json               the draft of that session
    drafts/_new.MARK.json        of a program that has no session yet; MARK is that program's own
    drafts/_discarded.json       the last 20 that were put aside, newest first
    drafts/.locks/…              which of the `_new` belong to a program that still runs

Invariants: a draft is written whole (whole.py), 0600: a crash leaves the old or the new one.
`take` leaves it where it is: it goes when an empty one is kept in its place, that is, when it was
sent. Two programs never share a `_new`; those of programs that have ended are taken by the next one
that asks. What cannot be read is put aside under another name, never overwritten and never an
error: a damaged draft must not keep anybody from typing.

Blocks, as a store does; the caller calls it off the loop and not at every key.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from chinwag.errors import SessionLocked, StoreError
from chinwag.stores.blobs import Blobs, part_put_back, part_taken_out
from chinwag.stores.disk import Disk, NotOurs, in_words, is_there, make_folder
from chinwag.stores.locks import Locks
from chinwag.stores.names import is_id, path_of, stamp
from chinwag.stores.whole import names_in, put, read_own
from chinwag.talk import codec
from chinwag.talk.entry import new_id, now
from chinwag.talk.unsent import Unsent as Draft

KEPT = 20  # discarded drafts
KEPT_SIZE = 4 << 20  # bytes of them
SIZE_LIMIT = 64 << 20
_NEW = "_new."
_DISCARDED = "_discarded"
_T = TypeVar("_T")


class Drafts:
    """The drafts of ``folder``. An empty session id means: no session yet."""

    def __init__(self, folder: Path, disk: Disk | None = None) -> None:
        self._folder = folder
        self._disk = disk or Disk()
        self._locks = Locks(folder / ".locks", self._disk)
        self._blobs = Blobs(folder.parent / "blobs", self._disk)
        self._mark = ""  # of our own `_new`

    def keep(self, session_id: str, draft: Draft) -> None:
        """Keep it in the place of the one before; an empty one takes that away.

        Raises StoreUnavailable.
        """
        path = self._path(session_id)
        with in_words(path):
            if not draft:
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    self._disk.unlink(path)
                return
            make_folder(self._disk, self._folder)
            put(self._disk, path, codec.dumps({"format": 1, **self._plain(draft)}))

    def take(self, session_id: str) -> Draft | None:
        """The draft that was kept, None if there is none. It stays until the next `keep`."""
        if session_id:
            return self._read(self._path(session_id))
        return self._take_new()

    def discard(self, draft: Draft) -> None:
        """Put it aside, to be recalled; the same text only once. Raises StoreUnavailable."""
        if draft:
            self._put_aside(lambda others: [draft, *(d for d in others if d.text != draft.text)])

    def forget(self, texts: Collection[str]) -> None:
        """Those with these texts were never put aside. Raises StoreUnavailable."""
        if any(draft.text in texts for draft in self.recent()):
            self._put_aside(lambda others: [d for d in others if d.text not in texts])

    def _put_aside(self, change: Callable[[list[Draft]], list[Draft]]) -> None:
        path = self._folder / f"{_DISCARDED}.json"
        with in_words(path), self._alone():
            make_folder(self._disk, self._folder)
            lines: list[bytes] = []
            for one in change(self.recent())[:KEPT]:
                lines.append(codec.dumps(self._plain(one)))
                if sum(map(len, lines)) > KEPT_SIZE and len(lines) > 1:
                    lines.pop()
                    break
            put(self._disk, path, b'{"format":1,"discarded":[\n' + b",\n".join(lines) + b"\n]}\n")

    def recent(self) -> list[Draft]:
        """Those that were put aside, newest first."""
        found = self._loaded(self._folder / f"{_DISCARDED}.json", self._many)
        return found or []

    def close(self) -> None:
        """Let go of the locks; what was kept stays."""
        if self._mark and not is_there(self._disk, self._new_path(self._mark)):
            with contextlib.suppress(OSError):
                self._drop(self._mark)
        self._locks.close()

    # -- before there is a session --------------------------------------------------------------

    def _take_new(self) -> Draft | None:
        """Our own, else the newest whose program has ended; older ones are put aside."""
        if self._mark:
            return self._read(self._new_path(self._mark))
        taken: Draft | None = None
        for mark in self._left_behind():
            draft = self._read(self._new_path(mark))
            if draft is not None and taken is None:
                taken, self._mark = draft, mark
                continue
            with contextlib.suppress(StoreError, OSError):
                self.discard(draft or Draft())
                self._drop(mark)
        return taken

    def _left_behind(self) -> list[str]:
        """Marks of programs that have ended, newest first; now they are ours."""
        found: list[tuple[int, str]] = []
        with contextlib.suppress(OSError):
            for name in names_in(self._disk, self._folder):
                mark = name[len(_NEW) : -len(".json")]
                if name.startswith(_NEW) and name.endswith(".json") and is_id(mark):
                    with contextlib.suppress(OSError, StoreError):
                        self._locks.lock(mark)
                        of = self._disk.lstat(self._folder / name)
                        found.append((of.st_mtime_ns, mark))
        return [mark for _, mark in sorted(found, reverse=True)]

    def _drop(self, mark: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._disk.unlink(self._new_path(mark))
        # Nobody else comes upon this lock again: a mark is used by one program.
        with contextlib.suppress(FileNotFoundError):
            self._disk.unlink(self._folder / ".locks" / mark)
        self._locks.unlock(mark)

    def _new_path(self, mark: str) -> Path:
        return self._folder / f"{_NEW}{mark}.json"

    def _path(self, session_id: str) -> Path:
        if session_id:
            return path_of(self._folder, session_id, ".json")
        if not self._mark:
            self._mark = new_id(8)
            with contextlib.suppress(StoreError):  # then another may take it over: it is kept
                self._locks.lock(self._mark)
        return self._new_path(self._mark)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """While nobody else puts one aside; but a lock that stays taken stops nobody."""
        with contextlib.suppress(SessionLocked):
            self._locks.lock("discarded")
        try:
            yield
        finally:
            self._locks.unlock("discarded")

    # -- JSON -----------------------------------------------------------------------------------

    def _plain(self, draft: Draft) -> dict[str, Any]:
        parts = tuple(part_taken_out(part, self._blobs.put) for part in draft.attachments)
        lean = msgspec.structs.replace(draft, attachments=parts, at=draft.at or now())
        plain: dict[str, Any] = msgspec.to_builtins(lean)
        return plain

    def _read(self, path: Path) -> Draft | None:
        return self._loaded(path, self._one)

    def _one(self, plain: Any) -> Draft:
        draft = msgspec.convert(plain, Draft)
        if not draft:
            raise ValueError("none is ever kept that says nothing")
        parts = tuple(part_put_back(part, self._blobs.get)[0] for part in draft.attachments)
        cursor = min(max(0, draft.cursor), len(draft.text))
        return msgspec.structs.replace(draft, attachments=parts, cursor=cursor)

    def _many(self, plain: Any) -> list[Draft]:
        return [self._one(one) for one in msgspec.convert(plain["discarded"], list[Any])[:KEPT]]

    def _loaded(self, path: Path, read: Callable[[Any], _T]) -> _T | None:
        """What a file holds; None, and the file put aside, if it cannot be read."""
        try:
            raw = read_own(self._disk, path, SIZE_LIMIT + 1)
        except (OSError, NotOurs):
            return None
        try:
            if len(raw) > SIZE_LIMIT:
                raise ValueError("too large")
            return read(codec.loads(raw))
        except (ValueError, TypeError, KeyError, MemoryError):
            with contextlib.suppress(OSError):
                aside = path.with_name(f"{path.stem}.damaged-{stamp()}-{new_id(4)}")
                self._disk.rename(path, aside)
            return None
