"""Large content under its SHA-256: `FOLDER/ab/cdef…`, 0600; and what it stands for in an entry.

Invariants: a blob is written once, whole, and is safe when `put` returns; its content is checked
whenever it is read, and what no longer fits its name is put aside, never overwritten. An entry that
is stored carries at most INLINE characters of an attachment: more goes into a blob, and the entry
says `"blob":"HASH;base64"` (or `;data`, `;text`) in its place. Whoever reads the session gets it
back as it was. Where the blob is gone, a sentence stands in its place: the session stays readable.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from chinwag.errors import SessionNotFound, SessionUnreadable, StoreError
from chinwag.stores.disk import Disk, NotOurs, in_words, is_there, make_folder
from chinwag.stores.names import stamp
from chinwag.stores.whole import names_in, put, read_own
from chinwag.talk.entry import AnyEntry, AssistantSaid, UserSaid, new_id
from chinwag.talk.message import AnyPart, File, Image, Text

INLINE = 256 * 1024
SIZE_LIMIT = 1 << 30
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SAID = re.compile(rb'"blob":"([0-9a-f;,a-z]+)"')


class Blobs:
    """The blobs of a store. Errors are of StoreError's family."""

    def __init__(self, folder: Path, disk: Disk | None = None) -> None:
        self.folder = folder
        self._disk = disk or Disk()
        self._safe: set[str] = set()  # kept by us, or found whole, since we began

    def put(self, data: bytes) -> str:
        """Keep ``data``; returns its SHA-256 in hex. Raises StoreUnavailable."""
        digest = _digest(data)
        path = self._path(digest)
        with in_words(path):
            if digest not in self._safe or not is_there(self._disk, path):
                self._keep(path, digest, data)
                self._safe.add(digest)
        return digest

    def _keep(self, path: Path, digest: str, data: bytes) -> None:
        try:
            found = read_own(self._disk, path, len(data) + 1)
        except FileNotFoundError:
            make_folder(self._disk, path.parent)
        except NotOurs:
            self._aside(path)
        else:
            if _digest(found) == digest:
                self._disk.touch(path)  # wanted again: not to be taken for one that nobody needs
                self._disk.sync_folder(path.parent)  # its name may be younger than the last sync
                return
            self._aside(path)
        put(self._disk, path, data)

    def _aside(self, path: Path) -> None:
        """What bears the name and is not what it says is kept, under another one."""
        self._disk.rename(path, path.with_name(f"{path.name}.damaged-{stamp()}-{new_id(4)}"))

    def get(self, digest: str) -> bytes:
        """Raises SessionNotFound, SessionUnreadable (its hash is another now)."""
        path = self._path(digest)
        with in_words(path):
            try:
                data = read_own(self._disk, path, SIZE_LIMIT)
            except (FileNotFoundError, NotADirectoryError):
                raise SessionNotFound(
                    f"the content {digest[:12]}… is not there",
                    hint="it belongs into the folder blobs beside the sessions",
                ) from None
        if _digest(data) != digest:
            raise SessionUnreadable(
                f"the content {digest[:12]}… has been damaged",
                hint="its file was left as it is, in the folder blobs beside the sessions",
            )
        return data

    def _path(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise SessionNotFound(f"{digest[:80]!r} names no content", hint="a name is a SHA-256")
        return self.folder / digest[:2] / digest[2:]

    def remove(self, digests: Iterable[str]) -> None:
        """Remove these, at once. Harmless where one is not there. Raises OSError."""
        for digest in digests:
            with contextlib.suppress(FileNotFoundError):
                self._disk.unlink(self._path(digest))
            self._safe.discard(digest)

    def let_go(self, needed: set[str], *, older: float = 1.0) -> int:
        """Remove blobs nobody needs, untouched for ``older`` days; how many. Raises OSError."""
        oldest, gone = time.time() - older * 86400, 0
        for folder in names_in(self._disk, self.folder):
            if len(folder) != 2:
                continue
            for name in names_in(self._disk, self.folder / folder):
                path = self.folder / folder / name
                if not _DIGEST.fullmatch(folder + name) or folder + name in needed:
                    continue
                if self._disk.lstat(path).st_mtime < oldest:
                    self._disk.unlink(path)
                    self._safe.discard(folder + name)
                    gone += 1
        return gone


def _digest(data: bytes) -> str:
    import hashlib  # a start without attachments does without it

    return hashlib.sha256(data).hexdigest()


def named_in(raw: bytes) -> set[str]:
    """Every digest that a document, as bytes, names."""
    return {
        piece.partition(";")[0] for said in _SAID.findall(raw) for piece in said.decode().split(",")
    }


# -- entries: out on the way to the medium, back on the way in -------------------------------------


def taken_out(entries: Sequence[AnyEntry], put: Callable[[bytes], str]) -> Sequence[AnyEntry]:
    """The same entries with large attachments put into blobs."""
    if not any(_is_large(part) for entry in entries for part in _parts(entry)):
        return entries
    return [_changed(entry, lambda part: part_taken_out(part, put)) for entry in entries]


def put_back(
    entries: Iterable[AnyEntry], get: Callable[[str], bytes]
) -> tuple[tuple[AnyEntry, ...], tuple[str, ...]]:
    """The entries as they were, and a sentence for each attachment that is gone."""
    notices: list[str] = []

    def back(part: AnyPart) -> AnyPart:
        found, notice = part_put_back(part, get)
        if notice:
            notices.append(notice)
        return found

    return tuple(_changed(entry, back) for entry in entries), tuple(notices)


def part_put_back(part: AnyPart, get: Callable[[str], bytes]) -> tuple[AnyPart, str]:
    """One part as it was, or what stands in its place, and the sentence that says so."""
    if not (isinstance(part, Image | File) and ";" in part.blob):
        return part, ""
    try:
        return _in(part, get), ""
    except (StoreError, ValueError) as error:
        what = f"the attachment {part.name}" if part.name else "an attachment"
        why = error.message if isinstance(error, StoreError) else "it cannot be read"
        return Text(f"[{what} is missing]"), f"{what} is missing: {why}"


def _parts(entry: AnyEntry) -> tuple[AnyPart, ...]:
    return entry.parts if isinstance(entry, UserSaid | AssistantSaid) else ()


def _changed(entry: AnyEntry, change: Callable[[AnyPart], AnyPart]) -> AnyEntry:
    if not isinstance(entry, UserSaid | AssistantSaid):
        return entry
    if not any(isinstance(part, Image | File) for part in entry.parts):
        return entry
    return msgspec.structs.replace(entry, parts=tuple(change(part) for part in entry.parts))


def _is_large(part: AnyPart) -> bool:
    if not isinstance(part, Image | File):
        return False
    return len(part.data) > INLINE or (isinstance(part, File) and len(part.text) > INLINE)


def part_taken_out(part: AnyPart, put: Callable[[bytes], str]) -> AnyPart:
    """One part, with what is large put into blobs."""
    if not _is_large(part) or not isinstance(part, Image | File):
        return part
    names = [part.blob] if part.blob else []
    if len(part.data) > INLINE:
        raw = _plain_base64(part.data)
        names.append(f"{put(_bytes(part.data))};data" if raw is None else f"{put(raw)};base64")
        part = msgspec.structs.replace(part, data="")
    if isinstance(part, File) and len(part.text) > INLINE:
        names.append(f"{put(_bytes(part.text))};text")
        part = msgspec.structs.replace(part, text="")
    return msgspec.structs.replace(part, blob=",".join(names))


def _in(part: Image | File, get: Callable[[str], bytes]) -> AnyPart:
    own: list[str] = []
    for name in part.blob.split(","):
        digest, _, how = name.partition(";")
        match how:
            case "":
                own.append(digest)
            case "base64":
                part = msgspec.structs.replace(part, data=_base64(get(digest)))
            case "data":
                part = msgspec.structs.replace(part, data=get(digest).decode())
            case "text" if isinstance(part, File):
                part = msgspec.structs.replace(part, text=get(digest).decode())
            case _:
                raise ValueError(how)
    return msgspec.structs.replace(part, blob=",".join(own))


def _base64(raw: bytes) -> str:
    import binascii

    return binascii.b2a_base64(raw, newline=False).decode()


def _plain_base64(data: str) -> bytes | None:
    """What ``data`` encodes, if it is the one encoding of it that we would make again."""
    import binascii

    try:
        raw = binascii.a2b_base64(data, strict_mode=True)
    except ValueError:
        return None
    return raw if _base64(raw) == data else None


def _bytes(text: str) -> bytes:
    """UTF-8; lone surrogates become U+FFFD, as in every line."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
