"""The session document: one JSON file that is also lines, and what to make of a broken one. Pure.

    {"format":1,"id":"20261120-093015-k3f9q2","created":"…","messages":[
    {"n":1,"role":"user","content":"hello",…}
    ,{"n":2,"role":"assistant","content":"hi",…}
    ],"meta":{"title":"…","count":2,"crc":"9a0b1c2d","updated":"…"}}

Invariants: the header line never changes. An entry is one line and is never rewritten, byte for
byte, so keys we do not know survive. The comma *leads*: an entry that was acknowledged shares no
line end with bytes written later. What changes sits in the closing line, at most 4 KB, so that an
append writes its entry and the closing line and nothing else. `crc` is the CRC-32 of every byte
between header and closing line.

Reading trusts nothing: an entry's number is its place; a place whose entry cannot be read holds a
note, so that later places stay true. Only a tail which no reader was ever told of is cut, and its
bytes are handed on to be kept. A name that comes twice in one object makes the line unreadable,
unless the CRC says that the line is as we wrote it. Something that is no session raises
`SessionUnreadable`; it is never an empty session.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, Self

import msgspec

from chinwag.errors import SessionUnreadable
from chinwag.talk import codec
from chinwag.talk.entry import AnyEntry, Noted
from chinwag.talk.session import Birth, Header, Headline, Session, fold_all

CLOSING_LIMIT = 4096
#: More missing entries in a row than this are taken for a lie of the file.
GAP_LIMIT = 10_000
SIZE_LIMIT = 1 << 30

_OPENING = b'"messages":['
_CLOSING = b'],"meta":'
_BLANK = re.compile(rb"\s*(?:\n|\Z)")
_STRICT_SIZE = 1 << 20  # longer lines are not worth what a second look at them costs
_IMPORT = "if another program made it, bring it in with /load PATH"


class Shape(StrEnum):
    """What a document turned out to be."""

    SOUND = "sound"
    TORN = "torn"  # a write was cut short; nobody had been told it was saved
    CHANGED = "changed"  # every line can be read, but somebody else wrote some of them
    DAMAGED = "damaged"  # lines in the middle cannot be read
    FOREIGN = "foreign"  # our data in another layout


class Document(msgspec.Struct, frozen=True):
    """A document as read. ``header`` and ``body`` are the bytes a rewrite would begin with.

    ``closing_at`` is where the closing line begins in the file that was read, -1 when that file
    cannot be added to as it is and has to be written anew. ``cut`` is the end of the file that was
    left out since it is torn.
    """

    shape: Shape
    birth: Birth
    headline: Headline
    entries: tuple[AnyEntry, ...]
    header: bytes
    body: bytes
    crc: int
    closing_at: int = -1
    closing: bytes = b""
    cut: bytes = b""
    notices: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        return len(self.entries)


class Closing(msgspec.Struct, frozen=True):
    """What a closing line says. Nothing in it is believed without looking."""

    headline: Headline
    count: int
    crc: int


# -- writing ------------------------------------------------------------------------------------


def header_line(birth: Birth) -> bytes:
    plain = {"format": codec.FORMAT, **msgspec.to_builtins(birth)}
    return codec.dumps(plain)[:-1] + b"," + _OPENING + b"\n"


def entry_lines(entries: Sequence[AnyEntry], at: int) -> bytes:
    """Entries as numbers at+1…, one per line, every one but number 1 after a comma."""
    return b"".join(
        (b"," if n > 1 else b"") + codec.encode(entry, n) + b"\n"
        for n, entry in enumerate(entries, at + 1)
    )


def closing_line(headline: Headline, count: int, crc: int, *, least: int = 0) -> bytes:
    """The last line, between `least` and 4096 bytes long: spaces fill, long titles are cut."""
    most = 512
    while True:
        plain = {
            "title": headline.title[:most],
            "named": headline.named,
            "provider": headline.provider[:most],
            "model": headline.model[:most],
            "messages": headline.messages,
            "tokens": headline.tokens,
            "count": count,
            "crc": f"{crc:08x}",
            "updated": headline.updated[:64],
        }
        line = _CLOSING + codec.dumps(plain) + b"}"
        if len(line) < CLOSING_LIMIT:
            return line.ljust(least - 1) + b"\n"
        most //= 2


def whole(birth: Birth, entries: Sequence[AnyEntry], headline: Headline) -> bytes:
    """A complete new document."""
    body = entry_lines(entries, 0)
    return header_line(birth) + body + closing_line(headline, len(entries), crc_of(body))


def crc_of(body: bytes | memoryview[int], before: int = 0) -> int:
    return zlib.crc32(body, before)


# -- the two ends, for a list of sessions -------------------------------------------------------


def read_header(line: bytes, session_id: str) -> Birth | None:
    """The facts of a header line, None when it is none. The file's name decides the id."""
    bare = line.rstrip(b"\r\n")
    if not bare.endswith(_OPENING):
        return None
    try:
        plain = _loads(bare + b"]}")
    except ValueError:
        return None
    return _birth(plain, session_id)


def read_closing(line: bytes) -> Closing | None:
    """The facts of a closing line, None when it is none."""
    if not line.startswith(_CLOSING):
        return None
    try:
        plain = _loads(b'{"messages":[' + line)
    except ValueError:
        return None
    return _closing(plain.get("meta")) if set(plain) >= {"meta"} else None


def last_line(tail: bytes) -> bytes:
    """The last line of a file's last bytes, complete with its line end."""
    return tail[tail[:-1].rfind(b"\n") + 1 :]


def _loads(raw: bytes) -> Any:
    """JSON in which no object has one name twice. Raises ValueError.

    Outside of strings a colon stands after each name and nowhere else; of two equal names only one
    is in what was read.
    """
    plain = codec.loads(raw)
    outside = raw.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2]
    if sum(piece.count(b":") for piece in outside) != _names(plain):
        raise ValueError("a name that comes twice")
    return plain


def strictly(line: bytes) -> tuple[int, AnyEntry]:
    """An entry of which nobody knows that it is as we wrote it. Raises ValueError."""
    n, entry = codec.decode(line)
    if len(line) < _STRICT_SIZE and codec.encode(entry, n) != line:
        _loads(line)
    return n, entry


def _names(plain: object) -> int:
    if isinstance(plain, dict):
        return len(plain) + sum(map(_names, plain.values()))
    return sum(map(_names, plain)) if isinstance(plain, list) else 0


def _birth(plain: object, session_id: str) -> Birth | None:
    if not isinstance(plain, dict):
        return None
    version = plain.get("format")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        return None
    if version > codec.FORMAT:
        raise SessionUnreadable(
            f"the session {session_id} was written by a newer version (format {version})",
            hint="upgrade this program to open it",
            line=1,
        )
    try:
        return msgspec.convert({"created": "", **plain, "id": session_id}, Birth)
    except msgspec.ValidationError:
        return None


def _closing(meta: object) -> Closing | None:
    if not isinstance(meta, dict):
        return None
    count, crc = meta.get("count"), meta.get("crc")
    if not isinstance(count, int) or isinstance(count, bool) or not isinstance(crc, str):
        return None
    try:
        return Closing(msgspec.convert(meta, Headline), count, int(crc, 16))
    except ValueError:
        return None


# -- reading ------------------------------------------------------------------------------------


def parse(raw: bytes, session_id: str) -> Document:
    """A document from its bytes. Raises SessionUnreadable for what is no session."""
    if not raw:
        raise SessionUnreadable(f"the file of session {session_id} is empty (0 bytes)")
    if len(raw) > SIZE_LIMIT:
        raise SessionUnreadable(f"the file of session {session_id} is over {SIZE_LIMIT >> 30} GB")
    first, newline, _ = raw.partition(b"\n")
    birth = read_header(first, session_id)
    if birth is not None and newline:
        return _found(_walked(raw, birth, first + newline))
    return _otherwise(raw, session_id)


def _walked(raw: bytes, birth: Birth, header: bytes) -> _Lines:
    """The lines; strictly, if it is not sure that all of them are as we wrote them."""
    lines = _Lines(raw, birth, header).walk()
    if not lines.is_complete:
        del lines  # not two of them at a time
        lines = _Lines(raw, birth, header, strict=True).walk()
    return lines


class _Lines:
    """One walk over the lines of a document, and what was found on the way.

    ``pending`` are lines that could not be read with nothing good after them yet: a torn tail if
    it stays so, damage otherwise. ``straight`` says that the body in the file, byte for byte, is
    the one a rewrite would have. ``pending_at`` is where the first pending line begins.
    """

    def __init__(self, raw: bytes, birth: Birth, header: bytes, *, strict: bool = False) -> None:
        self.raw, self.birth, self.header, self.strict = raw, birth, header, strict
        self.entries: list[AnyEntry] = []
        self.kept: list[bytes] = []
        self.bad: list[int] = []
        self.pending: list[int] = []
        self.pending_at = 0
        self.missing = 0
        self.straight = True
        self.closing: Closing | None = None
        self.closing_at = self.rest_at = len(raw)
        self._crc, self._crc_at = 0, len(header)

    def walk(self) -> Self:
        """Read on to the end, or to a closing line that fits everything before it."""
        raw, at, number = self.raw, len(self.header), 2 if self.header else 1
        while at < len(raw):
            if blank := _BLANK.match(raw, at):  # however many, at once
                self.straight = False
                number += blank[0].count(b"\n")
                at = blank.end()
                continue
            end = raw.find(b"\n", at)
            end = len(raw) if end < 0 else end
            closing = read_closing(raw[at:end]) if raw.startswith(_CLOSING, at) else None
            if closing is None:
                self._read(at, end, number)
            else:
                self._close(closing, at, end + 1)
                if self.is_complete:
                    break
            at, number = end + 1, number + 1
        return self

    def _close(self, closing: Closing, at: int, end: int) -> None:
        self._crc = zlib.crc32(memoryview(self.raw)[self._crc_at : at], self._crc)
        self._crc_at = at
        self.closing, self.closing_at = closing, at
        self.rest_at = min(end, len(self.raw))

    @property
    def is_complete(self) -> bool:
        """Whether the closing line fits: then nothing after it was ever acknowledged."""
        return (
            self.closing is not None
            and self.straight
            and not self.pending
            and self.closing.count == len(self.entries)
            and self.closing.crc == self._crc
        )

    def _read(self, at: int, end: int, number: int) -> None:
        # One copy of the line and no more: it may be a hundred megabytes long.
        has_comma = self.raw.startswith(b",", at)
        text = self.raw[at + has_comma : end]
        try:
            n, entry = strictly(text) if self.strict else codec.decode(text)
        except ValueError:
            n, entry = 0, None
        expected = len(self.entries) + 1
        # An entry that comes again, or out of its place, counts as unreadable: the first stands.
        if entry is None or not expected <= n <= expected + GAP_LIMIT:
            self.pending_at = at if not self.pending else self.pending_at
            self.pending.append(number)
            return
        if self.closing is not None or self.pending or n != expected:
            self._resume(n)
        self.straight = self.straight and has_comma == (n > 1)
        self.entries.append(entry)
        self.kept.append(text)

    def _resume(self, n: int) -> None:
        """A good entry, number n, after something that was none."""
        self.closing, self.straight = None, False
        self.bad += self.pending
        self.pending = []
        self.fill(n - 1)

    def fill(self, through: int) -> None:
        """Put notes in the places of entries that are gone, so that later places stay true."""
        for n in range(len(self.entries) + 1, through + 1):
            note = Noted(id=f"gap-{n}", text=f"entry {n} could not be read")
            self.entries.append(note)
            self.kept.append(codec.encode(note, n))
            self.missing += 1
            self.straight = False


def _found(lines: _Lines) -> Document:
    """What the lines amount to."""
    if lines.closing is not None and lines.is_complete:
        return _complete(lines, lines.closing)
    if lines.closing is None and not lines.entries:
        raise SessionUnreadable(
            f"nothing in the file of session {lines.birth.id} could be read",
            hint="the file was left as it is",
            line=2,
        )
    if lines.closing is not None and lines.pending:
        lines.bad += lines.pending
        if lines.closing.count <= len(lines.entries) + GAP_LIMIT:
            lines.fill(lines.closing.count)
    elif b"\0" in lines.raw:
        lines.bad += lines.pending
    if lines.bad:
        return _as(lines, Shape.DAMAGED, _damage(lines))
    if lines.closing is None and lines.straight:
        cut = lines.raw[lines.pending_at :] if lines.pending else b""
        return msgspec.structs.replace(_as(lines, Shape.TORN, _TORN), cut=_said(cut))
    return _changed(lines)


def _complete(lines: _Lines, closing: Closing) -> Document:
    rest = lines.raw[lines.rest_at :]
    return Document(
        shape=Shape.TORN if rest else Shape.SOUND,
        birth=lines.birth,
        headline=closing.headline,
        entries=tuple(lines.entries),
        header=lines.header,
        body=lines.raw[len(lines.header) : lines.closing_at],
        crc=closing.crc,
        closing_at=-1 if rest else lines.closing_at,
        closing=lines.raw[lines.closing_at : lines.rest_at],
        cut=_said(rest),
        notices=(_TORN,) if rest else (),
    )


def _said(cut: bytes) -> bytes:
    """A torn end as it is kept: not at all where it is nothing but blanks."""
    return cut if cut.strip(b"\0 \t\r\n") else b""


def _changed(lines: _Lines) -> Document:
    if not lines.straight or lines.raw[lines.rest_at :] or lines.closing is None:
        return _as(lines, Shape.CHANGED, _OUTSIDE)
    lines.kept.clear()  # as they stand in the file will do: one copy less
    body = lines.raw[len(lines.header) : lines.closing_at]
    return msgspec.structs.replace(
        _as(lines, Shape.CHANGED, _OUTSIDE, body),
        closing_at=lines.closing_at,
        closing=lines.raw[lines.closing_at : lines.rest_at],
    )


def _as(lines: _Lines, shape: Shape, notice: str, body: bytes | None = None) -> Document:
    """A document that has to be written anew before it can be added to."""
    body = join_lines(lines.kept) if body is None else body
    return Document(
        shape=shape,
        birth=lines.birth,
        headline=headline_of(lines.birth, lines.entries),
        entries=tuple(lines.entries),
        header=lines.header or header_line(lines.birth),
        body=body,
        crc=crc_of(body),
        notices=(notice,),
    )


def _damage(lines: _Lines) -> str:
    where = ", ".join(map(str, lines.bad[:5])) + ("…" if len(lines.bad) > 5 else "")
    return (
        f"the session file is damaged (line {where}): {lines.missing} of its "
        f"{len(lines.entries)} entries could not be read; the damaged file is kept beside it"
    )


_TORN = "an unfinished write at the end of the session file was cut off"
_OUTSIDE = (
    "the session file was changed by something else since it was last saved; "
    "it was read as it is now, and a copy is kept before anything is written"
)


def join_lines(lines: Iterable[bytes]) -> bytes:
    """Entries' JSON texts as the body of a document."""
    pieces = [piece for line in lines for piece in (b",", line, b"\n")]
    return b"".join(pieces[1:])


def headline_of(birth: Birth, entries: Iterable[AnyEntry]) -> Headline:
    return fold_all(Session(birth), entries).headline()


# -- what does not begin with our header --------------------------------------------------------


def _otherwise(raw: bytes, session_id: str) -> Document:
    """Another layout of our own data, a session without its header, or no session at all."""
    try:
        plain = _loads(raw)
    except (ValueError, MemoryError):
        return _headless(raw, session_id)
    birth = _birth(plain, session_id)
    if birth is None or not isinstance(plain.get("messages"), list):
        raise SessionUnreadable(
            f"the file of session {session_id} is JSON, but no session of ours", hint=_IMPORT
        )
    return _foreign(plain, birth)


def _foreign(plain: dict[str, Any], birth: Birth) -> Document:
    entries: list[AnyEntry] = []
    lines: list[bytes] = []
    for at, item in enumerate(plain["messages"], 1):
        try:
            if not isinstance(item, dict):
                raise ValueError("an entry that is no object")
            if item.get("n", at) != at:
                raise ValueError(f"it says it is entry {item.get('n')!r}")
            entries.append(codec.from_plain(item))
        except ValueError as error:
            raise SessionUnreadable(
                f"entry {at} of session {birth.id} is none of ours: {error}", hint=_IMPORT
            ) from None
        lines.append(codec.dumps({"n": at, **item}))
    body = join_lines(lines)
    kept = {k: v for k, v in plain.items() if k not in {"messages", "meta", "id"}}
    header = codec.dumps({"format": plain["format"], "id": birth.id, **kept})
    return Document(
        shape=Shape.FOREIGN,
        birth=birth,
        headline=headline_of(birth, entries),
        entries=tuple(entries),
        header=header[:-1] + b"," + _OPENING + b"\n",
        body=body,
        crc=crc_of(body),
        notices=("the session file has another layout; the original is kept when it is written",),
    )


def _headless(raw: bytes, session_id: str) -> Document:
    lines = _Lines(raw, Birth(id=session_id, created=""), b"", strict=True)
    lines.straight, lines.bad = False, [1]
    if not lines.walk().entries:
        raise SessionUnreadable(
            f"the file of session {session_id} is no session: not one entry in it can be read",
            hint="the file was left as it is; if it is yours, mend it or move it away",
            line=1,
        )
    lines.pending = [n for n in lines.pending if n > 1]
    return _found(lines)


# -- lists --------------------------------------------------------------------------------------


def header_of(document: Document, size: int) -> Header:
    """A session's line in the list, from the whole of it."""
    damaged = document.shape is Shape.DAMAGED
    return Header(
        id=document.birth.id,
        created=document.birth.created,
        headline=document.headline,
        entries=document.count,
        size=size,
        damaged=document.notices[0] if damaged and document.notices else "",
    )
